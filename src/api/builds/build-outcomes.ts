/** This engine's own: what the last build of each context had to do again, and why. */

import type { ApiParts } from "#api/api-parts.ts";
import { jsonReply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import type { BuildOutcome } from "#build/solver/misses.ts";
import type { BuildOutcomeAnswer } from "#spec/build-outcome.ts";

export function buildOutcomeRoutes({ builder }: ApiParts): Route[] {
  return [route("GET", "/build/outcomes", () => jsonReply(builder.outcomes().map(outcomeAnswer)))];
}

function outcomeAnswer(outcome: BuildOutcome): BuildOutcomeAnswer {
  const { dockerfile, target, context, origin, atMs, steps, misses } = outcome;
  return {
    ...{ Dockerfile: dockerfile, Target: target, Context: context, Origin: origin },
    BuiltAt: new Date(atMs).toISOString(),
    Steps: steps,
    Missed: misses.map(({ step, kind, changes }) => ({ Step: step, Kind: kind, Changes: [...changes] })),
  };
}
