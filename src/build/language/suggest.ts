/** Pure. "Did you mean": the nearest of the words that were possible. */

/** Edits at most, for a word to count as near. */
const nearEdits = 2;

/**
 * The option that is nearest to `word`, at most two edits away, in the case the user wrote; undefined when none is, or
 * when `word` is itself an option.
 */
export function nearest(word: string, options: Iterable<string>): string | undefined {
  const wanted = word.toLowerCase();
  let best: string | undefined;
  let bestEdits = nearEdits + 1;
  for (const option of [...options].sort()) {
    const edits = editDistance(wanted, option.toLowerCase());
    if (edits === 0) return undefined;
    if (edits < bestEdits) {
      best = option;
      bestEdits = edits;
    }
  }
  if (best === undefined) return undefined;
  if (word === wanted) return best.toLowerCase();
  return word === word.toUpperCase() ? best.toUpperCase() : best;
}

/** ` (did you mean x?)`, or nothing. */
export function suggestion(word: string, options: Iterable<string>): string {
  const near = nearest(word, options);
  return near === undefined ? "" : ` (did you mean ${near}?)`;
}

/** Levenshtein's distance. */
function editDistance(left: string, right: string): number {
  if (Math.abs(left.length - right.length) > nearEdits) return nearEdits + 1;
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i++) {
    const next = [i];
    for (let j = 1; j <= right.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
