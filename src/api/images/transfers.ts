/** Images to and from registries: pull, push, looking, signing in, searching. */
import * as v from "valibot";
import type { ApiParts } from "#api/api-parts.ts";
import { type ApiRequest, flag, integer, json, param, text } from "#api/http/api-request.ts";
import { progressReply } from "#api/http/progress-reply.ts";
import { emptyReply, jsonReply, type Reply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import { type Digest, isDigest } from "#spec/digest.ts";
import type { DistributionInspect, SearchResult } from "#spec/docker-images.ts";
import type { JsonMessage } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import { booleanFilter, parseFilters } from "#spec/filters.ts";
import { authConfig, credentialsOf, toCredentials } from "./registry-auth.ts";

export function transferRoutes(parts: ApiParts): Route[] {
  return [
    route("POST", "/images/{name}/push", (request) => push(parts, request)),
    route("GET", "/distribution/{name}/json", (request) => look(parts, request)),
    // This engine's own: a list of what a registry has, made by the command line.
    route("POST", "/distribution/{name}/list", (request) => pushList(parts, request)),
    route("POST", "/auth", (request) => signIn(parts, request)),
    route("GET", "/images/search", (request) => search(parts, request)),
  ];
}

/** `POST /images/create?fromImage=`. The pull ends with the client that asked for it; what came is kept for the next. */
export async function pull({ engine }: ApiParts, request: ApiRequest, name: string): Promise<Reply> {
  const { signal } = request;
  const credentials = credentialsOf(request);
  const tag = text(request, "tag");
  const platform = request.version >= 32 ? text(request, "platform") : undefined;
  const all = { name, tag, platform, credentials, signal };
  return await progressReply(async (tell) => await engine.transfers.pull({ ...all, tell }));
}

async function push({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const { signal } = request;
  const credentials = credentialsOf(request);
  const platform = request.version >= 46 ? platformText(text(request, "platform")) : undefined;
  const all = { name: param(request, "name"), tag: text(request, "tag"), platform, credentials, signal };
  return await progressReply(async (tell: (message: JsonMessage) => void) => {
    await engine.transfers.push({ ...all, tell });
  });
}

const platformSchema = v.object({
  os: v.string(),
  architecture: v.string(),
  variant: v.optional(v.string()),
});

/** As JSON, which newer endpoints take, or as a text. */
export function platformText(given: string | undefined): string | undefined {
  if (given === undefined || !given.startsWith("{")) return given;
  try {
    const { os, architecture, variant } = v.parse(platformSchema, JSON.parse(given));
    return [os, architecture, ...(variant ? [variant] : [])].join("/");
  } catch (cause) {
    throw new Fault("invalid", `invalid platform ${JSON.stringify(given)}: want {"os","architecture"}`, {
      cause,
    });
  }
}

async function look({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const credentials = credentialsOf(request);
  const found = await engine.transfers
    .inspect(param(request, "name"), { credentials, signal: request.signal })
    .catch((thrown: unknown) => {
      // Docker answers 403 here for what it answers 404 elsewhere.
      const fault = Fault.from(thrown);
      if (fault.detail["status"] !== 401) throw fault;
      throw new Fault("denied", fault.message, { cause: fault });
    });
  const answer: DistributionInspect = {
    Descriptor: found.descriptor,
    Platforms: found.platforms.length === 0 ? null : [...found.platforms],
    ...(flag(request, "manifest") && { Manifest: found.manifest }),
  };
  return jsonReply(answer);
}

const listSchema = v.object({
  Text: v.string(),
  Manifests: v.array(
    v.object({
      Name: v.string(),
      Digest: v.custom<Digest>((value) => typeof value === "string" && isDigest(value), "no digest"),
    }),
  ),
});

async function pushList({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const { Text, Manifests } = await json(request, listSchema);
  const manifests = Manifests.map(({ Name, Digest }) => ({ name: Name, digest: Digest }));
  const access = { credentials: credentialsOf(request), signal: request.signal };
  await engine.transfers.pushList(param(request, "name"), { text: Text, manifests }, access);
  return emptyReply(204);
}

async function signIn({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const config = await json(request, authConfig);
  const credentials = toCredentials(config);
  await engine.transfers.signIn(config.serveraddress ?? "", { credentials, signal: request.signal });
  return jsonReply({ IdentityToken: "", Status: "Login Succeeded" });
}

const foundSchema = v.object({
  results: v.optional(
    v.array(
      v.object({
        name: v.string(),
        description: v.nullish(v.string()),
        star_count: v.nullish(v.number()),
        is_official: v.nullish(v.boolean()),
        is_automated: v.nullish(v.boolean()),
      }),
    ),
  ),
});
const searchDefault = 25;
const searchMax = 100;

async function search({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const limit = integer(request, "limit") ?? searchDefault;
  if (limit < 1 || limit > searchMax)
    throw new Fault("invalid", `limit ${limit} is outside the range of [1, ${searchMax}]`);
  const filters = parseFilters(text(request, "filters"), ["is-automated", "is-official", "stars"]);
  const stars = Math.max(0, ...(filters["stars"] ?? []).map(starsOf));
  const official = filters["is-official"] && booleanFilter(filters, "is-official", false);
  const automated = filters["is-automated"] && booleanFilter(filters, "is-automated", false);
  const answer = await engine.transfers.search(text(request, "term") ?? "", limit, {
    credentials: credentialsOf(request),
    signal: request.signal,
  });
  const parsed = v.safeParse(foundSchema, parse(answer));
  if (!parsed.success)
    throw new Fault("internal", "the registry answers a search with something else than results");
  const results = (parsed.output.results ?? [])
    .map(
      (each): SearchResult => ({
        star_count: each.star_count ?? 0,
        is_official: each.is_official ?? false,
        name: each.name,
        is_automated: each.is_automated ?? false,
        description: each.description ?? "",
      }),
    )
    .filter((each) => each.star_count >= stars)
    .filter((each) => official === undefined || each.is_official === official)
    .filter((each) => automated === undefined || each.is_automated === automated);
  return jsonReply(results);
}

function starsOf(value: string): number {
  if (!/^\d{1,9}$/.test(value))
    throw new Fault(
      "invalid",
      `invalid filter 'stars=${value}': strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`,
    );
  return Number(value);
}

function parse(answer: string): unknown {
  try {
    return JSON.parse(answer);
  } catch {
    return undefined;
  }
}
