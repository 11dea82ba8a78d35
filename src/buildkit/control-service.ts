/** Control: builds, what they tell, what they leave behind. */
import type { BuildResult } from "#build/request/build-request.ts";
import { type Answer, only, type ServerCall, streaming, unary } from "#grpc/grpc-server.ts";
import { control, type SolveRequest } from "#spec/buildkit-control.ts";
import { Fault } from "#spec/fault.ts";
import { GrpcError, grpcCode } from "#spec/grpc-status.ts";
import { formatRfc3339, nanoOfFineMillis } from "#spec/unix-time.ts";
import type { BuildJob, SentBody } from "./build-jobs.ts";
import type { BuildkitParts } from "./buildkit-parts.ts";
import { buildError } from "./error-details.ts";
import { cacheTargets, exportCaches } from "./export-caches.ts";
import type { ExportAnswer } from "./export-step.ts";
import { checkExporter, runExporter } from "./exports.ts";
import { runFrontend } from "./frontend.ts";
import { keepBuild, toldBy } from "./keep-build.ts";
import type { KeptDocuments } from "./made-build.ts";
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
    [control.status.path, async (call) => await tellStatus(parts, call)],
    [control.session.path, (call) => serveTunnel(parts.sessions, call)],
    unary(control.diskUsage, ({ filter }) => diskUsage(parts, filter)),
    streaming(control.prune, async (request, call, say) => {
      for await (const record of prune(parts, orderOf(request), call.signal)) await say(usageRecord(record));
    }),
    streaming(control.listenBuildHistory, async (request, call, say) => {
      sayTime(parts, call);
      for await (const event of parts.history.listen(request, call.signal)) await say(event);
    }),
    unary(control.updateBuildHistory, async ({ Ref, Pinned, Delete, Finalize }) => {
      await parts.history.update(Ref, { pinned: Pinned, remove: Delete, finalize: Finalize });
      return {};
    }),
  ];
}

/** What a build tells while it runs, or told when it did. */
async function tellStatus(parts: BuildkitParts, call: ServerCall): Promise<void> {
  const { Ref } = await only(call, control.status.request);
  const { jobs, history } = parts;
  sayTime(parts, call);
  const logs = jobs.get(Ref) === undefined ? history.get(Ref)?.kept?.logs : undefined;
  if (logs !== undefined) {
    const o = { offset: 0, bytes: 0, partBytes: 1 << 20 };
    for await (const message of toldBy(history.documents.read(logs.digest, o))) await call.send(message);
    return;
  }
  const { feed } = await jobs.find(Ref, call.signal);
  for await (const message of feed.watch(call.signal))
    await call.send(control.status.response.encode(message));
}

/** Clients reckon by it how long something has been running. */
function sayTime({ now }: BuildkitParts, call: ServerCall): void {
  call.head({ "buildkit-current-timestamp": formatRfc3339(nanoOfFineMillis(now())) });
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
  let result: BuildResult | undefined;
  try {
    for (const exporter of exportersOf(request)) checkExporter(exporter);
    cacheTargets(job);
    result = await resultOf(parts, shelf, job);
    if (result !== undefined) answer = await exportAll(parts, job, result);
    return answer;
  } catch (thrown) {
    failed = buildError(thrown, parts.mirrors.root);
    throw failed;
  } finally {
    parts.jobs.end(job);
    if (recorded) {
      const error = failed && { code: failed.code, message: failed.message };
      const completedMs = parts.now();
      const kept = await keptOf(parts, job, { result, error: failed });
      await parts.history.end({ ...made, completedMs, answer, error, steps: job.feed.counts, kept });
    }
  }
}

/** A build is no failure because nothing can be kept of it. */
async function keptOf(
  { history, report }: BuildkitParts,
  { feed, images }: BuildJob,
  o: { readonly result: BuildResult | undefined; readonly error: GrpcError | undefined },
): Promise<KeptDocuments | undefined> {
  try {
    return await keepBuild(history.documents, { feed, images, ...o });
  } catch (thrown) {
    report(`what a build told is not kept: ${Fault.from(thrown).message}`);
    return undefined;
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
