import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EngineEvent } from "#spec/event.ts";
import { Records } from "#store/records.ts";
import { Events } from "./events.ts";

let directory: string;
let records: Records;
let events: Events;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wherry-events-"));
  records = Records.open(join(directory, "records.db"));
  events = Events.open(records, () => 5n);
});
afterEach(() => {
  records[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

function event(number: number): EngineEvent {
  const actor = { id: `c${number}`, attributes: { image: "i" } };
  return { type: "container", action: "start", actor, timeNano: BigInt(number) };
}

test("what was stored is told again, also to the next engine", () => {
  for (const number of [1, 2, 3]) events.append(event(number));
  const again = Events.open(records, () => 5n);
  expect([...again.replay(2n)]).toEqual([event(2), event(3)]);
  expect([...again.replay(0n, 1n)]).toEqual([event(1)]);
});

test("only so many are kept", () => {
  for (let number = 0; number < 12_500; number++) events.append(event(number));
  const kept = [...events.replay(0n)];
  expect(kept.length).toBeLessThanOrEqual(11_000);
  expect(kept.at(-1)).toEqual(event(12_499));
});

test("a follower sees all from its call on, and ends with its signal", async () => {
  const controller = new AbortController();
  events.append(event(1));
  const followed = events.follow({ signal: controller.signal });
  events.append(event(2));
  const seen: EngineEvent[] = [];
  const reading = (async () => {
    for await (const each of followed) seen.push(each);
  })();
  await Bun.sleep(1);
  events.append(event(3));
  await Bun.sleep(1);
  controller.abort();
  await reading;
  expect(seen).toEqual([event(2), event(3)]);
});

test("a follower that does not read is told so, and holds up nobody", async () => {
  const followed = events.follow(new AbortController());
  for (let number = 0; number < 1100; number++) events.append(event(number));
  let count = 0;
  const reading = (async () => {
    for await (const _ of followed) count++;
  })();
  const error = await reading.catch((thrown: Error) => thrown.message);
  expect(error).toContain("ask again with --since");
  expect(count).toBe(1024);
});

test("a prune is told with the bytes it gave back", () => {
  events.pruned("container", 42);
  expect([...events.replay(0n)]).toEqual([
    { type: "container", action: "prune", actor: { id: "", attributes: { reclaimed: "42" } }, timeNano: 5n },
  ]);
});
