import { expect, test } from "bun:test";
import { commandTable } from "./command-table.ts";
import { argumentKind, flagChoice } from "./completion-words.ts";

/** They name what is not there yet. */
const makers = ["network create", "volume create"];

test("every command that takes a thing of the engine's completes its name", async () => {
  const silent: string[] = [];
  for (const [name, entry] of Object.entries(commandTable)) {
    const { usage } = await entry.load();
    const takesThing = /\b(?:CONTAINER|IMAGE|NETWORK|VOLUME)\b/.test(usage);
    if (takesThing && !makers.includes(name) && argumentKind(name, 0) === "nothing") silent.push(name);
  }
  expect(silent).toEqual([]);
});

test("the last kind stands for all arguments that follow", () => {
  expect(argumentKind("rm", 5)).toBe("containers");
  expect(argumentKind("logs", 1)).toBe("nothing");
  expect(argumentKind("network connect", 1)).toBe("containers");
});

test("filters complete their keys, then their values", () => {
  expect(flagChoice("ps", "filter", "st").words).toContain("status=");
  expect(flagChoice("ps", "filter", "status=").words).toContain("status=running");
  expect(flagChoice("ps", "filter", "volume=")).toEqual({ words: [], kind: "volumes" });
});
