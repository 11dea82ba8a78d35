/** Shapes on the wire that have to do with images of several platforms, with registries and with the store. */
import type { Descriptor, Platform } from "./image.ts";

/** An image of one platform behind a name. Sizes in bytes. */
export interface ManifestSummary {
  ID: string;
  Descriptor: Descriptor;
  Available: boolean;
  Size: { Content: number; Total: number };
  Kind: "image" | "attestation" | "unknown";
  ImageData: { Platform: Platform; Containers: string[]; Size: { Unpacked: number } };
}

/** One entry of `GET /blobs`, which is this engine's own. */
export interface KeptBlobSummary {
  Digest: string;
  Size: number;
  Reasons: string[];
}

/** `GET /distribution/{name}/json`. */
export interface DistributionInspect {
  Descriptor: Descriptor;
  Platforms: Platform[] | null;
  /** The manifest's or index's text; only with `manifest=1`, which is this engine's own. */
  Manifest?: string;
}

/** One entry of `GET /images/search`. */
export interface SearchResult {
  star_count: number;
  is_official: boolean;
  name: string;
  is_automated: boolean;
  description: string;
}
