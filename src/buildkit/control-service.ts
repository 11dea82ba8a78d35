/** Control: builds, what they tell, what they leave behind. */
import type { BuildResult } from "#build/request/build-request.ts";
import { type Answer, streaming, unary } from "#grpc/grpc-server.ts";
import { control, type SolveRequest } from "#spec/buildkit-control.ts";
import { GrpcError, grpcCode } from "#spec/grpc-status.ts";
import type { BuildJob, SentBody } from "./build-jobs.ts";
import type { BuildkitParts } from "./buildkit-parts.ts";
import { buildError } from "./error-details.ts";
import { cacheTargets, exportCaches } from "./export-caches.ts";
import type { ExportAnswer } from "./export-step.ts";
import { checkExporter, runExporter } from "./exports.ts";
import { runFrontend } from "./frontend.ts";
import type { ResultShelf } from "./result-shelf.ts";
import { serveTunnel } from "./session-tunnel.ts";
import { diskUsage, orderOf, prune, usageRecord } from "./usage.ts";
import { buildkitVersion, workerRecord } from "./worker.ts";

export function controlService(parts: BuildkitParts, shelf: ResultShelf): [string, Answer][] {
  return [
    unary(control.listWorkers, () => ({ record: [workerRecord(parts)] })),
    unary(control.info, () => ({ buildkitVersion: buildkitVersion(parts) })),
    unary(control.solve, async (request, call) => ({
      ExporterResponse: await solveRequest(parts, shelf, request, call),
    })),
    streaming(control.status, async ({ Ref }, call, say) => {
      const { feed } = await parts.jobs.find(Ref, call.signal);
      for await (const message of feed.watch(call.signal)) await say(message);
    }),
    [control.session.path, (call) => serveTunnel(parts.sessions, call)],
    unary(control.diskUsage, ({ filter }) => diskUsage(parts, filter)),
    streaming(control.prune, async (request, call, say) => {
      for await (const record of prune(parts, orderOf(request), call.signal)) await say(usageRecord(record));
    }),
    streaming(control.listenBuildHistory, async (request, call, say) => {
      for await (const event of parts.history.listen(request, call.signal)) await say(event);
    }),
    unary(control.updateBuildHistory, ({ Ref, Pinned, Delete, Finalize }) => {
      parts.history.update(Ref, { pinned: Pinned, remove: Delete, finalize: Finalize });
      return {};
    }),
  ];
}

/** One build from its request to its exports. @throws GrpcError. */
export async function solveRequest(
  parts: BuildkitParts,
  shelf: ResultShelf,
  request: SolveRequest,
  { signal, body }: { readonly signal: AbortSignal; readonly body?: SentBody | undefined },
): Promise<ExportAnswer> {
  const job = parts.jobs.begin(request, signal, body);
  const made = {
    ref: request.Ref,
    frontend: request.Frontend || "dockerfile.v0",
    attributes: request.FrontendAttrs,
    exporters: exportersOf(request),
    startedMs: job.startedMs,
    pinned: false,
  };
  const recorded = !request.Internal;
  if (recorded) parts.history.begin({ ...made, answer: {}, steps: job.feed.counts });
  let answer: ExportAnswer = {};
  let failed: GrpcError | undefined;
  try {
    for (const exporter of exportersOf(request)) checkExporter(exporter);
    cacheTargets(job);
    const result = await resultOf(parts, shelf, job);
    if (result !== undefined) answer = await exportAll(parts, job, result);
    return answer;
  } catch (thrown) {
    failed = buildError(thrown, parts.mirrors.root);
    throw failed;
  } finally {
    parts.jobs.end(job);
    const error = failed && { code: failed.code, message: failed.message };
    if (recorded)
      parts.history.end({ ...made, completedMs: parts.now(), answer, error, steps: job.feed.counts });
  }
}

/** From the frontend the client runs on its side, as all of Docker's do, or from ours for clients that ask directly. */
async function resultOf(
  parts: BuildkitParts,
  shelf: ResultShelf,
  job: BuildJob,
): Promise<BuildResult | undefined> {
  const { request, signal } = job;
  if (request.Definition !== undefined && request.Definition.def.length > 0)
    return shelf.input(request.Definition);
  if (request.Frontend !== "") {
    const inputs = shelf.inputs(request.FrontendInputs);
    const frontend = { frontend: request.Frontend, options: request.FrontendAttrs, inputs };
    const result = await runFrontend(parts, job, frontend, signal);
    shelf.put(result);
    return result;
  }
  const { result } = await Promise.race([job.returned.promise, cancelled(signal)]);
  return shelf.returned(result);
}

async function exportAll(parts: BuildkitParts, job: BuildJob, result: BuildResult): Promise<ExportAnswer> {
  let answer: ExportAnswer = {};
  for (const [index, exporter] of exportersOf(job.request).entries()) {
    job.signal.throwIfAborted();
    answer = { ...answer, ...(await runExporter(parts, job, { exporter, index, result })) };
  }
  return { ...answer, ...(await exportCaches(parts, job, result)) };
}

/** Older clients name one exporter in fields of its own. */
function exportersOf(request: SolveRequest): SolveRequest["Exporters"] {
  if (request.Exporters.length > 0 || request.ExporterDeprecated === "") return request.Exporters;
  return [{ Type: request.ExporterDeprecated, Attrs: request.ExporterAttrsDeprecated }];
}

function cancelled(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => reject(new GrpcError(grpcCode.cancelled, "context canceled"));
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
  });
}
