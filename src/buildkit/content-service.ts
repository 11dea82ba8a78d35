/** containerd's Content service, only to be read: what builds left behind, for clients that ask about them. */
import { type Answer, streaming, unary } from "#grpc/grpc-server.ts";
import { content } from "#spec/content-service.ts";
import { GrpcError, grpcCode } from "#spec/grpc-status.ts";
import type { HistoryDocuments } from "./history-documents.ts";

/** One message: the default bound of a client's gRPC is 4 MiB. */
const partBytes = 1 << 20;

export function contentService(documents: HistoryDocuments): [string, Answer][] {
  const sizeOf = async (digest: string): Promise<number> => {
    const size = await documents.sizeOf(digest);
    if (size === undefined) throw new GrpcError(grpcCode.notFound, `content ${digest}: not found`);
    return size;
  };
  const readOnly = (): never => {
    throw new GrpcError(grpcCode.unimplemented, "the store of what builds left behind is only to be read");
  };
  return [
    unary(content.info, async ({ digest }) => ({ info: { digest, size: await sizeOf(digest) } })),
    streaming(content.read, async ({ digest, offset, size: bytes }, _call, say) => {
      const size = await sizeOf(digest);
      if (offset < 0 || bytes < 0 || offset + bytes > size)
        throw new GrpcError(
          grpcCode.outOfRange,
          `read past object length ${size} bytes: ${bytes} from ${offset}`,
        );
      let at = offset;
      for await (const data of documents.read(digest, { offset, bytes, partBytes })) {
        await say({ offset: at, data });
        at += data.length;
      }
    }),
    [content.write.path, async () => readOnly()],
    [content.abort.path, async () => readOnly()],
  ];
}
