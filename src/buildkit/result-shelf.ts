/**
 * Results of builds that a client holds by reference, for as long as its connection is there: one build's result may be
 * another's input (`bake` with linked targets).
 */
import { createHash, randomBytes } from "node:crypto";
import type { BuildResult } from "#build/request/build-request.ts";
import type { Result, ResultWritten } from "#spec/buildkit-gateway.ts";
import { type Definition, Op } from "#spec/buildkit-llb.ts";
import { Fault } from "#spec/fault.ts";
import { formatPlatform } from "#spec/platform.ts";
import type { Written } from "#spec/proto-message.ts";

/** Held by one connection. */
export const resultsMax = 1024;
const scheme = "wherry-result://";

export class ResultShelf implements Disposable {
  readonly #results = new Map<string, BuildResult>();

  put(result: BuildResult): string {
    if (this.#results.size >= resultsMax)
      throw new Fault("unavailable", `a client can hold ${resultsMax} results at most`);
    const id = randomBytes(16).toString("hex");
    this.#results.set(id, result);
    return id;
  }

  /** By a reference, with or without its platform's number. @throws Fault `not-found`. */
  get(reference: string): BuildResult {
    const result = this.#results.get(reference.replace(/\..*$/, ""));
    if (result === undefined) throw new Fault("not-found", `no such ref: ${reference}`);
    return result;
  }

  /** A result as the client gets it. */
  answer(id: string, result: BuildResult): ResultWritten {
    const [only] = result.perPlatform;
    const metadata: Record<string, Uint8Array> = {};
    if (!result.multiPlatform && result.perPlatform.length === 1) {
      if (only !== undefined) metadata["containerimage.config"] = json(only.config);
      return { ref: { id, def: definitionOf(id) }, metadata };
    }
    const refs: Record<string, { id: string; def: Written<typeof Definition> }> = {};
    const platforms: unknown[] = [];
    for (const [index, { platform, config }] of result.perPlatform.entries()) {
      const name = formatPlatform(platform);
      refs[name] = { id: `${id}.${index}`, def: definitionOf(`${id}.${index}`) };
      metadata[`containerimage.config/${name}`] = json(config);
      platforms.push({ ID: name, Platform: platform });
    }
    metadata["refs.platforms"] = json({ Platforms: platforms });
    return { refs: { refs }, metadata };
  }

  /** What a client returned; undefined when it returned nothing. */
  returned(result: Result | undefined): BuildResult | undefined {
    const id =
      result?.ref?.id ||
      result?.refDeprecated ||
      Object.values(result?.refs?.refs ?? {})[0]?.id ||
      Object.values(result?.refsDeprecated?.refs ?? {})[0];
    return id === undefined || id === "" ? undefined : this.get(id);
  }

  /** The result behind a graph that `definitionOf` made. @throws Fault `unsupported` for another graph. */
  input(definition: Definition): BuildResult {
    for (const bytes of definition.def) {
      const identifier = Op.decode(bytes).source?.identifier ?? "";
      if (identifier.startsWith(scheme)) return this.get(identifier.slice(scheme.length));
    }
    throw new Fault("unsupported", "a build cannot start from a graph of operations: use a Dockerfile");
  }

  /** The same for each of the frontend's inputs, by name. */
  inputs(definitions: Readonly<Record<string, Definition>>): Map<string, BuildResult> {
    return new Map(Object.entries(definitions).map(([name, definition]) => [name, this.input(definition)]));
  }

  [Symbol.dispose](): void {
    for (const result of this.#results.values()) result[Symbol.dispose]();
    this.#results.clear();
  }
}

/** A graph of one source, which only this engine understands, and a last node that points to it. */
function definitionOf(id: string): Written<typeof Definition> {
  const source = Op.encode({ source: { identifier: `${scheme}${id}` } });
  const digest = `sha256:${createHash("sha256").update(source).digest("hex")}`;
  const last = Op.encode({ inputs: [{ digest, index: 0 }] });
  return { def: [source, last], metadata: { [digest]: { caps: { constraints: true, platform: true } } } };
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
