/**
 * A `BuildEngine` for tests: images in memory, layers for real, commands run in a chroot of their layer. No container,
 * no network of its own, no limits. Never part of the engine.
 */
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { BuiltImages } from "#engine/images/built-images.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { ImageConfig, Platform } from "#spec/image.ts";
import { formatReference, parseReference, withDefaultTag } from "#spec/reference.ts";
import type { Layers } from "#store/layers/layers.ts";
import type {
  BuildContainers,
  BuildEngine,
  BuildImage,
  BuildImages,
  BuildTransfers,
  RunOnceOptions,
} from "./build-engine.ts";

export interface DoubledImage extends BuildImage {
  readonly record: {
    readonly id: Digest;
    readonly chainId?: ChainId | undefined;
    readonly parent?: Digest | undefined;
    readonly intermediate: boolean;
  };
}

export class ChrootImages implements BuildImages {
  readonly byId = new Map<string, DoubledImage>();
  readonly names = new Map<string, Digest>();

  get(reference: string, platform?: Platform): DoubledImage {
    const named = this.names.get(canonical(reference));
    const image = this.byId.get(named ?? reference);
    if (image === undefined) throw new Fault("not-found", `No such image: ${reference}`);
    if (platform !== undefined && image.config.architecture !== platform.architecture)
      throw new Fault(
        "not-found",
        `image with reference ${reference} was found but its platform does not match`,
      );
    return image;
  }

  async create(o: Parameters<BuildImages["create"]>[0]): Promise<Digest> {
    const text = JSON.stringify(o.config);
    const id = `sha256:${createHash("sha256").update(text).digest("hex")}` as Digest;
    const intermediate = o.intermediate === true && this.byId.get(id)?.record.intermediate !== false;
    const config = JSON.parse(text) as ImageConfig;
    this.byId.set(id, { config, record: { id, chainId: o.chainId, parent: o.parent, intermediate } });
    return id;
  }

  layers(): ReadonlySet<ChainId> {
    return new Set([...this.byId.values()].flatMap(({ record }) => record.chainId ?? []));
  }

  async keepBuilt({ images, names }: BuiltImages): Promise<Digest[]> {
    const ids: Digest[] = [];
    for (const { config, chainId } of images)
      ids.push(await this.create({ config, ...(chainId !== undefined && { chainId }) }));
    for (const name of names) this.tagAll(ids, name);
    return ids;
  }

  async configBytes(id: Digest): Promise<Uint8Array> {
    return new TextEncoder().encode(JSON.stringify(this.get(id).config));
  }

  /** What the build cache keeps. */
  readonly kept = new Set<ChainId>();

  keepLayer(chainId: ChainId): void {
    this.kept.add(chainId);
  }

  async dropLayer(chainId: ChainId): Promise<number> {
    this.kept.delete(chainId);
    return 0;
  }

  tag(reference: string, target: string): void {
    this.names.set(canonical(target), this.get(reference).record.id);
  }

  tagAll([first]: readonly Digest[], target: string): void {
    if (first !== undefined) this.names.set(canonical(target), first);
  }
}

function canonical(name: string): string {
  return /^(?:sha256:)?[0-9a-f]{64}$/.test(name)
    ? name
    : formatReference(withDefaultTag(parseReference(name)));
}

export class ChrootContainers implements BuildContainers {
  /** Commands that run now. */
  running = 0;
  /** Every command that was run, in order. */
  readonly ran: string[][] = [];
  readonly #layers: Layers;

  constructor(layers: Layers) {
    this.#layers = layers;
  }

  async runOnce(o: RunOnceOptions): ReturnType<BuildContainers["runOnce"]> {
    const containerId = randomBytes(32).toString("hex");
    const args = [...(o.config.Cmd ?? [])];
    this.ran.push(args);
    this.running++;
    await using stack = new AsyncDisposableStack();
    stack.defer(() => void this.running--);
    stack.defer(() => this.#layers.removeWritable(containerId));
    await this.#layers.createWritable(containerId, o.chainId);
    const root = this.#layers.mount(containerId);
    await o.onCreated?.(containerId);
    const exitCode = await chroot(root, args, o);
    o.signal.throwIfAborted();
    this.#layers.unmount(containerId);
    if (exitCode === 0) await o.settle?.(this.#layers.writablePath(containerId));
    const layer = exitCode === 0 ? await this.#layers.commit(containerId, { consume: true }) : undefined;
    return { containerId, exitCode, layer };
  }
}

async function chroot(root: string, args: readonly string[], o: RunOnceOptions): Promise<number> {
  const environment = Object.fromEntries((o.config.Env ?? []).map((line) => line.split(/=(.*)/s, 2)));
  const entered = ["sh", "-c", 'mkdir -p "$0"; cd "$0" && exec "$@"', o.config.WorkingDir || "/", ...args];
  const mounts = (o.host.Mounts ?? []).map(({ Type, Source = "none", Target = "", ReadOnly }) => {
    const at = quoted(`${root}${Target}`);
    const make =
      Type === "tmpfs" || statSync(Source).isDirectory()
        ? `mkdir -p ${at}`
        : `mkdir -p ${quoted(dirname(`${root}${Target}`))}; : >>${at}`;
    if (Type === "tmpfs") return `${make}; mount -t tmpfs tmpfs ${at}`;
    const bound = `${make}; mount --bind ${quoted(Source)} ${at}`;
    return ReadOnly === true ? `${bound}; mount -o remount,bind,ro ${at}` : bound;
  });
  const script = [...mounts, 'exec /usr/sbin/chroot "$0" "$@"'].join("; ");
  const child = spawn("unshare", ["-m", "sh", "-ec", script, root, ...entered], {
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
    signal: o.signal,
  });
  child.on("error", () => undefined);
  const ended = new Promise<number>((resolve) => child.once("close", (code) => resolve(code ?? 137)));
  const pass = async (stream: "stdout" | "stderr") => {
    for await (const bytes of child[stream]) await o.onOutput({ stream, bytes: bytes as Buffer });
  };
  await Promise.all([pass("stdout"), pass("stderr")]).catch(() => undefined);
  return ended;
}

function quoted(path: string): string {
  return `'${path.replaceAll("'", "'\\''")}'`;
}

/** Remembers what it was asked for; `onFetch` may make it be there. */
export class NoRegistry implements BuildTransfers {
  readonly asked: unknown[] = [];
  onFetch: ((name: string) => void) | undefined;

  readonly artifacts = {
    remote: (name: string): never => {
      throw new Fault("unavailable", `there is no registry to read ${name} from`);
    },
    push: async (name: string): Promise<never> => await this.pushTag(name),
  };

  async pushTag(name: string): Promise<never> {
    throw new Fault("unavailable", `there is no registry to push ${name} to`);
  }

  async fetch(name: string, o: Parameters<BuildTransfers["fetch"]>[1]): Promise<never> {
    this.asked.push([name, o.credentials, o.platform]);
    o.tell({ status: `Pulling from ${name}`, id: "1" });
    this.onFetch?.(name);
    if (this.onFetch === undefined) throw new Fault("not-found", `pull access denied for ${name}`);
    return undefined as never;
  }
}

export interface ChrootEngine extends BuildEngine {
  readonly transfers: NoRegistry;
  readonly images: ChrootImages;
  readonly containers: ChrootContainers;
}

/** An engine over `layers`, with nothing in it. */
export function chrootEngine(layers: Layers): ChrootEngine {
  const images = new ChrootImages();
  return { images, containers: new ChrootContainers(layers), transfers: new NoRegistry() };
}
