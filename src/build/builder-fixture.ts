/**
 * For tests: a builder over real layers and records in a directory of its own, with a busybox base, and a double of the
 * engine that runs commands in a chroot. Needs root and Debian's busybox.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Header, pack } from "tar-stream";
import type { ImageRunConfig } from "#spec/image.ts";
import { Layers } from "#store/layers/layers.ts";
import { Records } from "#store/records.ts";
import { unpackTar } from "#store/trees/unpack.ts";
import type { BuildClient } from "./build-client.ts";
import { Builder, type ClassicRequest } from "./builder.ts";
import { type ChrootEngine, chrootEngine, type DoubledImage } from "./chroot-engine.ts";
import type { BuildFault, BuildRequest, BuildResult } from "./request/build-request.ts";
import type { BuildMessage } from "./request/messages.ts";
import type { BuildProgress, BuildWarning, Vertex } from "./request/progress.ts";

/** A file in a tar: its content, or a header with it. */
export type TarFile =
  | string
  | Uint8Array
  | (Omit<Partial<Header>, "name"> & { content?: string | Uint8Array });

/** A tar of the files, in their order; a name that ends in a slash is a directory. */
export async function tar(files: Readonly<Record<string, TarFile>>): Promise<Buffer> {
  const packed = pack();
  for (const [name, file] of Object.entries(files)) {
    const bare = typeof file === "string" || file instanceof Uint8Array;
    const { content, ...header } = bare ? { content: file } : file;
    const type = name.endsWith("/") ? "directory" : "file";
    packed.entry(
      { type, mode: type === "file" ? 0o644 : 0o755, ...header, name },
      Buffer.from(content ?? ""),
    );
  }
  packed.finalize();
  return collect(packed as AsyncIterable<Uint8Array>);
}

/** All parts of a stream as one. */
export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

/** Bytes as a stream of small parts. */
export async function* inParts(bytes: Uint8Array, size = 10_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const busybox = Bun.which("busybox");

/** False where the tests of this fixture cannot run: no busybox, or not root. */
export const canBuild = busybox !== null && process.getuid?.() === 0;

/** Those that tests run: with all, each test would spend most of its time on links. */
const applets = (
  "sh cat chmod chown cp cut date echo env false find grep head id ln ls mkdir mv printf pwd readlink rm sed seq sleep " +
  "sort stat tail tar test touch tr true uname wc"
).split(" ");

let busyboxTar: Promise<Buffer> | undefined;

/** A root file system around busybox, with a user `web` and /var/run leading to /run. */
async function baseTar(path: string): Promise<Buffer> {
  const links = applets.map((name) => [`bin/${name}`, { type: "symlink", linkname: "busybox" }] as const);
  return tar({
    "bin/": "",
    "bin/busybox": { mode: 0o755, content: readFileSync(path) },
    ...Object.fromEntries(links),
    "etc/": "",
    "etc/passwd": "root:x:0:0::/:/bin/sh\nweb:x:33:33::/:\n",
    "etc/group": "root:x:0:\nweb:x:33:\n",
    "tmp/": { mode: 0o1777 },
    "dev/": "",
    "run/": "",
    "var/": "",
    "var/run": { type: "symlink", linkname: "/run" },
  });
}

/** What came of a build. */
export interface Outcome {
  readonly messages: BuildMessage[];
  /** All streams, joined. */
  readonly text: string;
  readonly error: string | undefined;
  readonly image: DoubledImage | undefined;
}

export type SolveOptions = Partial<Omit<BuildRequest, "progress" | "client">> & {
  readonly directories?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
};

export interface Solved {
  readonly result: BuildResult | undefined;
  readonly told: ToldProgress;
  readonly error: BuildFault | undefined;
}

/** Remembers all it is told. */
export class ToldProgress implements BuildProgress {
  readonly vertices = new Map<string, Vertex>();
  readonly warnings: BuildWarning[] = [];
  output = "";

  vertex(vertex: Vertex): void {
    this.vertices.set(vertex.digest, vertex);
  }

  log({ bytes }: { readonly bytes: Uint8Array }): void {
    this.output += Buffer.from(bytes).toString();
  }

  status(): void {}

  warning(warning: BuildWarning): void {
    this.warnings.push(warning);
  }

  /** Names of steps that ran. */
  get ran(): string[] {
    return this.#steps
      .filter(({ cached, startedMs }) => startedMs !== undefined && cached !== true)
      .map(({ name }) => name);
  }

  get cached(): string[] {
    return this.#steps.filter(({ cached }) => cached === true).map(({ name }) => name);
  }

  get #steps(): Vertex[] {
    return [...this.vertices.values()].filter(({ name }) => !name.startsWith("[internal]"));
  }
}

function directoryClient(directories: Readonly<Record<string, string>>, o: SolveOptions): BuildClient {
  return {
    origin: async () => "",
    names: async () => [],
    local: async (name) => {
      const directory = directories[name];
      return directory === undefined ? undefined : { directory, async [Symbol.asyncDispose]() {} };
    },
    upload: async () => undefined,
    secret: async (id) => {
      const value = o.secrets?.[id];
      return value === undefined ? undefined : Buffer.from(value);
    },
    ssh: async () => undefined,
    blobs: async () => undefined,
    credentials: async () => undefined,
  };
}

/** How long the builder may take to remove what is left of a build. */
const patienceMs = 10_000;
const pauseMs = 5;

export class BuilderFixture implements AsyncDisposable {
  readonly root: string;
  readonly records: Records;
  readonly layers: Layers;
  readonly engine: ChrootEngine;
  #builder: Builder | undefined;
  #contexts = 0;
  #results = new DisposableStack();
  #clock = Date.parse("2026-01-01T00:00:00Z");

  private constructor(root: string, records: Records, layers: Layers) {
    this.root = root;
    this.records = records;
    this.layers = layers;
    this.engine = chrootEngine(layers);
  }

  static async open(): Promise<BuilderFixture> {
    const root = mkdtempSync(join(tmpdir(), "wherry-builder-"));
    const records = Records.open(join(root, "records.db"));
    const layers = await Layers.open(join(root, "layers"), { records });
    const fixture = new BuilderFixture(root, records, layers);
    await fixture.import("busybox:latest", { Cmd: ["sh"] });
    await fixture.reopen();
    return fixture;
  }

  get builder(): Builder {
    if (this.#builder === undefined) throw new Error("the fixture is not open");
    return this.#builder;
  }

  /** A new builder in place of the old one, as after the engine's death. */
  async reopen(): Promise<void> {
    const { engine, layers, records } = this;
    this.#builder = await Builder.open({
      engine,
      layers,
      records,
      root: join(this.root, "builder"),
      platform: { os: "linux", architecture: "amd64" },
      now: () => {
        this.#clock += 1000;
        return new Date(this.#clock);
      },
    });
  }

  async import(name: string, config: ImageRunConfig): Promise<void> {
    busyboxTar ??= baseTar(busybox ?? "");
    const { chainId, diffId } = await this.layers.apply(undefined, inParts(await busyboxTar, 1 << 16));
    const id = await this.engine.images.create({
      config: {
        architecture: "amd64",
        os: "linux",
        config,
        rootfs: { type: "layers", diff_ids: [diffId] },
        history: [{ created: "2025-01-01T00:00:00Z", comment: "imported" }],
      },
      chainId,
    });
    this.engine.images.tag(id, name);
  }

  /** Runs a build of a Dockerfile with the files beside it. */
  async build(
    dockerfile: string,
    files: Readonly<Record<string, TarFile>> = {},
    request: Partial<ClassicRequest> = {},
  ): Promise<Outcome> {
    const context = inParts(await tar({ Dockerfile: dockerfile, ...files }));
    const messages: BuildMessage[] = [];
    const { signal } = new AbortController();
    for await (const message of this.builder.classic({ context, signal, ...request })) messages.push(message);
    const text = messages.map((message) => ("stream" in message ? message.stream : "")).join("");
    const id = messages.map((message) => ("aux" in message ? message.aux.ID : undefined)).findLast(Boolean);
    const error = messages.map((message) => ("error" in message ? message.error : undefined)).find(Boolean);
    const image = error === undefined && id !== undefined ? this.engine.images.get(id) : undefined;
    return { messages, text, error, image };
  }

  /** Runs a BuildKit build of a Dockerfile with the files beside it. */
  async solve(
    dockerfile: string,
    files: Readonly<Record<string, TarFile>> = {},
    o: SolveOptions = {},
  ): Promise<Solved> {
    const directory = join(this.root, `context-${++this.#contexts}`);
    mkdirSync(directory);
    await unpackTar(inParts(await tar({ Dockerfile: dockerfile, ...files })), directory, {
      signal: new AbortController().signal,
    });
    const told = new ToldProgress();
    const client = directoryClient({ context: directory, dockerfile: directory, ...o.directories }, o);
    const signal = o.signal ?? new AbortController().signal;
    try {
      const { options = {}, ...more } = o;
      const result = await this.builder.build({ ...more, options, client, progress: told, signal });
      this.#results.use(result);
      return { result, told, error: undefined };
    } catch (error) {
      return { result: undefined, told, error: error as BuildFault };
    }
  }

  /** Lets go of all results so far. */
  release(): void {
    this.#results.dispose();
    this.#results = new DisposableStack();
  }

  /** A file of a result, or undefined. */
  async fileOf({ result, error }: Solved, path: string): Promise<string | undefined> {
    const first = result?.perPlatform[0];
    if (first === undefined) throw error;
    await using tree = await this.builder.tree(first);
    return existsSync(join(tree.root, path)) ? readFileSync(join(tree.root, path), "utf8") : undefined;
  }

  /** Runs `look` on an image's files. */
  async inspect<T>({ image, error }: Outcome, look: (root: string) => T): Promise<T> {
    if (image === undefined) throw new Error(`no image: ${error}`);
    await this.layers.createWritable("look", image.record.chainId);
    try {
      return look(this.layers.mount("look"));
    } finally {
      await this.layers.removeWritable("look");
    }
  }

  /** What a build must never leave: directories, workspaces, mounts, running commands. Waits for what goes on its own. */
  async leftovers(): Promise<string[]> {
    for (const end = Date.now() + patienceMs; ; await Bun.sleep(pauseMs)) {
      const left = this.#leftovers();
      if (left.length === 0 || Date.now() > end) return left;
    }
  }

  #leftovers(): string[] {
    const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
    return [
      ...readdirSync(join(this.root, "builder/work")),
      ...this.records
        .table("build-workspaces")
        .entries()
        .map(([id]) => id),
      ...mounts.filter((line) => line.includes(this.root)),
      ...(this.engine.containers.running > 0 ? ["a running command"] : []),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#builder?.[Symbol.asyncDispose]();
    this.records[Symbol.dispose]();
    rmSync(this.root, { recursive: true, force: true });
  }
}
