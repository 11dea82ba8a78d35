/**
 * The engine of one machine: its parts, put together.
 * Owns: the order in which they come up and go down. Promises: when `open` returns, records and reality agree; disposing
 * stops the engine, never a container. Never: decides anything itself.
 */
import { join } from "node:path";
import type { ContainerRecord } from "#spec/container.ts";
import type { Digest } from "#spec/digest.ts";
import type { EngineEvent } from "#spec/event.ts";
import type { Fault } from "#spec/fault.ts";
import type { ImageRunConfig } from "#spec/image.ts";
import type { PublishedPort, Sandbox } from "#spec/network.ts";
import { formatRfc3339 } from "#spec/unix-time.ts";
import type { Blobs } from "#store/blobs.ts";
import type { Layers } from "#store/layers.ts";
import type { Records } from "#store/records.ts";
import type { LogConfig } from "#telemetry/log-config.ts";
import { Archives } from "./archives.ts";
import { comeBack } from "./boot.ts";
import { Commits } from "./commits.ts";
import { ContainerIndex } from "./container-index.ts";
import { Containers } from "./containers.ts";
import { type ContainerDetail, ContainersFace } from "./containers-face.ts";
import { DiskUse } from "./disk-use.ts";
import type { Emit } from "./emit.ts";
import { ExecMemory } from "./exec-memory.ts";
import { Execs } from "./execs.ts";
import type { ImageCollector } from "./image-collector.ts";
import { type ImageArchives, openImageRoom } from "./image-room.ts";
import type { Images } from "./images.ts";
import { Launch } from "./launch.ts";
import { isLive } from "./lifecycle.ts";
import { Looking, type LookingRuntime } from "./looking.ts";
import { NetworkDesk } from "./network-desk.ts";
import type {
  EventPart,
  LogPart,
  NetworkPart,
  ReachPart,
  RegistryPart,
  RuntimePart,
  VolumePart,
} from "./parts.ts";
import { Prober } from "./prober.ts";
import { Streams } from "./streams.ts";
import { Supervisor } from "./supervisor.ts";
import { type MachineFacts, System } from "./system.ts";
import type { Transfers } from "./transfers.ts";
import { Waiters } from "./waiters.ts";

export type { ContainerDetail, PublishedPort, Sandbox };

/** Ids of containers. */
export interface VolumeUsers {
  readonly usersOf: (volume: string) => string[];
  readonly runningUsersOf: (volume: string) => string[];
}

/** The volumes as requests see them, beside what a start needs of them. */
export interface EngineParts<Volumes extends VolumePart, Events extends EventPart> {
  readonly records: Records;
  readonly blobs: Blobs;
  readonly layers: Layers;
  readonly runtime: RuntimePart & LookingRuntime;
  readonly network: NetworkPart;
  readonly registry: RegistryPart;
  readonly reach: ReachPart;
  readonly volumes: (users: VolumeUsers) => Volumes | Promise<Volumes>;
  readonly logs: LogPart;
  readonly events: Events;
  readonly machine: () => MachineFacts;
  readonly dataRoot: string;
  /** Where each container's directory is. */
  readonly containersRoot: string;
  /** They may change while the engine runs. */
  readonly labels: () => readonly string[];
  readonly logConfig: LogConfig;
  readonly applyChanges: (config: ImageRunConfig, changes: readonly string[]) => ImageRunConfig;
  readonly randomHex: (bytes: number) => string;
  readonly nowNano: () => bigint;
  /** Told of what fails where no request is there to be told. */
  readonly report: (fault: Fault) => void;
}

export class Engine<Volumes extends VolumePart = VolumePart, Events extends EventPart = EventPart>
  implements Disposable
{
  readonly containers: ContainersFace;
  readonly archives: Archives;
  readonly commits: Commits;
  readonly looking: Looking;
  readonly diskUse: DiskUse;
  readonly images: Images;
  readonly collector: ImageCollector;
  readonly transfers: Transfers;
  readonly imageArchives: ImageArchives;
  readonly networks: NetworkDesk;
  readonly volumes: Volumes;
  readonly events: Events;
  readonly system: System;
  readonly #running: readonly Disposable[];

  private constructor(o: {
    readonly containers: ContainersFace;
    readonly archives: Archives;
    readonly commits: Commits;
    readonly looking: Looking;
    readonly diskUse: DiskUse;
    readonly images: Images;
    readonly collector: ImageCollector;
    readonly transfers: Transfers;
    readonly imageArchives: ImageArchives;
    readonly networks: NetworkDesk;
    readonly volumes: Volumes;
    readonly events: Events;
    readonly system: System;
    readonly running: readonly Disposable[];
  }) {
    this.containers = o.containers;
    this.archives = o.archives;
    this.commits = o.commits;
    this.looking = o.looking;
    this.diskUse = o.diskUse;
    this.images = o.images;
    this.collector = o.collector;
    this.transfers = o.transfers;
    this.imageArchives = o.imageArchives;
    this.networks = o.networks;
    this.volumes = o.volumes;
    this.events = o.events;
    this.system = o.system;
    this.#running = o.running;
  }

  /** Opens the engine and puts right what differs from its records. The parts stay the caller's to close. */
  static async open<Volumes extends VolumePart, Events extends EventPart>(
    parts: EngineParts<Volumes, Events>,
  ): Promise<Engine<Volumes, Events>> {
    const { records, layers, runtime, network, logs, events, report, randomHex } = parts;
    const index = new ContainerIndex(records);
    const waiters = new Waiters();
    const emit = emitter(parts);
    const now = () => formatRfc3339(parts.nowNano());
    const { images, collector, transfers, imageArchives } = await openImageRoom({
      ...parts,
      ...{ emit, now },
      architecture: parts.machine().architecture,
      spoolRoot: join(parts.dataRoot, "spool"),
      containersOf: (id) => containersOf(index, id),
    });
    const volumes = await parts.volumes({
      usersOf: (name) => usersOf(index, name).map(({ id }) => id),
      runningUsersOf: (name) =>
        usersOf(index, name)
          .filter(isLive)
          .map(({ id }) => id),
    });
    const launch = new Launch({
      layers,
      logs,
      network,
      runtime,
      volumes,
      root: parts.containersRoot,
      machineHostname: parts.machine().hostname,
      collectLayers: async ({ id, chainId }) => {
        // While the image is there, all its layers are needed.
        if (id === undefined || images.configOf(id) === undefined) await images.collectLayers(chainId);
      },
      container: (reference) => index.get(reference),
      linkedTo: (id) => index.linkedTo(id),
      emit,
    });
    const prober = new Prober({
      ...{ index, runtime, emit, randomHex, now, report, reach: parts.reach },
      happen: async (...what) => await supervisor.happen(...what),
    });
    const supervisor = new Supervisor({ index, launch, runtime, waiters, prober, emit, now, report });
    const shared = {
      ...{ index, images, launch, network, supervisor, runtime, volumes, waiters, emit, now, randomHex },
    };
    const lifecycle = new Containers(shared);
    const memory = new ExecMemory(records, parts.nowNano);
    const execs = new Execs({
      ...{ index, runtime, memory, emit, randomHex, report },
      linked: (record) => launch.linked(record, { strict: false }),
    });
    const containers = new ContainersFace({
      index,
      images,
      layers,
      launch,
      network,
      containers: lifecycle,
      streams: new Streams({ index, launch, logs, runtime, waiters, emit }),
      execs,
      randomHex,
    });
    const archives = new Archives({ index, layers, volumes, runtime, launch, emit });
    await comeBack({ index, supervisor, runtime, network, volumes, layers, report });
    const paused = records.table<true>("commit-pauses");
    const { applyChanges } = parts;
    const commits = new Commits({
      ...{ index, images, layers, paused, applyChanges, emit, now, report },
      containers: lifecycle,
    });
    await commits.comeBack();
    await execs.comeBack();
    await images.collectAllLayers();
    const system = new System({ ...parts, newId: () => randomHex(16) });
    const networks = new NetworkDesk({ index, network, launch, supervisor, emit });
    const looking = new Looking({ index, runtime, emit, now });
    const diskUse = new DiskUse({ images, layers });
    return new Engine({
      ...{ containers, archives, commits, looking, diskUse, images, collector },
      ...{ transfers, imageArchives },
      ...{ networks, volumes, events, system },
      running: [collector, prober, supervisor, execs],
    });
  }

  /** Stops watching; containers run on. Idempotent. */
  [Symbol.dispose](): void {
    for (const each of this.#running) each[Symbol.dispose]();
  }
}

function emitter(parts: { readonly events: EventPart; readonly nowNano: () => bigint }): Emit {
  return (type, action, id, attributes) => {
    const event: EngineEvent = { type, action, actor: { id, attributes }, timeNano: parts.nowNano() };
    parts.events.append(event);
  };
}

function containersOf(index: ContainerIndex, image: Digest): ContainerRecord[] {
  return index
    .list()
    .filter(({ image: { id }, mounts }) => id === image || mounts.some((mount) => mount.image?.id === image));
}

function usersOf(index: ContainerIndex, volume: string): ContainerRecord[] {
  return index.list().filter(({ mounts }) => mounts.some(({ name }) => name === volume));
}
