/** Standard streams that a shell made files of. */
import { fstatSync } from "node:fs";

/** The descriptor of a stream that is a regular file; undefined for pipes, terminals and what stands in for one in tests. */
export function redirectedFile(stream: { readonly fd?: number } | object): number | undefined {
  const fd = "fd" in stream ? stream.fd : undefined;
  return fd !== undefined && fstatSync(fd).isFile() ? fd : undefined;
}
