/**
 * What a running container holds, acquired and given back: root file system, network, volumes, files, process.
 * Owns: the order. Promises: whatever fails, nothing acquired in the attempt is left; release and discard are idempotent.
 * Never: changes a record.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Emit } from "#engine/emit.ts";
import type {
  ContainerFiles,
  LayerPart,
  LogPart,
  NetworkPart,
  RuntimePart,
  VolumePart,
  VolumeRemoval,
} from "#engine/parts.ts";
import { type ContainerRecord, type HostConfig, type MountPoint, zeroTime } from "#spec/container.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { parseByteSize } from "#spec/go-values.ts";
import type { Endpoint, Sandbox } from "#spec/network.ts";
import { explainFull } from "#store/disk-full.ts";
import type { FileTree } from "#volume/container-tree.ts";
import { donorOf } from "./donors.ts";
import { imageMounts } from "./image-mounts.ts";
import { isLive } from "./lifecycle.ts";
import { type LinkTarget, linkNames, linksOf, withTargets } from "./links.ts";

export interface LaunchParts {
  readonly layers: LayerPart;
  readonly logs: Pick<LogPart, "prepare" | "open" | "keep" | "settle" | "forget">;
  readonly network: Pick<NetworkPart, "attach" | "plug" | "detach" | "files" | "find" | "sandbox">;
  readonly runtime: Pick<RuntimePart, "create" | "start" | "delete" | "reopenLog" | "userOf">;
  readonly volumes: Pick<VolumePart, "mount" | "unmount" | "removeAnonymous">;
  /** Holds one directory per container. */
  readonly root: string;
  readonly machineHostname: string;
  /** Lets layers go that only a removed container of this image still needed. */
  readonly collectLayers: (image: {
    readonly id?: Digest | undefined;
    readonly chainId?: ChainId | undefined;
  }) => Promise<void>;
  /** The running container that another one's namespace is shared with. */
  readonly container: (reference: string) => ContainerRecord;
  /** Those that are linked to a container, and what they call it. */
  readonly linkedTo: (id: string) => readonly { readonly record: ContainerRecord; readonly alias: string }[];
  readonly emit: Emit;
}

export class Launch {
  readonly #parts: LaunchParts;
  /** Containers whose volumes were said to be mounted. */
  readonly #withVolumes = new Set<string>();

  constructor(parts: LaunchParts) {
    this.#parts = parts;
  }

  files(id: string): ContainerFiles {
    const directory = join(this.#parts.root, id);
    return {
      directory,
      log: join(directory, "container.log"),
      hosts: join(directory, "hosts"),
      hostname: join(directory, "hostname"),
      resolvConf: join(directory, "resolv.conf"),
    };
  }

  /** Writes down what `prepare` is going to make, in the transaction that records the container. Idempotent. */
  claim({ id, image }: ContainerRecord): void {
    this.#parts.layers.claimWritable(id, image.chainId, { skeleton: true });
  }

  /** Makes what the container keeps between runs: its directory, an empty log, its writable layer. Idempotent. */
  async prepare(record: ContainerRecord): Promise<void> {
    await this.#explained(async () => await this.#prepare(record));
  }

  async #prepare(record: ContainerRecord): Promise<void> {
    const files = this.files(record.id);
    // A way through the thread pool takes longer than a new directory.
    mkdirSync(files.directory, { recursive: true, mode: 0o710 });
    this.#parts.logs.prepare(files.log);
    const { layers } = this.#parts;
    const bytesMax = rootBytesMax(record.host);
    await layers.createWritable(record.id, record.image.chainId, { skeleton: true, bytesMax });
    for (const { layer, chainId } of imageMounts(record))
      await layers.createWritable(layer, chainId, { skeleton: false });
  }

  /** @returns The pid of the process, running. */
  async acquire(record: ContainerRecord, signal: AbortSignal): Promise<number> {
    return await this.#explained(async () => await this.#acquire(record, signal));
  }

  /** @throws Fault `unavailable` with the way out where the disk is full. */
  async #explained<R>(work: () => Promise<R>): Promise<R> {
    try {
      return await work();
    } catch (error) {
      throw explainFull(error, this.#parts.root);
    }
  }

  async #acquire(record: ContainerRecord, signal: AbortSignal): Promise<number> {
    const { layers, logs, network, runtime, volumes } = this.#parts;
    const joined = {
      ...this.#joined("pid", record.host.PidMode),
      ...this.#joined("ipc", record.host.IpcMode),
    };
    const hostname = this.hostname(record);
    await using undo = new AsyncDisposableStack();
    undo.defer(async () => await this.release(record));
    const attaching = network.attach({
      containerId: record.id,
      name: record.name,
      hostname,
      config: record.config,
      host: record.host,
      endpoints: record.endpoints,
      joins: this.#joinedNetwork(record)?.id,
      signal,
    });
    // Giving back waits for it, so that nothing is attached after the detach.
    undo.defer(async () => {
      await Promise.allSettled([attaching]);
    });
    // A step of a build is never started again.
    const rootfs = layers.mount(record.id, { brief: record.purpose === "build" });
    const userOf = (root: FileTree) => runtime.userOf(root, record.config.User ?? "");
    const first = record.observed.startedAt === zeroTime;
    const sources = new Map(imageMounts(record).map(({ mount, layer }) => [mount, layers.mount(layer)]));
    const planned = record.mounts.map((mount) => ({ ...mount, source: sources.get(mount) ?? mount.source }));
    const mounts = await volumes.mount(record.id, planned, { rootfs, first, signal, userOf });
    const files = this.files(record.id);
    await logs.open(record, files.log, signal);
    const sandbox = await attaching;
    this.#tell("connect", record, sandbox.endpoints);
    this.#tellMounts(record);
    const linked = this.linked(record, { strict: true });
    const texts = await this.#nameFiles(linked, sandbox, hostname);
    // A way through the thread pool takes longer than a few lines.
    writeFileSync(files.hosts, texts.hosts);
    writeFileSync(files.resolvConf, texts.resolvConf);
    writeFileSync(files.hostname, `${hostname}\n`);
    const { netnsPath } = sandbox;
    const { pid } = await runtime.create(
      { record: linked, rootfs, netnsPath, hostname, files, mounts, joined },
      { signal, meanwhile: async () => await network.plug(record.id) },
    );
    await runtime.start(record.id);
    undo.move();
    await this.#tellLinked(record);
    return pid;
  }

  /**
   * The record with the variables and host entries of what it is linked to.
   * @throws Fault `internal` in dockerd's words, when strict, for what does not run.
   */
  linked(record: ContainerRecord, o: { readonly strict: boolean }): ContainerRecord {
    const targets = linksOf(record).flatMap(({ reference, alias }): LinkTarget[] => {
      const other = this.#linkTarget(reference);
      const address = other === undefined || !isLive(other) ? undefined : this.#bridgeAddress(other.id);
      if (other !== undefined && address !== undefined) return [{ alias, record: other, address }];
      if (!o.strict) return [];
      const name = `/${other?.name ?? reference}`;
      const as = `AS /${record.name}/${alias}`;
      throw other === undefined || !isLive(other)
        ? new Fault("internal", `Cannot link to a non running container: ${name} ${as}`)
        : new Fault("internal", `Cannot link to ${name}, as it does not belong to the default network`);
    });
    return withTargets(record, targets);
  }

  #linkTarget(id: string): ContainerRecord | undefined {
    try {
      return this.#parts.container(id);
    } catch {
      return undefined;
    }
  }

  #bridgeAddress(id: string): string | undefined {
    const endpoints = this.#parts.network.sandbox(id)?.endpoints ?? [];
    return endpoints.find(({ networkName }) => networkName === "bridge")?.ipAddress || undefined;
  }

  /** Where it has come to, for the hosts files of those that are linked to it and run. */
  async #tellLinked(record: ContainerRecord): Promise<void> {
    const address = this.#bridgeAddress(record.id);
    if (address === undefined) return;
    for (const { record: other, alias } of this.#parts.linkedTo(record.id)) {
      if (!isLive(other)) continue;
      const names = linkNames({ alias, record });
      const { hosts } = this.files(other.id);
      const text = await readFile(hosts, "utf8");
      const lines = text
        .split("\n")
        .map((line) => (line.endsWith(`\t${names}`) ? `${address}\t${names}` : line));
      // In place: the container has the file itself, not its name.
      if (lines.join("\n") !== text) await writeFile(hosts, lines.join("\n"));
    }
  }

  /** From a start on, or from when the engine comes back to a process. */
  attend(record: ContainerRecord): void {
    const { logs, runtime } = this.#parts;
    this.#withVolumes.add(record.id);
    logs.keep(record, this.files(record.id).log, async () => await runtime.reopenLog(record.id));
  }

  /** Gives back process, network and mounts. Idempotent; the first failure is thrown after all were tried. */
  async release(record: ContainerRecord): Promise<void> {
    const { layers, logs, network, runtime, volumes } = this.#parts;
    await using stack = new AsyncDisposableStack();
    stack.defer(async () => await logs.settle(record, this.files(record.id).log));
    stack.defer(() => layers.unmount(record.id));
    for (const { layer } of imageMounts(record)) stack.defer(() => layers.unmount(layer));
    stack.defer(async () => await volumes.unmount(record.id, record.mounts));
    stack.defer(() => this.#tellUnmounts(record));
    stack.defer(async () => this.#tell("disconnect", record, await network.detach(record.id)));
    stack.defer(async () => await runtime.delete(record.id));
  }

  /** Takes away what the container keeps between runs. Idempotent. */
  async discard(record: ContainerRecord, volumes: VolumeRemoval | undefined): Promise<void> {
    const { collectLayers, layers, logs } = this.#parts;
    const files = this.files(record.id);
    const removals = await Promise.allSettled([
      layers.removeWritable(record.id),
      ...imageMounts(record).map(async ({ layer }) => await layers.removeWritable(layer)),
      logs.forget(files.log).then(async () => {
        await rm(files.directory, { recursive: true, force: true });
      }),
    ]);
    for (const removal of removals) if (removal.status === "rejected") throw removal.reason;
    await collectLayers(record.image);
    for (const { chainId } of imageMounts(record)) await collectLayers({ chainId });
    if (volumes !== undefined) await this.#parts.volumes.removeAnonymous(record.mounts, volumes);
  }

  /** Containers on one network stack see one hosts file and one resolver. */
  async #nameFiles(
    record: ContainerRecord,
    sandbox: Sandbox,
    hostname: string,
  ): Promise<{ hosts: string; resolvConf: string }> {
    const joined = this.#joinedNetwork(record);
    if (joined === undefined) return await this.#parts.network.files(record, sandbox, hostname);
    const files = this.files(joined.id);
    const [hosts, resolvConf] = await Promise.all([
      readFile(files.hosts, "utf8"),
      readFile(files.resolvConf, "utf8"),
    ]);
    return { hosts, resolvConf };
  }

  #joinedNetwork(record: ContainerRecord): ContainerRecord | undefined {
    const donor = donorOf(record.host.NetworkMode);
    if (donor === undefined) return undefined;
    const other = this.#parts.container(donor);
    if (!isLive(other))
      throw new Fault("conflict", `cannot join network of a non running container: ${other.id}`);
    return other;
  }

  /** Steps of builds are nobody's business. */
  #tell(action: string, record: ContainerRecord, endpoints: readonly Endpoint[]): void {
    if (record.purpose !== undefined) return;
    for (const { networkId, networkName: name } of endpoints) {
      const type = this.#parts.network.find(networkId)?.driver ?? "";
      this.#parts.emit("network", action, networkId, { container: record.id, name, type });
    }
  }

  #tellMounts(record: ContainerRecord): void {
    if (record.purpose !== undefined) return;
    this.#withVolumes.add(record.id);
    for (const { name, destination, driver = "local", readWrite, propagation } of volumesOf(record))
      this.#parts.emit("volume", "mount", name, {
        ...{ container: record.id, destination, driver, propagation },
        "read/write": String(readWrite),
      });
  }

  #tellUnmounts(record: ContainerRecord): void {
    if (!this.#withVolumes.delete(record.id) || record.purpose !== undefined) return;
    for (const { name, driver = "local" } of volumesOf(record))
      this.#parts.emit("volume", "unmount", name, { container: record.id, driver });
  }

  get machineHostname(): string {
    return this.#parts.machineHostname;
  }

  /** What the container calls itself: as the one whose network it shares, if it does. */
  hostname(record: ContainerRecord): string {
    const joined = this.#joinedNetwork(record);
    return joined === undefined ? record.config.Hostname || record.id.slice(0, 12) : this.hostname(joined);
  }

  /** @throws Fault `conflict` in Docker's words when the container that has the namespace does not run, or is gone. */
  #joined<Kind extends "pid" | "ipc">(kind: Kind, mode: string | undefined): { [Key in Kind]?: number } {
    const donor = donorOf(mode);
    if (donor === undefined) return {};
    const refuse = (why: string): Fault =>
      new Fault("conflict", `failed to join ${kind.toUpperCase()} namespace: ${why}`);
    let other: ContainerRecord;
    try {
      other = this.#parts.container(donor);
    } catch (thrown) {
      throw refuse(Fault.from(thrown).message);
    }
    if (!isLive(other)) throw refuse(`container ${other.id} is not running`);
    return { [kind]: other.observed.pid } as { [Key in Kind]?: number };
  }
}

/** `--storage-opt size=10G`, checked when the container was asked for. */
function rootBytesMax({ StorageOpt }: HostConfig): number | undefined {
  const size = Object.entries(StorageOpt ?? {}).find(([name]) => name.toLowerCase() === "size")?.[1];
  return size === undefined ? undefined : parseByteSize(size, 1024);
}

function volumesOf({ mounts }: ContainerRecord): (MountPoint & { readonly name: string })[] {
  return mounts.flatMap((mount) =>
    mount.type === "volume" && mount.name !== undefined ? [{ ...mount, name: mount.name }] : [],
  );
}
