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
import type { Layers } from "#store/layers/layers.ts";
import type { Records } from "#store/records.ts";
import type { LogConfig } from "#telemetry/log-config.ts";
import type { Archives } from "./containers/archives.ts";
import type { Commits } from "./containers/commits.ts";
import { openContainerRoom } from "./containers/container-room.ts";
import type { ContainerDetail, ContainersFace } from "./containers/containers-face.ts";
import type { Looking, LookingRuntime } from "./containers/looking.ts";
import type { NetworkDesk } from "./containers/network-desk.ts";
import { DiskUse } from "./disk-use.ts";
import type { Emit } from "./emit.ts";
import { type ImageArchives, openImageRoom } from "./image-room.ts";
import type { ImageCollector } from "./images/image-collector.ts";
import type { Images } from "./images/images.ts";
import { ContainerIndex } from "./lifecycle/container-index.ts";
import { isLive } from "./lifecycle/lifecycle.ts";
import type {
  EventPart,
  LogPart,
  NetworkPart,
  ReachPart,
  RegistryPart,
  RuntimePart,
  VolumePart,
} from "./parts.ts";
import { type MachineFacts, System } from "./system.ts";
import { SystemCheck } from "./system-check.ts";
import type { Transfers } from "./transfers/transfers.ts";

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

/** What requests see of an engine. Disposing stops watching; containers run on. Idempotent. */
export interface Engine<Volumes extends VolumePart = VolumePart, Events extends EventPart = EventPart>
  extends Disposable {
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
  readonly check: SystemCheck;
}

/** Opens the engine and puts right what differs from its records. The parts stay the caller's to close. */
export async function openEngine<Volumes extends VolumePart, Events extends EventPart>(
  parts: EngineParts<Volumes, Events>,
): Promise<Engine<Volumes, Events>> {
  const { records, events, randomHex } = parts;
  const index = new ContainerIndex(records);
  const shared = { ...parts, index, emit: emitter(parts), now: () => formatRfc3339(parts.nowNano()) };
  const imageRoom = await openImageRoom({
    ...shared,
    architecture: parts.machine().architecture,
    spoolRoot: join(parts.dataRoot, "spool"),
    containersOf: (id) => containersOf(index, id),
  });
  const { images, collector } = imageRoom;
  const volumes = await parts.volumes({
    usersOf: (name) => usersOf(index, name).map(({ id }) => id),
    runningUsersOf: (name) =>
      usersOf(index, name)
        .filter(isLive)
        .map(({ id }) => id),
  });
  const { running, findings, ...containerRoom } = await openContainerRoom({
    ...shared,
    ...{ images, volumes, machineHostname: parts.machine().hostname },
  });
  await images.collectAllLayers();
  const system = new System({ ...parts, newId: () => randomHex(16) });
  const diskUse = new DiskUse({ ...parts, collector, volumes });
  const check = new SystemCheck({ ...parts, index, images, collector, volumes, containers: findings });
  return {
    ...{ ...imageRoom, ...containerRoom, check, diskUse, volumes, events, system },
    [Symbol.dispose]() {
      for (const each of [collector, ...running]) each[Symbol.dispose]();
    },
  };
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
