/** Lists of a registry: tags, repositories, referrers, in pages (OCI distribution-spec 1.1, "Content Discovery"). */
import { type Digest, digestAlgorithm, encodedDigest } from "#spec/digest.ts";
import { mediaType } from "#spec/image.ts";
import type { ReferrerEntry, RegistryStore } from "./registry-store.ts";
import { RegistryRefusal } from "./serve-fault.ts";
import { pageMax, pageOf } from "./serve-request.ts";

export async function answerTags(
  store: RegistryStore,
  repository: string,
  query: URLSearchParams,
): Promise<Response> {
  const all = await store.tags(repository);
  if (all.length === 0 && !(await store.isKnown(repository)))
    throw new RegistryRefusal("NAME_UNKNOWN", `there is no repository ${repository}`);
  return tagsPage(repository, all, query);
}

/** `all` in order. */
export function tagsPage(repository: string, all: readonly string[], query: URLSearchParams): Response {
  const page = pageOf(query);
  const { part, headers } = cut(all, page, `/v2/${repository}/tags/list`);
  return Response.json({ name: repository, tags: part }, { headers });
}

/** Repositories that have a manifest and may be seen. */
export async function answerCatalog(
  store: RegistryStore,
  query: URLSearchParams,
  maySee: (repository: string) => boolean,
): Promise<Response> {
  const page = pageOf(query);
  const seen: string[] = [];
  for (const repository of await store.repositories()) {
    if (repository <= page.last || !maySee(repository)) continue;
    if ((await store.digests(repository, "_manifests")).length > 0) seen.push(repository);
    if (seen.length > page.count) break;
  }
  const { part, headers } = cut(seen, page, "/v2/_catalog");
  return Response.json({ repositories: part }, { headers });
}

/** An empty list for a subject nobody refers to, whether or not it is there. */
export async function answerReferrers(
  store: RegistryStore,
  repository: string,
  subject: Digest,
  query: URLSearchParams,
): Promise<Response> {
  const wanted = query.get("artifactType");
  const known = new Map((await store.referrers(repository, subject)).map((each) => [each.digest, each]));
  for (const each of await taggedReferrers(store, repository, subject))
    if (!known.has(each.digest)) known.set(each.digest, each);
  const fitting = [...known.values()]
    .filter(({ artifactType }) => wanted === null || artifactType === wanted)
    .sort((a, b) => (a.digest < b.digest ? -1 : 1));
  const page = { count: pageMax, last: query.get("last") ?? "" };
  const filter = wanted === null ? "" : `artifactType=${encodeURIComponent(wanted)}&`;
  const { part, headers } = cut(
    fitting.map((each) => each.digest),
    page,
    `/v2/${repository}/referrers/${subject}`,
    filter,
  );
  const chosen = new Set(part);
  return Response.json(
    {
      schemaVersion: 2,
      mediaType: mediaType.ociIndex,
      manifests: fitting.filter(({ digest }) => chosen.has(digest)),
    },
    {
      headers: {
        ...headers,
        "Content-Type": mediaType.ociIndex,
        ...(wanted !== null && { "OCI-Filters-Applied": "artifactType" }),
      },
    },
  );
}

/** What clients of registries without this list wrote into a tag named for the subject ("Referrers Tag Schema"). */
async function taggedReferrers(
  store: RegistryStore,
  repository: string,
  subject: Digest,
): Promise<ReferrerEntry[]> {
  const tag = `${digestAlgorithm(subject)}-${encodedDigest(subject).slice(0, 64)}`;
  const digest = await store.tag(repository, tag);
  const record = digest === undefined ? undefined : await store.manifest(repository, digest);
  if (digest === undefined || record?.mediaType !== mediaType.ociIndex) return [];
  const bytes = await store.bytes(digest);
  if (bytes === undefined) return [];
  const { manifests } = JSON.parse(new TextDecoder().decode(bytes)) as {
    manifests: readonly ReferrerEntry[];
  };
  return [...manifests];
}

/** A page, and the way to the next one (RFC 8288). */
function cut(
  names: readonly string[],
  { count, last }: { readonly count: number; readonly last: string },
  path: string,
  filter = "",
): { readonly part: string[]; readonly headers: Record<string, string> } {
  const rest = last === "" ? names : names.filter((name) => name > last);
  const part = rest.slice(0, count);
  const end = part.at(-1);
  if (end === undefined || part.length === rest.length) return { part, headers: {} };
  const next = `${path}?${filter}n=${count}&last=${encodeURIComponent(end)}`;
  return { part, headers: { Link: `<${next}>; rel="next"` } };
}
