import { expect, test } from "bun:test";
import { goQuote, goQuoteList } from "./go-quote.ts";

test("goQuote() escapes as %q does", () => {
  expect(goQuote('a"b\\\n\u001b')).toBe('"a\\"b\\\\\\n\\x1b"');
  expect(goQuoteList(["a b", "c"])).toBe('["a b" "c"]');
});
