/**
 * Pure. A build's fault as BuildKit's clients want it: with the place in the Dockerfile they show.
 * Source: moby/buildkit util/grpcerrors and solver/errdefs: typed details whose value is JSON.
 */
import { BuildFault } from "#build/request/build-request.ts";
import { Fault } from "#spec/fault.ts";
import { GrpcError, grpcCode, type RpcDetail } from "#spec/grpc-status.ts";
import { explainFull } from "#store/disk-full.ts";
import { placesOf, sourceJson } from "./places.ts";

const errdefs = "github.com/moby/buildkit/errdefs.";

function detail(name: string, value: unknown): RpcDetail {
  return { typeUrl: `${errdefs}${name}+json`, value: Buffer.from(JSON.stringify(value)) };
}

/** Any end of a build as the status of a call. `root` is the directory whose disk builds fill. */
export function buildError(thrown: unknown, root: string): GrpcError {
  if (thrown instanceof GrpcError) return thrown;
  const fault = Fault.from(thrown);
  if (fault.kind === "cancelled")
    return new GrpcError(grpcCode.cancelled, "context canceled", [], { cause: thrown });
  const details: RpcDetail[] = [];
  if (fault instanceof BuildFault) {
    if (fault.vertex !== undefined) details.push(detail("Vertex", { digest: fault.vertex }));
    const { source } = fault;
    const ranges = source === undefined ? [] : placesOf(fault.lines, source, fault.message);
    if (source !== undefined && ranges.length > 0)
      details.push(detail("Source", { info: sourceJson(source), ranges }));
  }
  const text = fullDisk(thrown, root) ?? fault.message;
  return new GrpcError(grpcCode.unknown, text, details, { cause: thrown });
}

/** What to do, when a full disk is behind it. */
function fullDisk(thrown: unknown, root: string): string | undefined {
  for (let each = thrown; each instanceof Error; each = each.cause) {
    const explained = explainFull(each, root);
    if (explained !== each && explained instanceof Fault) return explained.message;
  }
  return undefined;
}

/** For a question the frontend does not know: the client asks another frontend then. */
export function unknownQuestion(name: string): GrpcError {
  return new GrpcError(grpcCode.unimplemented, `unsupported request ${name}`, [
    detail("Subrequest", { name }),
  ]);
}

export function unknownCapability(name: string): GrpcError {
  const text = `unsupported frontend capability ${name}`;
  return new GrpcError(grpcCode.unimplemented, text, [detail("FrontendCap", { name })]);
}
