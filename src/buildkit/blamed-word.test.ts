import { expect, test } from "bun:test";
import { blamedWord } from "./blamed-word.ts";

// biome-ignore lint/suspicious/noTemplateCurlyInString: a Dockerfile's own
const text = "FROM busybox AS B\nRUNN x\nCOPY --frm=b pakage.json \\\n  ${vers}/x $ver /\nRUN exit 7\n";

test.each([
  [2, 2, "unknown instruction: RUNN (did you mean RUN?)", [2, 1, 4]],
  [3, 4, "unknown flag: --frm (did you mean from?)", [3, 6, 5]],
  [3, 4, 'failed to calculate checksum: "/pakage.json": not found', [3, 14, 11]],
  [3, 4, "Usage of undefined variable '$ver'", [4, 13, 4]],
  [3, 4, "Usage of undefined variable '$vers'", [4, 3, 6]],
  [1, 1, "Stage name 'B' should be lowercase", [1, 17, 1]],
  [5, 5, 'process "/bin/sh -c exit 7" did not complete successfully: exit code: 7', undefined],
  [5, 5, "nothing of it", undefined],
])("lines %d to %d: %s", (start, end, message, found) => {
  const word = blamedWord(text, { start, end }, message);
  expect(word && [word.line, word.column, word.length]).toEqual(found as number[]);
});
