/** What belongs to containers, put together: their life, and all that looks at them or changes them. */

import type { Emit } from "#engine/emit.ts";
import type { Images } from "#engine/images/images.ts";
import { comeBack } from "#engine/lifecycle/boot.ts";
import { checkContainers } from "#engine/lifecycle/container-check.ts";
import type { ContainerIndex } from "#engine/lifecycle/container-index.ts";
import { Launch } from "#engine/lifecycle/launch.ts";
import { Prober } from "#engine/lifecycle/prober.ts";
import { Streams } from "#engine/lifecycle/streams.ts";
import { Supervisor } from "#engine/lifecycle/supervisor.ts";
import { Waiters } from "#engine/lifecycle/waiters.ts";
import type { LogPart, NetworkPart, ReachPart, RuntimePart, VolumePart } from "#engine/parts.ts";
import type { Finding } from "#spec/check.ts";
import type { Fault } from "#spec/fault.ts";
import type { ImageRunConfig } from "#spec/image.ts";
import type { Layers } from "#store/layers/layers.ts";
import type { Records } from "#store/records.ts";
import { Archives } from "./archives.ts";
import { Commits } from "./commits.ts";
import { Containers } from "./containers.ts";
import { ContainersFace } from "./containers-face.ts";
import { ExecMemory } from "./exec-memory.ts";
import { Execs } from "./execs.ts";
import { Looking, type LookingRuntime } from "./looking.ts";
import { NetworkDesk } from "./network-desk.ts";

export interface ContainerRoomParts {
  readonly index: ContainerIndex;
  readonly records: Records;
  readonly layers: Layers;
  readonly images: Images;
  readonly runtime: RuntimePart & LookingRuntime;
  readonly network: NetworkPart;
  readonly reach: ReachPart;
  readonly volumes: VolumePart;
  readonly logs: LogPart;
  readonly machineHostname: string;
  /** Where each container's directory is. */
  readonly containersRoot: string;
  readonly applyChanges: (config: ImageRunConfig, changes: readonly string[]) => ImageRunConfig;
  readonly emit: Emit;
  readonly randomHex: (bytes: number) => string;
  readonly now: () => string;
  readonly nowNano: () => bigint;
  readonly report: (fault: Fault) => void;
}

export interface ContainerRoom {
  readonly containers: ContainersFace;
  readonly archives: Archives;
  readonly commits: Commits;
  /** What of containers is not as recorded. */
  readonly findings: (looked: () => void) => AsyncIterable<Finding>;
  readonly looking: Looking;
  readonly networks: NetworkDesk;
  /** What watches containers until it is disposed of. */
  readonly running: readonly Disposable[];
}

/** When it returns, the records of containers say what is. */
export async function openContainerRoom(parts: ContainerRoomParts): Promise<ContainerRoom> {
  const waiters = new Waiters();
  const launch = openLaunch(parts);
  const prober: Prober = new Prober({
    ...parts,
    happen: async (...what) => await supervisor.happen(...what),
  });
  const supervisor = new Supervisor({ ...parts, launch, waiters, prober });
  const shared = { ...parts, launch, supervisor, waiters };
  const containers = new Containers(shared);
  const execs = new Execs({
    ...shared,
    memory: new ExecMemory(parts.records, parts.nowNano),
    linked: (record) => launch.linked(record, { strict: false }),
  });
  const face = new ContainersFace({ ...shared, containers, execs, streams: new Streams(shared) });
  await comeBack(shared);
  const paused = parts.records.table<true>("commit-pauses");
  const commits = new Commits({ ...shared, paused, containers });
  await commits.comeBack();
  await execs.comeBack();
  return {
    containers: face,
    archives: new Archives(shared),
    commits,
    findings: (looked) => checkContainers({ ...shared, ...parts }, looked),
    looking: new Looking(shared),
    networks: new NetworkDesk(shared),
    running: [prober, supervisor, execs],
  };
}

function openLaunch(parts: ContainerRoomParts): Launch {
  const { images, index, containersRoot: root } = parts;
  return new Launch({
    ...parts,
    root,
    collectLayers: async ({ id, chainId }) => {
      // While the image is there, all its layers are needed.
      if (id === undefined || images.configOf(id) === undefined) await images.collectLayers(chainId);
    },
    container: (reference) => index.get(reference),
    linkedTo: (id) => index.linkedTo(id),
  });
}
