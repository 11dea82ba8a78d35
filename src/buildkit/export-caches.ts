/** What a build leaves for others to go on from: its caches, each told as a step of its own. */
import type { BuildResult } from "#build/request/build-request.ts";
import { type CacheTarget, cacheTarget } from "#build/request/cache-places.ts";
import type { BuildJob } from "./build-jobs.ts";
import type { BuildkitParts } from "./buildkit-parts.ts";
import { type ExportAnswer, ExportStep } from "./export-step.ts";
import { cacheEntry, clientOf } from "./frontend.ts";

const titles = { registry: "exporting cache to registry", local: "exporting cache to client directory" };

/** Those the request names, but for what images carry themselves. @throws Fault `invalid` for what they are told. */
export function cacheTargets({ request }: BuildJob): CacheTarget[] {
  return (request.Cache?.Exports ?? []).map((each) => cacheTarget(cacheEntry(each)));
}

export async function exportCaches(
  parts: BuildkitParts,
  job: BuildJob,
  result: BuildResult,
): Promise<ExportAnswer> {
  let answer: ExportAnswer = {};
  for (const target of cacheTargets(job)) {
    if (target.kind === "inline") continue;
    const step = new ExportStep(job, parts.now, titles[target.kind]);
    const client = clientOf(parts, job, job.request.FrontendAttrs);
    try {
      const written = await step.run(async () => {
        step.done("preparing build cache for export");
        const tell = (what: string) => step.done(what);
        return await parts.builder.results.exportCache(result, target, { client, tell, signal: job.signal });
      });
      // Clients list it in their directory: what went to a registry has its name there.
      const own = written === undefined ? {} : { "cache.manifest": JSON.stringify(written) };
      answer = target.kind === "local" ? { ...answer, ...own } : { ...own, ...answer };
    } catch (thrown) {
      job.signal.throwIfAborted();
      if (!target.ignoreError) throw thrown;
    }
  }
  return answer;
}
