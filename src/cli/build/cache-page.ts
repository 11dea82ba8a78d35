/** Pure. Why steps of a build were done again: one page. Says only what the engine knows. */
import type { BuildOutcomeAnswer } from "#spec/build-outcome.ts";
import { humanDuration } from "#spec/go-duration.ts";

/** Of one step. */
const changesShownMax = 20;

type Missed = BuildOutcomeAnswer["Missed"][number];

export function cachePage(outcome: BuildOutcomeAnswer, nowMs: number): string {
  const { BuiltAt, Steps, Missed } = outcome;
  const ago = humanDuration((nowMs - Date.parse(BuiltAt)) / 1000).toLowerCase();
  const head = `${placeOf(outcome)}, built ${ago} ago`;
  if (Missed.length === 0) return `${head}: all of its ${Steps} steps were taken from the cache.\n`;
  const lines = Missed.flatMap((missed) => ["", missed.Step, ...reasons(missed).map((line) => `  ${line}`)]);
  const were = Missed.length === 1 ? "was" : "were";
  return [`${head}: ${Missed.length} of ${Steps} steps ${were} done again.`, ...lines, ""].join("\n");
}

function placeOf({ Dockerfile, Target, Context, Origin }: BuildOutcomeAnswer): string {
  const from = Context || /^wherry:(.+)$/.exec(Origin)?.[1];
  // The classic builder's clients say only what the image is to be called.
  const image = /^image:(.+)$/.exec(Origin)?.[1];
  const place = from === undefined ? "" : ` of ${from}`;
  return `${Dockerfile}${Target === "" ? "" : `, ${Target}`}${place}${image === undefined ? "" : ` for ${image}`}`;
}

function reasons({ Kind, Changes }: Missed): string[] {
  switch (Kind) {
    case "new":
      return ["The build before had no such step: it is new, or its instruction was changed."];
    case "refused":
      return ["It was to be done again (--no-cache)."];
    case "gone":
      return [
        "Nothing that it reads changed, but what it came to is not in the cache: it failed then, or was pruned since.",
      ];
    case "changed": {
      const shown = Changes.slice(0, changesShownMax);
      const more = Changes.length - shown.length;
      return more === 0 ? shown : [...shown, `and ${more} more`];
    }
  }
}
