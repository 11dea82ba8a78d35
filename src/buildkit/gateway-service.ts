/** LLBBridge: what a client asks while its build runs; each call says whose build it belongs to. */
import type { BuildResult } from "#build/request/build-request.ts";
import { type Answer, type ServerCall, unary } from "#grpc/grpc-server.ts";
import { first } from "#grpc/metadata.ts";
import {
  buildIdHeader,
  type GatewaySolveRequest,
  gateway,
  type ResultWritten,
} from "#spec/buildkit-gateway.ts";
import { GrpcError, grpcCode } from "#spec/grpc-status.ts";
import type { BuildJob } from "./build-jobs.ts";
import type { BuildkitParts } from "./buildkit-parts.ts";
import { buildError } from "./error-details.ts";
import { clientOf, runFrontend } from "./frontend.ts";
import { answerQuestion } from "./questions.ts";
import { readDirectoryOf, readFileOf, statFileOf } from "./result-files.ts";
import type { ResultShelf } from "./result-shelf.ts";
import { frontendCaps, graphCaps, workerRecord } from "./worker.ts";

export function gatewayService(parts: BuildkitParts, shelf: ResultShelf): [string, Answer][] {
  const jobOf = async (call: ServerCall): Promise<BuildJob> =>
    await parts.jobs.find(first(call.metadata, buildIdHeader) ?? "", call.signal);
  return [
    unary(gateway.ping, async (_, call) => {
      await jobOf(call);
      return { FrontendAPICaps: frontendCaps, LLBCaps: graphCaps, Workers: [workerRecord(parts)] };
    }),
    unary(gateway.solve, async (request, call) => {
      const job = await jobOf(call);
      try {
        return { result: await solve(parts, shelf, { job, request, call }) };
      } catch (thrown) {
        throw buildError(thrown, parts.mirrors.root);
      }
    }),
    unary(gateway.return, async ({ result, error }, call) => {
      const job = await jobOf(call);
      if (error === undefined) job.returned.resolve({ result });
      else job.returned.reject(new GrpcError(error.code, error.message, error.details));
      return {};
    }),
    unary(gateway.evaluate, async ({ Ref }, call) => {
      await jobOf(call);
      shelf.get(Ref);
      return {};
    }),
    unary(gateway.readFile, async ({ Ref, FilePath, Range }, call) => {
      await jobOf(call);
      return { Data: await readFileOf(parts.builder, shelf.get(Ref), FilePath, Range) };
    }),
    unary(gateway.readDir, async ({ Ref, DirPath, IncludePattern }, call) => {
      await jobOf(call);
      return { entries: await readDirectoryOf(parts.builder, shelf.get(Ref), DirPath, IncludePattern) };
    }),
    unary(gateway.statFile, async ({ Ref, Path }, call) => {
      await jobOf(call);
      return { stat: await statFileOf(parts.builder, shelf.get(Ref), Path) };
    }),
  ];
}

interface SolveCall {
  readonly job: BuildJob;
  readonly request: GatewaySolveRequest;
  readonly call: ServerCall;
}

async function solve(parts: BuildkitParts, shelf: ResultShelf, o: SolveCall): Promise<ResultWritten> {
  const { job, request } = o;
  const signal = AbortSignal.any([o.call.signal, job.signal]);
  if (request.Definition !== undefined && request.Definition.def.length > 0) {
    const result = shelf.input(request.Definition);
    return shelf.answer(shelf.put(shared(result)), result);
  }
  if (request.Frontend === "") return {};
  const { FrontendOpt: options } = request;
  const question = options["requestid"];
  if (question !== undefined && question !== "")
    return {
      metadata: await answerQuestion(parts.builder, question, {
        options,
        client: clientOf(parts, job, options),
        signal,
      }),
    };
  const inputs = shelf.inputs(request.FrontendInputs);
  const result = await runFrontend(parts, job, { frontend: request.Frontend, options, inputs }, signal);
  try {
    signal.throwIfAborted();
    return shelf.answer(shelf.put(result), result);
  } catch (thrown) {
    result[Symbol.dispose]();
    throw thrown instanceof GrpcError ? thrown : new GrpcError(grpcCode.cancelled, "context canceled");
  }
}

/** The same result under one more reference: the first one's disposing is enough. */
function shared(result: BuildResult): BuildResult {
  return { ...result, [Symbol.dispose]() {} };
}
