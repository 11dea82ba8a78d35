import { Fault } from "./fault.ts";

/** A content address, `sha256:<64 hex>` or `sha512:<128 hex>` (OCI image-spec, descriptor.md, "Digests"). */
export type Digest = string & { readonly __brand: "Digest" };

/** The digest of a stack of layers from the bottom up to one of them (OCI image-spec, config.md, "Layer ChainID"). */
export type ChainId = Digest & { readonly __chain: "ChainId" };

const DIGEST = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export function isDigest(text: string): text is Digest {
  return DIGEST.test(text);
}

/** @throws Fault `invalid` when `text` is not a digest of a registered algorithm in lower-case hex. */
export function parseDigest(text: string): Digest {
  if (!isDigest(text))
    throw new Fault(
      "invalid",
      `invalid digest ${JSON.stringify(text)}: want sha256:<64 hex> or sha512:<128 hex>`,
    );
  return text;
}

/** The hex part. */
export function encodedDigest(digest: Digest): string {
  return digest.slice(digest.indexOf(":") + 1);
}

export function digestAlgorithm(digest: Digest): "sha256" | "sha512" {
  return digest.startsWith("sha512:") ? "sha512" : "sha256";
}

/** The first 12 hex characters, as Docker's tables print ids. */
export function shortDigest(digest: string): string {
  const colon = digest.indexOf(":");
  return digest.slice(colon + 1, colon + 13);
}
