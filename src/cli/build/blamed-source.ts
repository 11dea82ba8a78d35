/** Pure. The lines of the Dockerfile that a build failed at, from the details of its error. */
import type { RpcDetail } from "#spec/grpc-status.ts";
import { type SourceRange, sourceLines } from "#spec/source-lines.ts";

interface Place {
  readonly info: { readonly filename: string; readonly data: string };
  readonly ranges: readonly SourceRange[];
}

/** Empty when the error names no place. */
export function blamedSource(details: readonly RpcDetail[]): string {
  const detail = details.find(({ typeUrl }) => typeUrl.endsWith("errdefs.Source+json"));
  if (detail === undefined) return "";
  const { info, ranges } = JSON.parse(Buffer.from(detail.value).toString()) as Place;
  return sourceLines(info.filename, Buffer.from(info.data, "base64").toString(), ranges);
}
