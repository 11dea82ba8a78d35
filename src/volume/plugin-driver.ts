/**
 * A volume driver that is a program of its own behind a socket: Docker's volume plugin protocol, version 1
 * (docs.docker.com/engine/extend/plugins_volume). Promises: no answer is waited for longer than a bound.
 */
import * as v from "valibot";
import { Fault } from "#spec/fault.ts";
import type { DrivenVolume, VolumeDriver } from "./volume-driver.ts";

/** How long a plugin may take for an answer. */
export const pluginMillisecondsMax = 60_000;
/** Of an answer; there is no reason for a long one. */
const answerBytesMax = 1 << 20;

const mediaType = "application/vnd.docker.plugins.v1.2+json";

const answer = v.object({
  Err: v.optional(v.string(), ""),
  Mountpoint: v.optional(v.string(), ""),
  Volumes: v.optional(
    v.nullable(
      v.array(
        v.object({
          Name: v.string(),
          Mountpoint: v.optional(v.string(), ""),
          CreatedAt: v.optional(v.string(), ""),
        }),
      ),
    ),
  ),
  Implements: v.optional(v.nullable(v.array(v.string()))),
  Capabilities: v.optional(v.nullable(v.object({ Scope: v.optional(v.string()) }))),
});
type Answer = v.InferOutput<typeof answer>;

type Call = (method: string, body: object, signal?: AbortSignal) => Promise<Answer>;

export interface PluginAddress {
  readonly name: string;
  /** A path of a socket, or the base of URLs. */
  readonly at: { readonly unix: string } | { readonly url: string };
}

export interface ListedVolume {
  readonly name: string;
  /** Empty while nobody has it. */
  readonly mountpoint: string;
  /** RFC 3339, or empty. */
  readonly created: string;
}

export class PluginDriver implements VolumeDriver {
  readonly name: string;
  readonly scope: "local" | "global";
  readonly #call: Call;

  private constructor(name: string, scope: "local" | "global", call: Call) {
    this.name = name;
    this.scope = scope;
    this.#call = call;
  }

  /** @throws Fault `not-found` for a plugin of another kind, `unavailable` or `timeout` for one that does not answer. */
  static async open(
    address: PluginAddress,
    o: { readonly bound?: number; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<PluginDriver> {
    const { bound = pluginMillisecondsMax } = o;
    const call: Call = async (method, body, signal) => await ask(address, { method, body, bound, signal });
    const { Implements: kinds } = await call("Plugin.Activate", {}, o.signal);
    if (kinds?.includes("VolumeDriver") !== true)
      throw new Fault("not-found", `plugin ${JSON.stringify(address.name)} does not implement VolumeDriver`);
    // Plugins older than this question answer it with an error: they are local.
    const scope = await call("VolumeDriver.Capabilities", {}, o.signal).then(
      ({ Capabilities }) => (Capabilities?.Scope?.toLowerCase() === "global" ? "global" : "local"),
      () => "local" as const,
    );
    return new PluginDriver(address.name, scope, call);
  }

  /** What it keeps, whoever made it. @throws Fault `timeout` for one that is slower than a list may be. */
  async list(signal: AbortSignal): Promise<ListedVolume[]> {
    const { Volumes } = await this.#call("VolumeDriver.List", {}, signal);
    return (Volumes ?? []).map(({ Name, Mountpoint, CreatedAt }) => ({
      name: Name,
      mountpoint: Mountpoint,
      created: CreatedAt,
    }));
  }

  async create(name: string, options: Readonly<Record<string, string>>): Promise<void> {
    await this.#call("VolumeDriver.Create", { Name: name, Opts: options });
  }

  /** Takes the volume's files away. Idempotent. */
  async remove(name: string): Promise<void> {
    await this.#call("VolumeDriver.Remove", { Name: name });
  }

  async mount({ name }: DrivenVolume, user: string, signal: AbortSignal): Promise<string> {
    const { Mountpoint: path } = await this.#call("VolumeDriver.Mount", { Name: name, ID: user }, signal);
    if (path.startsWith("/")) return path;
    throw new Fault("unavailable", `VolumeDriver.Mount: plugin ${this.name} gave no path for ${name}`);
  }

  async unmount({ name }: DrivenVolume, user: string): Promise<void> {
    await this.#call("VolumeDriver.Unmount", { Name: name, ID: user });
  }
}

interface Question {
  readonly method: string;
  readonly body: object;
  readonly bound: number;
  readonly signal: AbortSignal | undefined;
}

async function ask({ name, at }: PluginAddress, { method, body, bound, signal }: Question): Promise<Answer> {
  const timeout = AbortSignal.timeout(bound);
  const base = "unix" in at ? "http://plugin" : at.url.replace(/^tcp:/, "http:").replace(/\/+$/, "");
  let text: string;
  let ok: boolean;
  try {
    const response = await fetch(`${base}/${method}`, {
      ...{
        method: "POST",
        body: JSON.stringify(body),
        headers: { Accept: mediaType, "Content-Type": mediaType },
      },
      ...("unix" in at && { unix: at.unix }),
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    });
    ok = response.ok;
    text = await boundedText(response);
  } catch (cause) {
    signal?.throwIfAborted();
    const why = timeout.aborted ? `no answer within ${bound / 1000} s` : Fault.from(cause).message;
    throw new Fault(
      timeout.aborted ? "timeout" : "unavailable",
      `${method}: plugin ${name}: ${why}, look whether it runs`,
      { cause },
    );
  }
  return understood(method, text, ok);
}

async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.length;
    if (sizeBytes > answerBytesMax) throw new Error(`an answer of more than ${answerBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function understood(method: string, text: string, ok: boolean): Answer {
  let parsed: Answer;
  try {
    parsed = v.parse(answer, JSON.parse(text === "" ? "{}" : text));
  } catch (cause) {
    throw new Fault("unavailable", `${method}: ${text.slice(0, 200).trim()}`, { cause });
  }
  if (parsed.Err !== "" || !ok)
    throw new Fault("unavailable", `${method}: ${parsed.Err || text.slice(0, 200)}`);
  return parsed;
}
