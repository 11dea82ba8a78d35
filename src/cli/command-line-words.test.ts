import { expect, test } from "bun:test";
import { wordsOf } from "./command-line-words.ts";

test.each([
  ["wherry ps", ["wherry", "ps"]],
  ["wherry ps ", ["wherry", "ps", ""]],
  ["wherry  run -e 'A=b c' img", ["wherry", "run", "-e", "A=b c", "img"]],
  ['wherry exec "a \\"b', ["wherry", "exec", 'a "b']],
  ["wherry cp my\\ box:", ["wherry", "cp", "my box:"]],
  ["wherry run '' ", ["wherry", "run", "", ""]],
  ["", [""]],
])("%p", (line, words) => {
  expect(wordsOf(line)).toEqual(words);
});
