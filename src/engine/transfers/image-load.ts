/**
 * Images out of archives: what `docker save`, skopeo, podman, buildah and this engine write, compressed or not.
 * Owns: a load's steps. Promises: a layer whose place is known when it comes is unpacked as it comes, and nothing of it is
 * written twice; an image appears with all its layers, each checked against its config, or not at all.
 * Never: believes a path; what is beside the documents and layers is left unread.
 */
import { createHash } from "node:crypto";
import type { Emit } from "#engine/emit.ts";
import {
  type ArchivedImage,
  archiveNames,
  cleanName,
  digestOfPath,
  dockerImages,
  joinImages,
  ociImages,
} from "#engine/images/archive-plan.ts";
import { counted, gathered, once } from "#engine/images/counted.ts";
import type { Images } from "#engine/images/images.ts";
import type { Leases } from "#engine/images/leases.ts";
import { unpackedBytesMax } from "#engine/images/unpacked-bound.ts";
import { type ChainId, type Digest, parseDigest, shortDigest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { ImageConfig, Platform } from "#spec/image.ts";
import { configBytesMax, readImageConfig } from "#spec/image-config.ts";
import { formatPlatform, platformRank } from "#spec/platform.ts";
import { familiarReference, parseReference } from "#spec/reference.ts";
import type { Blobs } from "#store/blobs.ts";
import type { Layers } from "#store/layers/layers.ts";
import { Spool } from "#store/spool.ts";
import { decompress } from "#store/tar/decompress.ts";
import { type ArchivedFile, tarEntries } from "#store/tar/tar-entries.ts";
import { chainIds } from "./pull.ts";
import { LayerProgress, type Tell } from "./transfer-progress.ts";

export interface LoadParts {
  readonly blobs: Pick<Blobs, "put">;
  readonly layers: Pick<Layers, "get" | "apply" | "tar">;
  readonly images: Pick<Images, "adopt" | "platform" | "discardChain">;
  readonly leases: Leases;
  readonly emit: Emit;
  /** Where what comes too early is kept meanwhile. */
  readonly spoolRoot: string;
}

export interface LoadOptions {
  /** Only images that run on one of these; none: all. */
  readonly platforms: readonly Platform[];
  readonly quiet: boolean;
  readonly tell: Tell;
  readonly signal: AbortSignal;
}

/** Documents kept in memory, together. */
const documentsBytesMax = 64 << 20;
const linksMax = 10_000;

/** An image whose config was read. */
interface Plan {
  readonly image: ArchivedImage;
  readonly id: Digest;
  readonly bytes: Uint8Array;
  readonly config: ImageConfig;
  readonly chain: readonly ChainId[];
}

/** @throws Fault `invalid` for what is no archive of images. */
export async function loadImages(
  parts: LoadParts,
  archive: AsyncIterable<Uint8Array>,
  o: LoadOptions,
): Promise<void> {
  await using spool = await Spool.open(parts.spoolRoot);
  await new Load(parts, o, spool).run(archive);
}

class Load {
  readonly #parts: LoadParts;
  readonly #o: LoadOptions;
  readonly #spool: Spool;
  readonly #documents = new Map<string, Uint8Array>();
  #documentsBytes = 0;
  /** Where larger files are kept, by name. */
  readonly #kept = new Map<string, { readonly path: string; readonly sizeBytes: number }>();
  readonly #links = new Map<string, string>();
  /** Once the archive's documents are all there. */
  #plans: readonly Plan[] | undefined;

  constructor(parts: LoadParts, o: LoadOptions, spool: Spool) {
    this.#parts = parts;
    this.#o = o;
    this.#spool = spool;
  }

  async run(archive: AsyncIterable<Uint8Array>): Promise<void> {
    using held = new DisposableStack();
    try {
      const plain = await decompress(archive);
      for await (const file of tarEntries(plain.bytes, { signal: this.#o.signal })) {
        await this.#take(file);
        if (this.#plans === undefined) this.#plans = this.#planEarly();
        this.#hold(held);
      }
      this.#plans ??= this.#plan({ complete: false });
      this.#hold(held);
      const chosen = this.#chosen(this.#plans);
      for (const plan of chosen) await this.#finish(plan);
      await this.#adopt(chosen);
    } catch (thrown) {
      held.dispose();
      for (const { chain } of this.#plans ?? []) await this.#parts.images.discardChain(chain);
      throw thrown;
    }
  }

  #held = false;
  #hold(stack: DisposableStack): void {
    if (this.#held || this.#plans === undefined) return;
    this.#held = true;
    stack.use(this.#parts.leases.hold(this.#plans.flatMap(({ id, chain }) => [id, ...chain])));
  }

  async #take(file: ArchivedFile): Promise<void> {
    const name = cleanName(file.name);
    if (file.kind === "symlink" || file.kind === "link") {
      if (this.#links.size === linksMax) throw new Fault("invalid", "the archive has too many links");
      const beside = file.kind === "link" ? "" : name.slice(0, name.lastIndexOf("/") + 1);
      this.#links.set(name, cleanName(beside + file.linkName));
      return;
    }
    if (file.kind !== "file") return;
    const at = this.#placeOf(name);
    if (at !== undefined) await this.#unpack(at.plan, at.index, file.body, file.sizeBytes);
    else if (file.sizeBytes <= configBytesMax && (await this.#takeSmall(name, file))) return;
    else if (!this.#kept.has(name))
      this.#kept.set(name, {
        path: await this.#spool.keep(file.body, this.#o.signal),
        sizeBytes: file.sizeBytes,
      });
  }

  /** Into memory, while there is room. */
  async #takeSmall(name: string, file: ArchivedFile): Promise<boolean> {
    if (this.#documentsBytes + file.sizeBytes > documentsBytesMax) return false;
    this.#documents.set(name, await gathered(file.body));
    this.#documentsBytes += file.sizeBytes;
    return true;
  }

  /** The first layer that this file is, and whose layers below are here. */
  #placeOf(name: string): { plan: Plan; index: number } | undefined {
    const { layers } = this.#parts;
    for (const plan of this.#plans ?? []) {
      if (!this.#fits(plan)) continue;
      const index = plan.chain.findIndex((chainId) => layers.get(chainId) === undefined);
      if (index >= 0 && this.#resolve(plan.image.layers[index] ?? "") === name) return { plan, index };
    }
    return undefined;
  }

  #resolve(name: string): string {
    let at = name;
    for (let hops = 0; hops < 8; hops++) {
      const to = this.#links.get(at);
      if (to === undefined) break;
      at = to;
    }
    return at;
  }

  #document(name: string): Uint8Array | undefined {
    return this.#documents.get(this.#resolve(name));
  }

  /** Undefined while a document is missing that may still come. */
  #planEarly(): readonly Plan[] | undefined {
    if (!this.#documents.has(archiveNames.dockerManifest)) return undefined;
    if (this.#documents.has(archiveNames.ociLayout) && !this.#documents.has(archiveNames.ociIndex))
      return undefined;
    try {
      return this.#plan({ complete: true });
    } catch {
      return undefined;
    }
  }

  /** @throws Fault `invalid` for what is missing or wrong. */
  #plan(o: { readonly complete: boolean }): readonly Plan[] {
    const [docker, index] = [
      this.#document(archiveNames.dockerManifest),
      this.#document(archiveNames.ociIndex),
    ];
    if (docker === undefined && index === undefined)
      throw new Fault(
        "invalid",
        `the archive has no ${archiveNames.dockerManifest} and no ${archiveNames.ociIndex}: it holds no images`,
      );
    const images = joinImages([
      ...(index === undefined ? [] : ociImages(index, (path) => this.#checked(path), o)),
      ...(docker === undefined ? [] : dockerImages(docker)),
    ]);
    return images.map((image): Plan => {
      const bytes = this.#checked(image.config);
      if (bytes === undefined) throw new Fault("invalid", `the archive lacks the config ${image.config}`);
      const config = readImageConfig(bytes);
      const chain = chainIds(config);
      if (chain.length !== image.layers.length)
        throw new Fault(
          "invalid",
          `the image has ${image.layers.length} layers, but its config speaks of ${chain.length}`,
        );
      const id = parseDigest(`sha256:${createHash("sha256").update(bytes).digest("hex")}`);
      return { image, id, bytes, config, chain };
    });
  }

  /** A document, which is what its path promises. */
  #checked(path: string): Uint8Array | undefined {
    const bytes = this.#document(path);
    const digest = digestOfPath(path);
    if (bytes === undefined || digest === undefined) return bytes;
    const [algorithm = "sha256"] = digest.split(":");
    const actual = `${algorithm}:${createHash(algorithm).update(bytes).digest("hex")}`;
    if (actual !== digest) throw new Fault("invalid", `${path} in the archive has another digest: ${actual}`);
    return bytes;
  }

  #fits({ config }: Plan): boolean {
    const { platforms } = this.#o;
    return config.os === "linux" && (platforms.length === 0 || platforms.some((each) => runs(config, each)));
  }

  #chosen(plans: readonly Plan[]): readonly Plan[] {
    const chosen = plans.filter((plan) => this.#fits(plan));
    if (plans.length === 0) return chosen;
    const there = plans.map(({ config }) => formatPlatform(config)).join(", ");
    const missing = this.#o.platforms.filter((each) => !chosen.some(({ config }) => runs(config, each)));
    if (missing.length > 0)
      throw new Fault(
        "not-found",
        `the archive has no image for ${missing.map(formatPlatform).join(", ")}, only for ${there}`,
      );
    if (chosen.length === 0)
      throw new Fault("invalid", `operating system is not supported: the archive is for ${there}`);
    return chosen;
  }

  /** Layers that did not come in their turn. */
  async #finish(plan: Plan): Promise<void> {
    const { layers } = this.#parts;
    for (const [index, chainId] of plan.chain.entries()) {
      if (layers.get(chainId) !== undefined) continue;
      const name = this.#resolve(plan.image.layers[index] ?? "");
      const [kept, small] = [this.#kept.get(name), this.#documents.get(name)];
      if (kept !== undefined) await this.#unpack(plan, index, this.#spool.read(kept.path), kept.sizeBytes);
      else if (small !== undefined) await this.#unpack(plan, index, once(small), small.length);
      else {
        const twin = this.#twinOf(plan.config.rootfs.diff_ids[index]);
        if (twin === undefined) throw new Fault("invalid", `the archive lacks the layer ${name}`);
        await this.#unpack(plan, index, layers.tar(twin, { signal: this.#o.signal }), 0);
      }
    }
  }

  /** A layer of the archive that was unpacked in another place. */
  #twinOf(diffId: Digest | undefined): ChainId | undefined {
    for (const { chain, config } of this.#plans ?? [])
      for (const [index, chainId] of chain.entries())
        if (config.rootfs.diff_ids[index] === diffId && this.#parts.layers.get(chainId) !== undefined)
          return chainId;
    return undefined;
  }

  async #unpack(
    plan: Plan,
    index: number,
    source: AsyncIterable<Uint8Array>,
    sizeBytes: number,
  ): Promise<void> {
    const { quiet, tell, signal } = this.#o;
    const diffId = plan.config.rootfs.diff_ids[index];
    if (diffId === undefined) return;
    const progress = quiet ? undefined : new LayerProgress(tell, shortDigest(diffId));
    const count = (bytes: number) => progress?.count("Loading layer", bytes, sizeBytes);
    const parent = index === 0 ? undefined : plan.chain[index - 1];
    await this.#parts.layers.apply(parent, counted(source, count), {
      ...{ signal, diffId, plainBytesMax: unpackedBytesMax(sizeBytes) },
    });
  }

  async #adopt(plans: readonly Plan[]): Promise<void> {
    const { blobs, images, emit } = this.#parts;
    const { tell } = this.#o;
    const leading = this.#leading(plans);
    for (const { id, image, bytes, config, chain } of plans) {
      await blobs.put(once(bytes), { digest: id });
      const names = image.names.map((name) => ({ name, ...(leading.get(name) ?? { leadsTo: id }) }));
      images.adopt({ id, config, chainId: chain.at(-1), names });
      emit("image", "load", id, { name: id });
      for (const name of image.names)
        tell({ stream: `Loaded image: ${familiarReference(parseReference(name))}\n` });
      if (image.names.length === 0) tell({ stream: `Loaded image ID: ${id}\n` });
    }
  }

  /** What a name of several platforms' images leads to. */
  #leading(plans: readonly Plan[]): ReadonlyMap<string, { leadsTo: Digest; variants: { images: Digest[] } }> {
    const byName = new Map<string, Plan[]>();
    for (const plan of plans)
      for (const name of plan.image.names) byName.set(name, [...(byName.get(name) ?? []), plan]);
    const rank = (plan: Plan) =>
      platformRank(plan.config, this.#parts.images.platform) ?? Number.MAX_SAFE_INTEGER;
    return new Map(
      [...byName].flatMap(([name, among]) => {
        const ids = among.sort((a, b) => rank(a) - rank(b)).map(({ id }) => id);
        const [first] = ids;
        return first === undefined || ids.length === 1
          ? []
          : [[name, { leadsTo: first, variants: { images: ids } }] as const];
      }),
    );
  }
}

function runs(config: ImageConfig, platform: Platform): boolean {
  return platformRank(config, platform) !== undefined;
}
