/** Pure. Documents that make an image elsewhere: JSON by the digest of its bytes. */
import { createHash } from "node:crypto";
import type { Digest } from "#spec/digest.ts";
import type { Descriptor } from "#spec/image.ts";

/** JSON, and what it is called. */
export interface ComposedDocument {
  readonly bytes: Uint8Array;
  readonly descriptor: Descriptor;
}

/** `more`: of the descriptor alone. */
export function documentOf(
  type: string,
  value: object | Uint8Array,
  more: Pick<Descriptor, "annotations" | "platform"> = {},
): ComposedDocument {
  const bytes =
    value instanceof Uint8Array ? value : new TextEncoder().encode(JSON.stringify(value, undefined, 2));
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest;
  return { bytes, descriptor: { mediaType: type, digest, size: bytes.length, ...more } };
}
