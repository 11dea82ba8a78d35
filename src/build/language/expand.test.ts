// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the language under test has this syntax
import { describe, expect, test } from "bun:test";
import { environmentOf, expandWord, expandWords } from "./expand.ts";

const environment = environmentOf(["A=x y", "E=", "P=/usr/local/bin", "F=a.tar.gz", "N=A"]);
const options = { escapeChar: "\\" };

describe("expandWord()", () => {
  const cases: [word: string, expanded: string][] = [
    ["$A", "x y"],
    ["$Ab", ""],
    ["${A}b", "x yb"],
    ["$1$", "$"],
    ["${U:-z}", "z"],
    ["${E:-z}", "z"],
    ["${E-z}", ""],
    ["${A:+z}", "z"],
    ["${E:+z}", ""],
    ["${E+z}", "z"],
    ["${U:-${A}!}", "x y!"],
    ["${A:?never}", "x y"],
    ["\\$A", "$A"],
    ["a\\b", "ab"],
    ["'$A'", "$A"],
    ['"$A"', "x y"],
    ['"a\\"b\\c\\$"', 'a"b\\c$'],
    ["${P#*/}", "usr/local/bin"],
    ["${P##*/}", "bin"],
    ["${P%/*}", "/usr/local"],
    ["${P%%/*}", ""],
    ["${F%.*}", "a.tar"],
    ["${F%%.*}", "a"],
    ["${P/l?cal/opt}", "/usr/opt/bin"],
    ["${P//\\//:}", ":usr:local:bin"],
    ["<<EOF", "<<EOF"],
  ];
  for (const [word, expanded] of cases)
    test(`${word} is ${JSON.stringify(expanded)}`, () =>
      expect(expandWord(word, environment, options)).toBe(expanded));

  const refusals: [word: string, message: string][] = [
    ["'a", "unexpected end of statement while looking for matching single-quote"],
    ['"a', "unexpected end of statement while looking for matching double-quote"],
    ["${A", "syntax error: missing '}'"],
    ["${A:-x", "syntax error: missing '}'"],
    ["${}", "syntax error: bad substitution"],
    ["${A:=x}", "unsupported modifier (:=) in substitution"],
    ["${A:#x}", "unsupported modifier (:#) in substitution"],
    ["${U:?give me}", "U: give me"],
    ["${U?}", "U: is not allowed to be unset"],
    ["${E:?}", "E: is not allowed to be empty"],
    ["${A#\\a}", "invalid pattern (\\a) in substitution: invalid escape '\\a'"],
  ];
  for (const [word, message] of refusals)
    test(`${word} is refused: ${message}`, () =>
      expect(() => expandWord(word, environment, options)).toThrow(message));
});

test("expandWords() splits what a variable holds, but nothing that is quoted", () => {
  expect(expandWords(`$A "$A" 'c  d' e\\ f`, environment, options)).toEqual(["x", "y", "x y", "c  d", "e f"]);
});

test("the escape character of a Windows Dockerfile is `", () => {
  expect(expandWord("c:\\dir`$A", environment, { escapeChar: "`" })).toBe("c:\\dir$A");
});

test("keepUnset leaves what is not known", () => {
  expect(expandWord("$U ${U} ${U:-x} ${U/a/b}", environment, { ...options, keepUnset: true })).toBe(
    "$U ${U} ${U:-x} ${U/a/b}",
  );
});
