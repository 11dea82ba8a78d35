/** Pure. Variables and names in words, as the checks look at them. */
import { type Environment, type ExpandOptions, expandWord } from "#build/language/expand.ts";

/** Names that a word refers to without saying what stands in for them. */
export function bareVariables(word: string): string[] {
  const text = word.replace(/\\\$/g, "").replace(/'[^']*'/g, "");
  return [...text.matchAll(/\$(?:\{([A-Za-z_]\w*)(?:\}|[#%/])|([A-Za-z_]\w*))/g)].map(
    ([, braced, bare]) => braced ?? bare ?? "",
  );
}

/** The word with its variables replaced; as it is where that fails. */
export function safely(word: string, values: Environment, options: ExpandOptions): string {
  try {
    return expandWord(word, values, options);
  } catch {
    return word;
  }
}

const secretWords = /(?:_|^)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)/i;
const harmlessWords = /(?:_|^)(?:public|file|version)(?:_|$)/i;

/** What holds something to be kept secret, by its name. */
export function isSecretName(name: string): boolean {
  return secretWords.test(name) && !harmlessWords.test(name);
}
