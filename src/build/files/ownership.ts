/** Pure. `--chown` and `--chmod`: names looked up in the image's own files. */
import { Fault } from "#spec/fault.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The image's account files; empty text for a file that is not there. */
export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

/**
 * `user[:group]`, names or numbers; without a group the user's word is taken for the group too, as Docker does.
 * @throws Fault `invalid` in Docker's words for a name the image does not know.
 */
export function parseOwner(text: string, files: AccountFiles): Owner {
  const [user = "", group = user, ...more] = text.split(":");
  if (more.length > 0) throw new Fault("invalid", `invalid chown string format: ${text}`);
  return {
    uid: lookUp(user, files.passwd, "uid for user", "user"),
    gid: lookUp(group, files.group, "gid for group", "group"),
  };
}

function lookUp(word: string, file: string, what: string, noun: string): number {
  if (/^\d+$/.test(word)) return Number(word);
  // passwd is name:password:uid:…, group is name:password:gid:….
  const fields = file
    .split("\n")
    .map((line) => line.split(":"))
    .find(([name]) => name === word);
  const id = fields?.[2];
  if (word !== "" && id !== undefined && /^\d+$/.test(id)) return Number(id);
  throw new Fault(
    "invalid",
    `unable to convert uid/gid chown string to host mapping: can't find ${what} ${word}: no such ${noun}: ${word}`,
  );
}

/** New permission bits from old ones. */
export type ModeChange = (bits: number, directory: boolean) => number;

/**
 * `--chmod`: octal, or as chmod(1) has it (`u=rwX,go-w`); undefined for an empty text.
 * @throws Fault `invalid` for anything else.
 */
export function parseMode(text: string): ModeChange | undefined {
  if (text === "") return undefined;
  if (/^[0-7]{1,5}$/.test(text) && Number.parseInt(text, 8) <= 0o7777) {
    const bits = Number.parseInt(text, 8);
    return () => bits;
  }
  const clauses = text.split(",").map((clause) => /^([ugoa]*)((?:[-+=][rwxXst]*)+)$/.exec(clause));
  if (clauses.some((clause) => clause === null))
    throw new Fault(
      "invalid",
      `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777, or symbolic as in u=rwX,go-w`,
    );
  const changes = clauses.flatMap((clause) => {
    const [, who = "", operations = ""] = clause ?? [];
    return [...operations.matchAll(/([-+=])([rwxXst]*)/g)].map(([, operator = "", what = ""]) =>
      symbolicChange(who === "" || who.includes("a") ? "ugo" : who, operator, what),
    );
  });
  return (bits, directory) => changes.reduce((now, change) => change(now, directory), bits);
}

const shifts: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };
const special: Readonly<Record<string, number>> = { u: 0o4000, g: 0o2000, o: 0 };

function symbolicChange(who: string, operator: string, what: string): ModeChange {
  return (bits, directory) => {
    const execute = what.includes("x") || (what.includes("X") && (directory || (bits & 0o111) !== 0));
    const three = (what.includes("r") ? 4 : 0) | (what.includes("w") ? 2 : 0) | (execute ? 1 : 0);
    let set = what.includes("t") ? 0o1000 : 0;
    let cleared = 0;
    for (const class_ of who) {
      set |= three << (shifts[class_] ?? 0);
      cleared |= 0o7 << (shifts[class_] ?? 0);
      if (what.includes("s")) set |= special[class_] ?? 0;
    }
    if (operator === "+") return bits | set;
    return operator === "-" ? bits & ~set : (bits & ~cleared) | set;
  };
}
