import { expect, test } from "bun:test";
import { sourceLines } from "./source-lines.ts";

const text = "FROM a\nRUN one \\\n\ttwo $x\nCMD x\n";

test("the lines of a place are marked, two around them shown", () => {
  expect(sourceLines("D", text, [{ start: { line: 2 }, end: { line: 3 } }])).toBe(
    "D:2\n--------------------\n   1 |     FROM a\n   2 | >>> RUN one \\\n   3 | >>> \ttwo $x\n   4 |     CMD x\n   5 |     \n--------------------\n",
  );
  expect(sourceLines("D", text, [])).toBe("");
});

test("a caret stands below the word that is to blame", () => {
  const point = { start: { line: 3, character: 6 }, end: { line: 3, character: 8 } };
  const shown = sourceLines("D", text, [{ start: { line: 2 }, end: { line: 3 } }, point]);
  expect(shown).toStartWith("D:3:6\n");
  expect(shown).toContain("   3 | >>> \ttwo $x\n     |     \t    ^^\n   4 |     CMD x\n");
});
