/** Names for containers: which are allowed, and one for those who give none. Pure. */
import { Fault } from "#spec/fault.ts";

const allowed = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/**
 * The name without a leading slash.
 * @throws Fault `invalid` in Docker's words.
 */
export function parseContainerName(text: string): string {
  const name = text.startsWith("/") ? text.slice(1) : text;
  if (!allowed.test(name))
    throw new Fault(
      "invalid",
      `Invalid container name (${text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  return name;
}

const moods = (
  "able airy apt blithe bold brave breezy bright brisk calm canny careful cheery civil clever cosy crisp curious daring " +
  "deft eager earnest easy fair fearless festive fleet fond frank free gentle glad gleaming golden graceful hale handy " +
  "hardy hearty honest hopeful jaunty jolly jovial keen kind lively loyal lucid lucky mellow merry mild modest neat " +
  "nimble noble patient placid plucky polite prompt proud quick quiet ready robust rosy serene sharp smart snug sober " +
  "spry staunch steady sturdy sunny swift tidy trusty upbeat valiant vivid warm watchful wise witty zesty"
).split(" ");
const boats = (
  "barge barque brig canoe caravel catboat clipper cog coracle corvette cutter dhow dinghy dory felucca ferry frigate " +
  "galleon galley gig gondola hoy jolly junk kayak keelboat ketch knarr launch lighter longship lugger packet pinnace " +
  "pirogue pontoon prahu pram proa punt raft sampan schooner scow scull sharpie shallop skiff skipjack sloop smack " +
  "snow tartane tender trawler trimaran tug wherry whaler xebec yacht yawl zebec"
).split(" ");

/**
 * A free name of two words, `calm_ketch`; after ten taken ones, with a digit.
 * @param random In [0, 1).
 */
export function randomName(isTaken: (name: string) => boolean, random: () => number): string {
  for (let attempt = 0; ; attempt += 1) {
    const digit = attempt < 10 ? "" : String(Math.floor(random() * 10 ** (attempt - 9)));
    const name = `${pick(moods, random)}_${pick(boats, random)}${digit}`;
    if (!isTaken(name)) return name;
  }
}

function pick(words: readonly string[], random: () => number): string {
  return words[Math.floor(random() * words.length)] ?? "steady";
}
