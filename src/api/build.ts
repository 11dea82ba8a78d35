/** The classic builder's endpoint. */
import * as v from "valibot";
import type { ClassicRequest } from "#build/builder.ts";
import type { BuildMessage } from "#build/messages.ts";
import type { HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { ApiParts } from "./api-parts.ts";
import { type ApiRequest, flag, integer, text } from "./api-request.ts";
import { credentialsByImage } from "./registry-auth.ts";
import { type Reply, streamReply } from "./reply.ts";
import { type Route, route } from "./router.ts";

export function buildRoutes(parts: ApiParts): Route[] {
  return [route("POST", "/build", (request) => build(parts, request))];
}

/** What is wrong before the first message becomes the status; later failures are a message of the stream. */
async function build({ builder }: ApiParts, request: ApiRequest): Promise<Reply> {
  const messages = builder.classic(classicRequest(request))[Symbol.asyncIterator]();
  let next = await messages.next();
  const withAux = request.version >= 30;
  return streamReply("application/json", async (sink) => {
    try {
      while (next.done !== true) {
        if (withAux || !("aux" in next.value)) {
          const pace = sink.write(line(next.value));
          if (pace !== undefined) await pace;
        }
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

function line(message: BuildMessage): Uint8Array {
  return Buffer.from(`${JSON.stringify(message)}\r\n`);
}

function classicRequest(request: ApiRequest): ClassicRequest {
  refuseUnsupported(request);
  const network = text(request, "networkmode");
  return {
    context: request.body,
    remote: text(request, "remote"),
    dockerfile: text(request, "dockerfile"),
    tags: request.query.getAll("t"),
    buildArgs: jsonText(request, "buildargs", "error reading build args", textOrNull),
    labels: jsonText(request, "labels", "error reading labels", v.record(v.string(), v.string())),
    target: text(request, "target"),
    noCache: flag(request, "nocache"),
    pull: flag(request, "pull"),
    credentialsFor: credentialsByImage(request),
    quiet: flag(request, "q"),
    remove: flag(request, "forcerm") || flag(request, "rm", true),
    platform: request.version >= 32 ? text(request, "platform") : undefined,
    networkMode: network === "default" ? undefined : network,
    host: limits(request),
    signal: request.signal,
  };
}

/** `cachefrom` is left aside: it can only add images to look for steps in, and all of them are looked through. */
function refuseUnsupported(request: ApiRequest): void {
  const version = text(request, "version") ?? "1";
  if (version === "2")
    throw new Fault("unsupported", "BuildKit builds are not supported yet: build with DOCKER_BUILDKIT=0");
  if (version !== "1") throw new Fault("invalid", `invalid version ${JSON.stringify(version)}`);
  if (flag(request, "squash")) throw new Fault("invalid", "squash is only supported with experimental mode");
  if (text(request, "securityopt") !== undefined)
    throw new Fault("invalid", "security options are not supported on linux");
  const isolation = text(request, "isolation") ?? "default";
  if (isolation !== "default")
    throw new Fault("invalid", `unsupported isolation: ${JSON.stringify(isolation)}`);
  const outputs = request.version >= 40 ? (text(request, "outputs") ?? "[]") : "[]";
  if (outputs !== "[]" && outputs !== "null")
    throw new Fault("unsupported", "build outputs need BuildKit, which is not supported yet");
}

const textOrNull = v.record(v.string(), v.nullable(v.string()));
const ulimits = v.array(v.object({ Name: v.string(), Soft: v.number(), Hard: v.number() }));

/** Limits for the containers of RUN. */
function limits(request: ApiRequest): HostConfig {
  const host: HostConfig = {};
  const numbers = [
    ["Memory", "memory"],
    ["MemorySwap", "memswap"],
    ["CpuShares", "cpushares"],
    ["CpuPeriod", "cpuperiod"],
    ["CpuQuota", "cpuquota"],
    ["ShmSize", "shmsize"],
  ] as const;
  for (const [field, name] of numbers) {
    const value = integer(request, name);
    if (value !== undefined && value !== 0) host[field] = value;
  }
  const words = [
    ["CpusetCpus", "cpusetcpus"],
    ["CpusetMems", "cpusetmems"],
    ["CgroupParent", "cgroupparent"],
  ] as const;
  for (const [field, name] of words) {
    const value = text(request, name);
    if (value !== undefined) host[field] = value;
  }
  const hosts = request.query.getAll("extrahosts").filter((entry) => entry !== "");
  if (hosts.length > 0) host.ExtraHosts = hosts;
  const wanted = jsonText(request, "ulimits", "error reading ulimit settings", v.nullable(ulimits));
  if (wanted !== undefined && wanted !== null && wanted.length > 0) host.Ulimits = wanted;
  return host;
}

/** A query parameter that holds JSON; undefined when absent, empty or null. */
function jsonText<Schema extends v.GenericSchema>(
  request: ApiRequest,
  name: string,
  trouble: string,
  schema: Schema,
): v.InferOutput<Schema> | undefined {
  const given = text(request, name);
  if (given === undefined || given === "null") return undefined;
  try {
    return v.parse(schema, JSON.parse(given));
  } catch (cause) {
    throw new Fault("invalid", `${trouble}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}
