/** `POST /build`: the classic builder (version 1), or BuildKit in one request (version 2). */

import type { ApiParts } from "#api/api-parts.ts";
import { type ApiRequest, flag, text } from "#api/http/api-request.ts";
import { emptyReply, type Reply, streamReply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import { credentialsByImage } from "#api/images/registry-auth.ts";
import type { ClassicRequest } from "#build/builder.ts";
import type { BuildMessage } from "#build/request/messages.ts";
import type { PostedNews, PostedOrder } from "#buildkit/posted-build.ts";
import type { JsonMessage } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import { type BuildParameters, builderVersion, buildParameters } from "./build-parameters.ts";

/** Before the reference of a build whose files another request brings. */
const uploadPrefix = "upload-request:";

export function buildRoutes(parts: ApiParts): Route[] {
  return [
    route("POST", "/build", (request) => build(parts, request)),
    route("POST", "/build/cancel", (request) => cancel(parts, request)),
  ];
}

function cancel({ buildkit }: ApiParts, request: ApiRequest): Reply {
  const id = text(request, "id");
  if (id === undefined) throw new Fault("invalid", "build ID not provided");
  buildkit.posted.cancel(id);
  return emptyReply(200);
}

/** What is wrong before the first message becomes the status; later failures are a message of the stream. */
async function build({ builder, buildkit }: ApiParts, request: ApiRequest): Promise<Reply> {
  const parameters = buildParameters(request);
  if (builderVersion(request) === "1") {
    const withAux = request.version >= 30;
    const said = builder.classic(classicRequest(request, parameters));
    return await told(said, (message) => (withAux || !("aux" in message) ? message : undefined));
  }
  const buildId = text(request, "buildid") ?? "";
  if (buildId.startsWith(uploadPrefix)) {
    await buildkit.posted.upload(buildId.slice(uploadPrefix.length), request.body, request.signal);
    return emptyReply(200);
  }
  const quiet = flag(request, "q");
  return await told(buildkit.posted.run(order(request, parameters, buildId)), (news) => posted(news, quiet));
}

async function told<T>(
  said: AsyncIterable<T>,
  shown: (news: T) => BuildMessage | PostedMessage | undefined,
): Promise<Reply> {
  const messages = said[Symbol.asyncIterator]();
  let next = await messages.next();
  return streamReply("application/json", async (sink) => {
    try {
      while (next.done !== true) {
        const message = shown(next.value);
        const pace = message === undefined ? undefined : sink.write(line(message));
        if (pace !== undefined) await pace;
        next = await messages.next();
      }
    } catch (thrown) {
      const { message } = Fault.from(thrown);
      sink.write(line({ errorDetail: { message }, error: message }));
    } finally {
      await messages.return?.();
    }
  });
}

function line(message: BuildMessage | PostedMessage): Uint8Array {
  return Buffer.from(`${JSON.stringify(message)}\r\n`);
}

function classicRequest(request: ApiRequest, parameters: BuildParameters): ClassicRequest {
  const [output] = parameters.outputs;
  if (output !== undefined)
    throw new Fault(
      "invalid",
      `the output ${JSON.stringify(output.Type)} requires BuildKit: ask for it with version=2`,
    );
  return {
    ...parameters,
    context: request.body,
    credentialsFor: credentialsByImage(request),
    signal: request.signal,
  };
}

type PostedMessage = Pick<JsonMessage, "id" | "stream"> & { readonly aux?: string | { readonly ID: string } };

function posted(news: PostedNews, quiet: boolean): PostedMessage | undefined {
  if ("image" in news)
    return quiet ? { stream: `${news.image}\n` } : { id: "moby.image.id", aux: { ID: news.image } };
  return quiet ? undefined : { id: "moby.buildkit.trace", aux: Buffer.from(news.trace).toString("base64") };
}

/** @throws Fault `invalid` for what BuildKit has no attribute for. */
function order(request: ApiRequest, parameters: BuildParameters, buildId: string): PostedOrder {
  const { buildArgs = {}, networkMode, outputs, tags, remote } = parameters;
  const [output = { Type: "moby", Attrs: {} }, ...more] = outputs;
  if (more.length > 0) throw new Fault("invalid", "multiple outputs not supported");
  const names = output.Type === "moby" && tags.length > 0 ? { name: tags.join(",") } : {};
  return {
    options: frontendOptions(parameters),
    session: text(request, "session") ?? "",
    exporters:
      output.Type === "cacheonly" ? [] : [{ Type: output.Type, Attrs: { ...output.Attrs, ...names } }],
    entitlements: networkMode === "host" ? ["network.host"] : [],
    inlineCache: buildArgs["BUILDKIT_INLINE_CACHE"] === "1",
    ...{ remote, buildId, body: request.body, signal: request.signal },
  };
}

/** BuildKit's names for them. */
function frontendOptions(parameters: BuildParameters): Record<string, string> {
  const { buildArgs = {}, labels = {}, dockerfile, target, platform, networkMode, host } = parameters;
  const limits = [
    ["shm-size", host.ShmSize],
    ["memory", host.Memory],
    ["memswap", host.MemorySwap],
    ["cpushares", host.CpuShares],
    ["cpuperiod", host.CpuPeriod],
    ["cpuquota", host.CpuQuota],
    ["cpusetcpus", host.CpusetCpus],
    ["cpusetmems", host.CpusetMems],
    ["cgroup-parent", host.CgroupParent],
    ["force-network-mode", networkMode],
    ["filename", dockerfile],
    ["target", target],
    ["platform", platform],
  ] as const;
  const pairs: (readonly [string, string])[] = limits.flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as const],
  );
  for (const [name, value] of Object.entries(buildArgs))
    if (value !== null) pairs.push([`build-arg:${name}`, value]);
  for (const [name, value] of Object.entries(labels)) pairs.push([`label:${name}`, value]);
  if (parameters.noCache) pairs.push(["no-cache", ""]);
  pairs.push(["image-resolve-mode", parameters.pull ? "pull" : "default"]);
  if (parameters.cacheFrom.length > 0) pairs.push(["cache-from", parameters.cacheFrom.join(",")]);
  const hosts = (host.ExtraHosts ?? []).map((entry) => quoted(entry.replace(/[:=]/, "=")));
  if (hosts.length > 0) pairs.push(["add-hosts", hosts.join(",")]);
  const ulimits = (host.Ulimits ?? []).map(({ Name, Soft, Hard }) => `${Name}=${Soft}:${Hard}`);
  if (ulimits.length > 0) pairs.push(["ulimit", ulimits.join(",")]);
  return Object.fromEntries(pairs);
}

/** A field of CSV. */
function quoted(field: string): string {
  return /[",]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}
