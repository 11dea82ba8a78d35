/**
 * What a build reads from outside: base images, the Dockerfile, contexts of files.
 * Owns: finding, fetching and holding them until it is disposed. Promises: each is fetched once; nothing that
 * `.dockerignore` leaves out is read by a step. Never: decides what a step reads.
 */
import { readFileSync } from "node:fs";
import type { BuildClient, LocalFilter } from "#build/build-client.ts";
import type { BuildEngine, BuildImage } from "#build/build-engine.ts";
import { ignoreFilter, ignoreLines, type PathFilter } from "#build/files/ignore-patterns.ts";
import { lookAt, resolveInRoot } from "#build/files/rooted-path.ts";
import { SourceTree } from "#build/files/source-tree.ts";
import type { Instruction } from "#build/language/instruction.ts";
import type { BuildResult } from "#build/request/build-request.ts";
import { type BuildGraph, type BuildNode, sha256Of } from "#build/request/graph.ts";
import type { BuildProgress, SourceFile } from "#build/request/progress.ts";
import type { Material } from "#build/request/provenance.ts";
import { during, type Meter, type VertexVoice } from "#build/request/tell.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import { Fault, isFault } from "#spec/fault.ts";
import { cleanPath } from "#spec/go-text.ts";
import type { ImageConfig, Platform } from "#spec/image.ts";
import { formatPlatform } from "#spec/platform.ts";
import { familiarReference, parseReference, withDefaultTag } from "#spec/reference.ts";
import { fetchContext } from "./fetch-context.ts";

export interface InputParts {
  readonly engine: BuildEngine;
  readonly graph: BuildGraph;
  readonly client: BuildClient;
  readonly progress: BuildProgress;
  readonly options: Readonly<Record<string, string>>;
  readonly inputs: ReadonlyMap<string, BuildResult>;
  /** A directory of the build's own. */
  readonly scratch: string;
  readonly signal: AbortSignal;
}

/** What a stage may begin with. */
export interface BaseImage {
  readonly files: Pick<BuildNode, "operation" | "inputs"> | undefined;
  readonly config: ImageConfig | undefined;
  /** In full. */
  readonly reference: string;
}

/** A Dockerfile is text for people; 4 MiB of it is a mistake. */
const dockerfileBytesMax = 4 << 20;

interface Fileset {
  readonly key: string;
  /** As messages have it: `build context`, `x`. */
  readonly title: string;
  readonly followPaths: Set<string>;
  load(followPaths: readonly string[], voice?: VertexVoice): Promise<SourceTree>;
  loaded?: Promise<SourceTree>;
}

export class BuildInputs implements AsyncDisposable {
  readonly #parts: InputParts;
  readonly #stack = new AsyncDisposableStack();
  readonly #images = new Map<string, Promise<BaseImage>>();
  readonly #filesets = new Map<string, Fileset>();
  readonly materials: Material[] = [];
  #remote: Promise<string> | undefined;
  #dockerfile: SourceFile | undefined;
  #ignoreBeside: string | undefined;
  #ignoreText: Promise<string | undefined> | undefined;

  constructor(parts: InputParts) {
    this.#parts = parts;
  }

  /** The Dockerfile's text. @throws Fault `invalid` in BuildKit's words. */
  async dockerfile(): Promise<SourceFile> {
    const { options, progress } = this.#parts;
    const filename = options["filename"] || "Dockerfile";
    const remote = this.#remoteAddress();
    const own = remote === undefined || options["dockerfilekey"] !== undefined;
    const found = own
      ? await during(progress, this.#internal(`load build definition from ${filename}`), async (voice) =>
          this.#readLocal(filename, voice),
        )
      : await this.#readRemote(filename, remote);
    if (found.text.trim() === "") throw new Fault("invalid", "the Dockerfile cannot be empty");
    this.#dockerfile = found;
    return found;
  }

  /** The context when it is not the client's own directory. */
  #remoteAddress(): string | undefined {
    const given = this.#parts.options[this.#parts.options["contextkey"] ?? "context"];
    return given === undefined || given === "" || given.startsWith("local:") ? undefined : given;
  }

  async #readLocal(filename: string, voice: VertexVoice): Promise<SourceFile> {
    const { options } = this.#parts;
    const key = options["dockerfilekey"] ?? "dockerfile";
    const lower = filename.replace(/Dockerfile$/, "dockerfile");
    const followPaths = [filename, `${filename}.dockerignore`, ...(lower === filename ? [] : [lower])];
    await using local = await this.#local(key, { followPaths }, voice.meter("transferring dockerfile:"));
    if (local === undefined) throw noDockerfile(filename);
    const file = this.#read(local.directory, filename) ?? this.#read(local.directory, lower);
    if (file === undefined) throw noDockerfile(filename);
    this.#ignoreBeside = this.#read(local.directory, `${filename}.dockerignore`);
    return { filename, text: file };
  }

  async #readRemote(filename: string, address: string): Promise<SourceFile> {
    const directory = await this.#remoteDirectory(address);
    const lower = filename.replace(/Dockerfile$/, "dockerfile");
    const text = this.#read(directory, filename) ?? this.#read(directory, lower);
    if (text === undefined) throw noDockerfile(filename);
    this.#ignoreBeside = this.#read(directory, `${filename}.dockerignore`);
    return { filename, text };
  }

  async #local(name: string, filter: Omit<LocalFilter, "signal" | "transferred">, meter: Meter | undefined) {
    const { client, signal } = this.#parts;
    const local = await client.local(name, { ...filter, transferred: meter?.told, signal });
    meter?.done();
    return local;
  }

  #remoteDirectory(address: string): Promise<string> {
    const { client, progress, scratch, signal, options } = this.#parts;
    this.#remote ??= during(progress, this.#internal("load remote build context"), async () => {
      const directory = await fetchContext(address, { client, directory: scratch, signal });
      const subdirectory = options["contextsubdir"] ?? "";
      return subdirectory === "" ? directory : resolveInRoot(directory, subdirectory);
    });
    return this.#remote;
  }

  #read(directory: string, path: string): string | undefined {
    const host = resolveInRoot(directory, path);
    const stat = lookAt(host);
    if (stat?.isFile() !== true) return undefined;
    if (stat.size > dockerfileBytesMax)
      throw new Fault("invalid", `${path} is larger than ${dockerfileBytesMax} bytes`);
    return readFileSync(host, "utf8");
  }

  /** The vertex that read the Dockerfile. */
  get definition(): Digest {
    return this.#internal(`load build definition from ${this.#parts.options["filename"] || "Dockerfile"}`)
      .digest;
  }

  #internal(what: string) {
    return { digest: sha256Of(`${what}\0${this.#parts.scratch}`), name: `[internal] ${what}`, inputs: [] };
  }

  /** The node of the build context; `sources` are read from it. */
  async context(sources: readonly string[], _instruction: Instruction): Promise<BuildNode> {
    return this.#filesNode(this.#fileset("context"), sources);
  }

  #filesNode(set: Fileset, sources: readonly string[]): BuildNode {
    // A client matches name by name: behind directories of any number it is asked for all.
    for (const source of sources) {
      const path = cleanPath(`/${source.replace("/./", "/")}`).slice(1);
      set.followPaths.add(path.replace(/(?:^|\/)[^/]*\*\*.*$/, ""));
    }
    return this.#parts.graph.node({
      name: set.key === "context" ? `[internal] load ${set.title}` : `[context ${set.key}] load from client`,
      inputs: [],
      operation: { kind: "files", context: set.key },
      useCache: true,
      lines: [],
    });
  }

  #fileset(key: "context"): Fileset {
    const known = this.#filesets.get(key);
    if (known !== undefined) return known;
    const remote = this.#remoteAddress();
    const load = async (followPaths: readonly string[], voice?: VertexVoice): Promise<SourceTree> => {
      if (remote !== undefined) {
        const directory = await this.#remoteDirectory(remote);
        const ignored = this.#ignoreBeside ?? this.#read(directory, ".dockerignore");
        return new SourceTree(directory, "context", { hidden: filterOf(ignored) });
      }
      return await this.#loadLocal("context", followPaths, { ignored: await this.ignoreText(), voice });
    };
    const set = { key, title: "build context", followPaths: new Set<string>(), load };
    this.#filesets.set(key, set);
    return set;
  }

  async #loadLocal(
    name: string,
    followPaths: readonly string[],
    { ignored, voice }: { readonly ignored: string | undefined; readonly voice?: VertexVoice | undefined },
  ): Promise<SourceTree> {
    const { client, signal } = this.#parts;
    const exclude = ignored === undefined ? undefined : ignoreLines(ignored);
    const all = followPaths.some((path) => path === "");
    const meter = voice?.meter("transferring context:");
    const local = await this.#local(name, { exclude, followPaths: all ? undefined : followPaths }, meter);
    if (local === undefined) throw new Fault("invalid", `the client has no files for the context ${name}`);
    this.#stack.use(local);
    return new SourceTree(local.directory, "context", {
      hidden: filterOf(ignored),
      contentHash: (_, path) => local.contentHash?.(path),
      elsewhere: async (directory) => await client.names(name, directory, { exclude, signal }),
    });
  }

  async #ignoreFile(name: string, prefix: string): Promise<string | undefined> {
    const { progress } = this.#parts;
    const vertex = {
      digest: sha256Of(`ignore ${name}\0${this.#parts.scratch}`),
      name: `${prefix} load .dockerignore`,
      inputs: [],
    };
    return await during(progress, vertex, async (voice) => {
      const meter = voice.meter("transferring context:");
      await using local = await this.#local(name, { followPaths: [".dockerignore"] }, meter);
      return local === undefined ? undefined : this.#read(local.directory, ".dockerignore");
    });
  }

  /** The files of a context's node. */
  files(key: string, voice?: VertexVoice): Promise<SourceTree> {
    const set = this.#filesets.get(key);
    if (set === undefined) throw new Fault("internal", `there is no context ${key}`);
    set.loaded ??= set.load([...set.followPaths].sort(), voice);
    return set.loaded;
  }

  /** The `.dockerignore` of the build context, if it has one. */
  async ignoreText(): Promise<string | undefined> {
    if (this.#ignoreBeside !== undefined) return this.#ignoreBeside;
    const remote = this.#remoteAddress();
    if (remote !== undefined) return this.#read(await this.#remoteDirectory(remote), ".dockerignore");
    this.#ignoreText ??= this.#ignoreFile("context", "[internal]");
    return await this.#ignoreText;
  }

  /** A named context as files for `--from`. */
  async namedFiles(name: string, platform: Platform): Promise<BuildNode | undefined> {
    const address = this.#named(name, platform);
    if (address === undefined) return undefined;
    const files = this.#namedFileset(name, address);
    if (files !== undefined) return this.#filesNode(files, ["/"]);
    const { files: node, reference } = await this.#namedImage(address, platform);
    const operation = { kind: "image" as const, reference, chainId: undefined };
    const shared = { name: `[context ${name}] ${reference}`, useCache: true, lines: [] };
    return this.#parts.graph.node({ ...shared, ...(node ?? { operation, inputs: [] }) });
  }

  /** A named context as what FROM begins with. */
  async namedBase(name: string, platform: Platform): Promise<BaseImage | undefined> {
    const address = this.#named(name, platform);
    if (address === undefined) return undefined;
    const files = this.#namedFileset(name, address);
    if (files === undefined) return await this.#namedImage(address, platform);
    const transfer = { ...wholeTree, from: name };
    const inputs = [undefined, this.#filesNode(files, ["/"])];
    const operation = { kind: "transfer" as const, transfer, input: 1 };
    const config = {
      ...platform,
      config: {},
      rootfs: { type: "layers" as const, diff_ids: [] },
      history: [],
    };
    return { files: { operation, inputs }, config, reference: name };
  }

  #named(name: string, platform: Platform): string | undefined {
    const { options } = this.#parts;
    const key = `context:${name}`;
    return (
      options[`${key}::${formatPlatform(platform)}`] ??
      options[key] ??
      options[`context:${name.toLowerCase()}`]
    );
  }

  /** Undefined for an address of an image. @throws Fault `invalid`, `unsupported` for one that means nothing here. */
  #namedFileset(name: string, address: string): Fileset | undefined {
    if (/^(?:docker-image|input):/.test(address)) return undefined;
    if (address.startsWith("oci-layout:"))
      throw new Fault(
        "unsupported",
        `the context ${name} is an OCI layout: load it and name it as docker-image://…`,
      );
    const known = this.#filesets.get(name);
    if (known !== undefined) return known;
    const { client, scratch, signal } = this.#parts;
    const load = async (followPaths: readonly string[], voice?: VertexVoice): Promise<SourceTree> => {
      const local = address.startsWith("local:") ? address.slice("local:".length) : undefined;
      if (local !== undefined)
        return await this.#loadLocal(local, followPaths, {
          ignored: await this.#ignoreFile(local, `[context ${name}]`),
          voice,
        });
      const directory = await fetchContext(address, { client, directory: scratch, signal });
      return new SourceTree(directory, "context");
    };
    const set: Fileset = { key: name, title: name, followPaths: new Set<string>(), load };
    this.#filesets.set(name, set);
    return set;
  }

  async #namedImage(address: string, platform: Platform): Promise<BaseImage> {
    const [, kind = "", rest = ""] = /^(docker-image|input):(?:\/\/)?(.*)$/.exec(address) ?? [];
    if (kind === "docker-image") return await this.image(rest, platform);
    const result = this.#parts.inputs.get(rest);
    const wanted = formatPlatform(platform);
    const each =
      result?.perPlatform.find((one) => formatPlatform(one.platform) === wanted) ?? result?.perPlatform[0];
    if (each === undefined) throw new Fault("invalid", `there is no result for the context input:${rest}`);
    const operation = { kind: "image" as const, reference: address, chainId: each.chainId };
    return { files: { operation, inputs: [] }, config: each.config, reference: address };
  }

  /** An image of the engine, or of its registry. @throws Fault naming what is missing. */
  image(name: string, platform: Platform): Promise<BaseImage> {
    const key = `${name}\0${formatPlatform(platform)}`;
    const known = this.#images.get(key);
    if (known !== undefined) return known;
    const finding = this.#find(name, platform);
    this.#images.set(key, finding);
    return finding;
  }

  async #find(name: string, platform: Platform): Promise<BaseImage> {
    const id = /^(sha256:)?[0-9a-f]{64}$/.test(name);
    const reference = id ? name : fullReference(name);
    const vertex = {
      digest: sha256Of(`metadata ${reference}\0${formatPlatform(platform)}\0${this.#parts.scratch}`),
      name: `[internal] load metadata for ${reference}`,
      inputs: [],
    };
    const image = await during(this.#parts.progress, vertex, async (voice) => {
      const { engine, options, signal } = this.#parts;
      const pull = options["image-resolve-mode"] === "pull";
      const local = pull && !id ? undefined : present(engine, name, platform);
      if (local !== undefined) return local;
      if (id) throw new Fault("not-found", `${name}: not found`);
      const credentials = await this.#parts.client.credentials(registryHost(reference), signal);
      const tell = voice.pull.bind(voice);
      try {
        await engine.transfers.fetch(name, { credentials, platform, anyPlatform: true, tell, signal });
      } catch (error) {
        signal.throwIfAborted();
        const fault = Fault.from(error);
        const message = `${familiarReference(parseReference(name))}: failed to resolve source metadata for ${reference}: ${fault.message}`;
        throw new Fault(fault.kind, message, { cause: error });
      }
      // For another platform it is told by a check: whoever names such an image may mean it.
      return present(engine, name, platform) ?? engine.images.get(name);
    });
    const { path, domain } = id ? { path: "", domain: "" } : parseReference(name);
    const byDigest = image.references
      ?.map((each) => parseReference(each))
      .find((each) => each.digest !== undefined && each.path === path && each.domain === domain);
    const chainId: ChainId | undefined = image.record.chainId;
    this.materials.push({ reference, platform, chainId, digest: byDigest?.digest ?? image.record.id });
    const files =
      chainId === undefined
        ? undefined
        : { operation: { kind: "image" as const, reference, chainId }, inputs: [] };
    return { files, config: image.config, reference };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  get source(): SourceFile | undefined {
    return this.#dockerfile;
  }
}

/** All of a tree, as it is. */
const wholeTree = {
  ...{ keyword: "COPY" as const, workingDirectory: "/", sources: ["/"], inline: [], destination: "/" },
  ...{ chown: "", chmod: "", checksum: "", link: false, parents: false, exclude: [] },
  ...{ keepGitDir: false, unpack: undefined },
};

function filterOf(text: string | undefined): PathFilter | undefined {
  const lines = text === undefined ? [] : ignoreLines(text);
  return lines.length === 0 ? undefined : ignoreFilter(lines, ".dockerignore");
}

function noDockerfile(filename: string): Fault {
  return new Fault("invalid", `failed to read dockerfile: open ${filename}: no such file or directory`);
}

function present(engine: BuildEngine, name: string, platform: Platform): BuildImage | undefined {
  try {
    return engine.images.get(name, platform);
  } catch (error) {
    if (isFault(error, "not-found")) return undefined;
    throw error;
  }
}

/** `docker.io/library/alpine:latest`. @throws Fault `invalid` in BuildKit's words. */
function fullReference(name: string): string {
  try {
    const { domain, path, tag, digest } = withDefaultTag(parseReference(name));
    return `${domain}/${path}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
  } catch (cause) {
    const fault = Fault.from(cause);
    throw new Fault("invalid", `failed to parse stage name ${JSON.stringify(name)}: ${fault.message}`, {
      cause,
    });
  }
}

/** What credentials are asked for by; the reference is in full. */
export function registryHost(reference: string): string {
  const host = reference.slice(0, reference.indexOf("/"));
  return host === "docker.io" ? "registry-1.docker.io" : host;
}
