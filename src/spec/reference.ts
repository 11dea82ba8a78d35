/**
 * Image references: "alpine:3" ⇄ docker.io/library/alpine:3, by the grammar of the distribution project.
 * Pure. Owns: the grammar, normal and familiar form. Promises: Docker's refusals word for word. Never: looks up anything.
 */
import { type Digest, isDigest } from "./digest.ts";
import { Fault } from "./fault.ts";

/** A parsed, normalised reference: the domain and (for official images) `library/` are filled in, the tag is not. */
export interface Reference {
  /** Host with optional port; the name without a registry in it has `docker.io`. */
  readonly domain: string;
  /** `library/alpine`. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: Digest;
}

/** The domain of names that name none. */
export const defaultDomain = "docker.io";
const legacyDomain = "index.docker.io";
const officialPrefix = "library/";
const nameBytesMax = 255;

const domainLabel = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const host = `(?:${domainLabel}(?:\\.${domainLabel})*|\\[(?:[a-fA-F0-9:]+)\\])`;
const domain = `${host}(?::[0-9]+)?`;
const component = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const tag = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
const digest = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}";
const REFERENCE = new RegExp(`^(${domain})/(${component}(?:/${component})*)(?::(${tag}))?(?:@(${digest}))?$`);
const TAG = new RegExp(`^${tag}$`);
const IDENTIFIER = /^[a-f0-9]{64}$/;

/**
 * Parses what a user wrote. Leaves the tag absent when none was given: see `withDefaultTag`.
 * @throws Fault `invalid` in the distribution project's words (`invalid reference format` …).
 */
export function parseReference(text: string): Reference {
  if (IDENTIFIER.test(text))
    throw new Fault(
      "invalid",
      `invalid repository name (${text}), cannot specify 64-byte hexadecimal strings`,
    );
  if (text === "") throw new Fault("invalid", "invalid reference format");
  const { domain, remainder } = splitDomain(text);
  const colon = remainder.indexOf(":");
  const remote = colon < 0 ? remainder : remainder.slice(0, colon);
  if (remote.toLowerCase() !== remote)
    throw new Fault("invalid", `invalid reference format: repository name (${remote}) must be lowercase`);
  const match = REFERENCE.exec(`${domain}/${remainder}`);
  const [, matchedDomain, path] = match ?? [];
  if (matchedDomain === undefined || path === undefined)
    throw new Fault("invalid", "invalid reference format");
  if (matchedDomain.length + 1 + path.length > nameBytesMax)
    throw new Fault("invalid", `repository name must not be more than ${nameBytesMax} characters`);
  const tag = match?.[3];
  return {
    domain: matchedDomain,
    path,
    ...(tag !== undefined && { tag }),
    ...(match?.[4] !== undefined && { digest: checkedDigest(match[4]) }),
  };
}

function splitDomain(text: string): { domain: string; remainder: string } {
  const slash = text.indexOf("/");
  const first = slash < 0 ? "" : text.slice(0, slash);
  const named = namesRegistry(first);
  const domain = !named || first === legacyDomain ? defaultDomain : first;
  const remainder = named ? text.slice(slash + 1) : text;
  const official = domain === defaultDomain && !remainder.includes("/");
  return { domain, remainder: official ? officialPrefix + remainder : remainder };
}

function namesRegistry(first: string): boolean {
  return first === "localhost" || first.includes(".") || first.includes(":") || first.toLowerCase() !== first;
}

function checkedDigest(text: string): Digest {
  if (isDigest(text)) return text;
  const algorithm = text.slice(0, text.indexOf(":"));
  if (algorithm !== "sha256" && algorithm !== "sha384" && algorithm !== "sha512")
    throw new Fault("invalid", "invalid reference format: unsupported digest algorithm");
  throw new Fault("invalid", "invalid reference format: invalid checksum digest length");
}

/** `latest` where neither a tag nor a digest was given; otherwise the same. Idempotent. */
export function withDefaultTag(reference: Reference): Reference {
  if (reference.tag !== undefined || reference.digest !== undefined) return reference;
  return { ...reference, tag: "latest" };
}

/** @throws Fault `invalid` when `text` cannot be a tag. */
export function parseTag(text: string): string {
  if (!TAG.test(text)) throw new Fault("invalid", "invalid tag format");
  return text;
}

/** `docker.io/library/alpine`: the name without tag and digest; the key for "same repository". */
export function repositoryName(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** `docker.io/library/alpine:3@sha256:…`, what records keep. */
export function formatReference(reference: Reference): string {
  return repositoryName(reference) + suffix(reference);
}

/** `alpine` for docker.io/library/alpine; names of other registries in full. */
export function familiarName(reference: Reference): string {
  if (reference.domain !== defaultDomain) return repositoryName(reference);
  const { path } = reference;
  // Without its domain it would be read as a name on another registry.
  if (namesRegistry(path.slice(0, Math.max(path.indexOf("/"), 0)))) return repositoryName(reference);
  const official = path.startsWith(officialPrefix) && !path.slice(officialPrefix.length).includes("/");
  return official ? path.slice(officialPrefix.length) : path;
}

/** `alpine:3`, what people see. */
export function familiarReference(reference: Reference): string {
  return familiarName(reference) + suffix(reference);
}

function suffix(reference: Reference): string {
  return (
    (reference.tag === undefined ? "" : `:${reference.tag}`) +
    (reference.digest === undefined ? "" : `@${reference.digest}`)
  );
}
