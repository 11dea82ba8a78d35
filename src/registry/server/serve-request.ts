/** Pure. A request to the registry server, taken apart: which operation on which repository (OCI distribution-spec 1.1, "Endpoints"). */
import { type Digest, isDigest } from "#spec/digest.ts";
import { RegistryRefusal } from "./serve-fault.ts";

export type Operation =
  | { readonly kind: "base" }
  | { readonly kind: "catalog" }
  | { readonly kind: "tags"; readonly repository: string }
  | { readonly kind: "manifest"; readonly repository: string; readonly reference: string }
  | { readonly kind: "blob"; readonly repository: string; readonly digest: Digest }
  | { readonly kind: "referrers"; readonly repository: string; readonly digest: Digest }
  | { readonly kind: "uploads"; readonly repository: string }
  | { readonly kind: "upload"; readonly repository: string; readonly id: string };

const component = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const REPOSITORY = new RegExp(`^${component}(?:/${component})*$`);
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const UPLOAD = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const nameBytesMax = 255;
/** Entries of a page of tags or repositories. */
export const pageMax = 1000;

/** Undefined: no path of this API. @throws RegistryRefusal for names and digests that cannot be. */
export function operationOf(path: string): Operation | undefined {
  if (path === "/v2" || path === "/v2/") return { kind: "base" };
  if (path === "/v2/_catalog") return { kind: "catalog" };
  const match =
    /^\/v2\/(.+)\/(?:(tags)\/list|(manifests|blobs|referrers)\/([^/]+)|blobs\/(uploads)\/([^/]*)|blobs\/(uploads))$/.exec(
      decodePath(path),
    );
  if (match === null) return undefined;
  const [, repository = "", tags, kind, last = "", uploads, id = ""] = match;
  checkRepository(repository);
  if (tags !== undefined) return { kind: "tags", repository };
  if (uploads !== undefined && id !== "") {
    if (!UPLOAD.test(id)) throw new RegistryRefusal("BLOB_UPLOAD_UNKNOWN", `${id} is no upload`);
    return { kind: "upload", repository, id };
  }
  if (kind === "manifests") return { kind: "manifest", repository, reference: checkedReference(last) };
  if (kind === "blobs" && last !== "uploads")
    return { kind: "blob", repository, digest: checkedDigest(last) };
  if (kind === "referrers") return { kind: "referrers", repository, digest: checkedDigest(last) };
  return { kind: "uploads", repository };
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new RegistryRefusal("NAME_INVALID", "the path is wrongly encoded");
  }
}

export function checkRepository(name: string): void {
  if (!REPOSITORY.test(name) || name.length > nameBytesMax)
    throw new RegistryRefusal("NAME_INVALID", `${JSON.stringify(name)} is no name of a repository`);
}

export function checkedDigest(text: string): Digest {
  if (!isDigest(text))
    throw new RegistryRefusal(
      "DIGEST_INVALID",
      `${JSON.stringify(text)} is no digest: want sha256 or sha512`,
    );
  return text;
}

function checkedReference(text: string): string {
  if (text.includes(":")) return checkedDigest(text);
  // A tag that cannot be is a manifest that is not there.
  if (!TAG.test(text)) throw new RegistryRefusal("MANIFEST_UNKNOWN", `${JSON.stringify(text)} is no tag`);
  return text;
}

/** `n` of a list, and where it goes on. */
export function pageOf(query: URLSearchParams): { readonly count: number; readonly last: string } {
  const n = query.get("n");
  const count = n === null || n === "" ? pageMax : /^\d{1,9}$/.test(n) ? Number(n) : -1;
  if (count < 0 || count > pageMax)
    throw new RegistryRefusal("PAGINATION_NUMBER_INVALID", `n must be a number from 0 to ${pageMax}`);
  return { count, last: query.get("last") ?? "" };
}

export interface ByteRange {
  readonly start: number;
  /** One past the last. */
  readonly end: number;
}

/** The one range asked for (RFC 9110, 14.2); undefined: everything. @throws RegistryRefusal when there is no such byte. */
export function rangeOf(header: string | null, sizeBytes: number): ByteRange | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  const [, first = "", last = ""] = match ?? [];
  if (match === null || (first === "" && last === "")) return undefined;
  const start = first === "" ? Math.max(0, sizeBytes - Number(last)) : Number(first);
  const end = first === "" || last === "" ? sizeBytes : Math.min(sizeBytes, Number(last) + 1);
  if (first !== "" && last !== "" && Number(last) < Number(first)) return undefined;
  if (start >= sizeBytes || end <= start)
    throw new RegistryRefusal("RANGE_INVALID", "the blob has no such bytes", {
      headers: { "Content-Range": `bytes */${sizeBytes}` },
    });
  return { start, end };
}

/** Whether `If-None-Match` names what is there. */
export function isKnownTo(header: string | null, digest: Digest): boolean {
  return (header ?? "")
    .split(",")
    .map((each) => each.trim().replace(/^W\//, "").replaceAll('"', ""))
    .some((each) => each === digest || each === "*");
}
