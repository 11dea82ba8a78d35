/** What the api needs of the engine, and no more; `Engine` satisfies it as it is, tests bring a double. */
import type { CheckLine } from "#spec/check.ts";
import type {
  ContainerConfig,
  ContainerRecord,
  CreateRequest,
  EndpointSettings,
  HostConfig,
  PortBinding,
} from "#spec/container.ts";
import type { Credentials } from "#spec/credentials.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import type { JsonMessage } from "#spec/docker-wire.ts";
import type { EngineEvent } from "#spec/event.ts";
import type { Filters } from "#spec/filters.ts";
import type { Descriptor, ImageConfig, Platform } from "#spec/image.ts";
import type { MachineLimits } from "#spec/machine-limits.ts";
import type {
  AuditRow,
  Endpoint,
  NameTrace,
  NetworkCreateRequest,
  NetworkRecord,
  Sandbox,
} from "#spec/network.ts";
import type { LogConfig } from "#telemetry/log-config.ts";
import type { EngineDiskUse, EngineLooking } from "./looking-face.ts";
import type { EngineVolumes, VolumeRemoval } from "./volumes-face.ts";

export interface Waiting {
  readonly signal: AbortSignal;
}

export interface Frame {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

export interface LogLine extends Frame {
  readonly timeNano: bigint;
}

/** A session with a container's or an exec's streams. Disposing detaches; it stops nothing. */
export interface Attachment extends AsyncDisposable {
  readonly tty: boolean;
  /** Ends with the process. */
  readonly output: AsyncIterable<Frame>;
  /** Absent when stdin was not asked for or is not open. */
  readonly input?: { write(bytes: Uint8Array): Promise<void>; end(): Promise<void> } | undefined;
  /** The client left by the keys for that. */
  detached(): void;
}

/** A container's record and its networks. */
export type ContainerGlance = Pick<ContainerDetail, "record" | "sandbox" | "networks" | "aliases">;

export interface ContainerDetail {
  readonly record: ContainerRecord;
  readonly sandbox?: Sandbox | undefined;
  readonly paths: {
    readonly log: string;
    readonly hosts: string;
    readonly hostname: string;
    readonly resolvConf: string;
  };
  readonly execIds: readonly string[];
  /** As inspect shows them: `/db:/web/alias`. */
  readonly links: readonly string[] | null;
  /** What those call it that are linked to it: `/web/db`. */
  readonly aliases: readonly string[];
  /** Those it is on, or will be on when it runs; the id is empty for one that is not there. */
  readonly networks: readonly { readonly id: string; readonly name: string }[];
  /** Where the root file system's parts are on disk; lower ones top first. */
  readonly rootfs?:
    | {
        readonly lower: readonly string[];
        readonly upper: string;
        readonly work: string;
        readonly merged: string;
      }
    | undefined;
}

export interface ConsoleSize {
  readonly height: number;
  readonly width: number;
}

/** The body of `POST /containers/{id}/exec`. */
export interface ExecRequest {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly user: string;
  readonly cwd: string;
  readonly tty: boolean;
  readonly privileged: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly detachKeys: string;
  readonly consoleSize?: ConsoleSize | undefined;
}

export interface ExecRecord {
  readonly id: string;
  readonly containerId: string;
  readonly request: ExecRequest;
  readonly running: boolean;
  /** Undefined until it ended. */
  readonly exitCode?: number | undefined;
  readonly pid: number;
}

export interface EngineContainers {
  create(request: CreateRequest, o: Waiting): Promise<{ id: string; warnings: string[] }>;
  /** False when it was running already. */
  start(ref: string, o: Waiting): Promise<boolean>;
  /** False when it was not running. */
  stop(
    ref: string,
    o: Waiting & { timeoutSeconds?: number | undefined; stopSignal?: string | undefined },
  ): Promise<boolean>;
  restart(
    ref: string,
    o: Waiting & { timeoutSeconds?: number | undefined; stopSignal?: string | undefined },
  ): Promise<void>;
  kill(ref: string, signalName: string | undefined, o: { readonly signal: AbortSignal }): Promise<void>;
  pause(ref: string): Promise<void>;
  unpause(ref: string): Promise<void>;
  rename(ref: string, name: string): Promise<void>;
  /** Fields that are absent or zero stay. */
  update(ref: string, changes: HostConfig, o: Waiting): Promise<void>;
  /** A protected one is not removed. */
  protect(ref: string, on: boolean): Promise<void>;
  /** Without `volumes` those that nobody named stay. */
  remove(ref: string, o: Waiting & { force: boolean; volumes: VolumeRemoval | undefined }): Promise<void>;
  /** `/web/db`: what one container calls another. */
  removeLink(ref: string): Promise<void>;
  /** @throws Fault `not-found` at once. */
  wait(
    ref: string,
    condition: "not-running" | "next-exit" | "removed",
    o: Waiting,
  ): { readonly exit: Promise<{ exitCode: number; error?: string | undefined }> };
  list(o: { all: boolean; limit?: number | undefined; filters: Filters }): ContainerRecord[];
  get(ref: string): ContainerRecord;
  /** What a list shows of it: much less work. */
  glance(ref: string): ContainerGlance;
  detail(ref: string): ContainerDetail;
  size(ref: string): Promise<{ rw: number; rootFs: number }>;
  logs(
    ref: string,
    o: Waiting & {
      stdout: boolean;
      stderr: boolean;
      since?: bigint | undefined;
      until?: bigint | undefined;
      follow: boolean;
      tail?: number | undefined;
      /** Lines come many at once, with no time of their own: much faster. `multiplexed`: as Docker's frames, one a line. */
      joined?: "plain" | "multiplexed" | undefined;
    },
  ): AsyncIterable<LogLine>;
  attach(
    ref: string,
    o: Waiting & { logs: boolean; stream: boolean; stdin: boolean; stdout: boolean; stderr: boolean },
  ): Promise<Attachment>;
  resize(ref: string, size: ConsoleSize): Promise<void>;
  createExec(ref: string, request: ExecRequest): string;
  /** @throws Fault `not-found`, or `conflict` for one that cannot be started now. */
  startableExec(execId: string): ExecRecord;
  startExec(
    execId: string,
    o: Waiting & { detach: boolean; consoleSize?: ConsoleSize | undefined },
  ): Promise<Attachment | undefined>;
  inspectExec(execId: string): ExecRecord;
  killExec(execId: string, signalName: string): Promise<void>;
  resizeExec(execId: string, size: ConsoleSize): Promise<void>;
}

export interface PathDescription {
  readonly name: string;
  readonly sizeBytes: number;
  /** In the bits of Go's `fs.FileMode`. */
  readonly goMode: number;
  /** RFC 3339. */
  readonly mtime: string;
  /** Absolute; empty unless the path is a link. */
  readonly linkTarget: string;
}

/** Files in and out of containers. Streams hold nothing before they are read. */
export interface EngineArchives {
  /** @throws Fault `not-found`, as the others. */
  stat(ref: string, path: string, o: Waiting): Promise<PathDescription>;
  read(
    ref: string,
    path: string,
    o: Waiting,
  ): Promise<{ readonly stat: PathDescription; readonly tar: AsyncIterable<Uint8Array> }>;
  export(ref: string, o: Waiting): AsyncIterable<Uint8Array>;
  write(
    ref: string,
    tar: AsyncIterable<Uint8Array>,
    o: Waiting & { path: string; keepKinds: boolean; asUser: boolean },
  ): Promise<void>;
  changes(
    ref: string,
    o: Waiting,
  ): AsyncIterable<{ readonly kind: "added" | "modified" | "deleted"; readonly path: string }>;
}

/** Images made of what is here. Each answers with an image's id. */
export interface EngineCommits {
  commit(
    ref: string,
    o: Waiting & {
      config?: ContainerConfig | undefined;
      changes: readonly string[];
      author: string;
      comment: string;
      pause: boolean;
      name?: string | undefined;
    },
  ): Promise<Digest>;
  squash(ref: string, o: Waiting & { name?: string | undefined }): Promise<Digest>;
}

export interface ImageDetail {
  readonly record: {
    readonly id: Digest;
    readonly parent?: Digest | undefined;
    readonly created: string;
    readonly sizeBytes: number;
    /** Of its topmost layer; absent where it has none. */
    readonly chainId?: ChainId | undefined;
    /** When it was last given a name. */
    readonly tagged?: string | undefined;
    /** A step of a build, of no use but for the next one. */
    readonly intermediate?: boolean;
  };
  readonly config: ImageConfig;
  /** Familiar names with tags: `alpine:3`. */
  readonly references: readonly string[];
}

export interface HistoryLine {
  /** Undefined for steps whose image is not here. */
  readonly id?: Digest | undefined;
  readonly created: string;
  readonly createdBy: string;
  readonly comment: string;
  readonly sizeBytes: number;
  readonly references: readonly string[];
}

/** An image of one platform behind a name. */
export interface ImageVariant {
  readonly id: Digest;
  readonly descriptor: Descriptor;
  readonly platform: Platform;
  readonly sizeBytes: number;
  readonly containers: readonly string[];
}

/** Clearing away what nothing needs. */
export interface EngineCollector {
  /** Every blob and why it is kept. */
  explain(
    nowMs: number,
  ): Promise<{ readonly digest: Digest; readonly sizeBytes: number; readonly reasons: readonly string[] }[]>;
}

export interface EngineImages {
  import(
    tar: AsyncIterable<Uint8Array>,
    o: Waiting & {
      reference?: string | undefined;
      changes: string[];
      message?: string | undefined;
      platform?: string | undefined;
    },
  ): Promise<Digest>;
  /** @throws Fault `not-found`, also when it is here only for another platform. */
  get(ref: string, platform?: Platform): ImageDetail;
  list(o: { all: boolean; filters: Filters }): ImageDetail[];
  /** Everything a name stands for, one image for each platform, the name's own first. */
  candidates(reference: string): ImageDetail[];
  /** What the image's names stand for on each platform, itself first. */
  variants(id: Digest): ImageVariant[];
  /** Bytes of layers that other images have too, by image. */
  sharedSizes(): ReadonlyMap<Digest, number>;
  tag(ref: string, target: string): void;
  remove(
    ref: string,
    o: { force: boolean; noPrune: boolean },
  ): Promise<({ untagged: string } | { deleted: string; freedBytes: number })[]>;
  history(ref: string, platform?: Platform): HistoryLine[];
}

export interface RegistryAccess extends Waiting {
  readonly credentials?: Credentials | undefined;
}

export interface TransferRequest extends RegistryAccess {
  readonly name: string;
  /** A tag, or a digest. */
  readonly tag?: string | undefined;
  readonly platform?: string | undefined;
  readonly tell: (message: JsonMessage) => void;
}

/** To and from registries. Faults are in Docker's words. */
export interface EngineTransfers {
  /** Every tag when none is given. */
  pull(o: TransferRequest): Promise<void>;
  push(o: TransferRequest): Promise<void>;
  inspect(
    name: string,
    o: RegistryAccess,
  ): Promise<{
    readonly descriptor: Descriptor;
    readonly platforms: readonly Platform[];
    /** The text of the manifest or index. */
    readonly manifest: string;
  }>;
  /** A list of manifests that are in its registry already, each under the name given with it. */
  pushList(
    name: string,
    list: {
      readonly text: string;
      readonly manifests: readonly { readonly name: string; readonly digest: Digest }[];
    },
    o: RegistryAccess,
  ): Promise<void>;
  signIn(serverAddress: string, o: RegistryAccess): Promise<void>;
  /** @returns JSON of registry API 1. */
  search(term: string, limit: number, o: RegistryAccess): Promise<string>;
}

/** One running container's attachment to one network. */
export interface NetworkMember {
  readonly containerId: string;
  readonly name: string;
  readonly endpoint: Endpoint;
}

/** Images in and out of archives. */
export interface EngineImageArchives {
  load(
    archive: AsyncIterable<Uint8Array>,
    o: Waiting & {
      platforms: readonly Platform[];
      quiet: boolean;
      tell: (message: JsonMessage) => void;
    },
  ): Promise<void>;
  /** @throws Fault `not-found` before anything is read. */
  save(
    references: readonly string[],
    o: Waiting & { platforms: readonly Platform[] },
  ): Promise<AsyncIterable<Uint8Array>>;
}

export interface EngineNetworks {
  list(): NetworkRecord[];
  /** @throws Fault `not-found`. */
  get(ref: string): NetworkRecord;
  members(networkId: string): NetworkMember[];
  /** What of the host is in its way, in sentences. */
  warnings(network: NetworkRecord): string[];
  create(request: NetworkCreateRequest): Promise<{ id: string; warning: string }>;
  /** @throws Fault `denied` for a predefined network and while containers are on it. */
  remove(ref: string): Promise<void>;
  /** @returns The names of those removed. */
  prune(wanted: (network: NetworkRecord) => boolean): Promise<string[]>;
  connect(ref: string, o: { container: string; settings: EndpointSettings }): Promise<void>;
  disconnect(ref: string, o: { container: string; force: boolean }): Promise<void>;
  /** Opens and closes ports of a container, running or not. @throws Fault `not-found` for one that is not published. */
  publish(container: string, changes: { add: PortMap; remove: PortMap }): Promise<void>;
  /** What is reachable from where, and why; with `probe` also what connections say to it. */
  audit(o: {
    readonly probe: boolean;
    readonly signal: AbortSignal;
  }): Promise<{ readonly firewall: string; readonly rows: readonly AuditRow[] }>;
  /**
   * Where the container's answer to a name comes from; others are asked for real.
   * @throws Fault `conflict` when it does not run, or asks by itself.
   */
  trace(
    container: string,
    o: { readonly name: string; readonly type: "A" | "AAAA"; readonly signal: AbortSignal },
  ): Promise<NameTrace>;
}

/** By container port, `80/tcp`; null or empty: any port of the host, or all of them. */
export type PortMap = Readonly<Record<string, readonly PortBinding[] | null>>;

export interface EngineEvents {
  /** Tells that things nobody used were removed, and how many bytes that gave back. */
  pruned(type: "container" | "image" | "volume" | "network" | "builder", reclaimedBytes: number): void;
  /** Stored events in order, then, unless `until` has passed, new ones. Ends at `until` or with the signal. */
  replay(sinceNano: bigint, untilNano?: bigint): Iterable<EngineEvent>;
  follow(o: Waiting): AsyncIterable<EngineEvent>;
}

/** What `info` and `version` tell of the machine and the engine. */
export interface SystemFacts {
  /** Of this engine, the same over restarts. */
  readonly id: string;
  readonly hostname: string;
  readonly dataRoot: string;
  readonly kernelVersion: string;
  /** `x86_64`. */
  readonly machine: string;
  readonly operatingSystem: string;
  readonly osVersion: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly cgroupVersion: "1" | "2";
  readonly runtimeName: "crun" | "runc";
  readonly runtimeVersion: string;
  readonly conmonVersion: string;
  readonly labels: readonly string[];
  readonly limits: MachineLimits;
  /** Low-level runtimes containers can ask for. */
  readonly runtimes: readonly string[];
  /** Where specifications of CDI devices are looked for. */
  readonly cdiDirectories: readonly string[];
  /** What containers get that ask for no driver of logs. */
  readonly logConfig: LogConfig;
  /** Of the data root, in Docker's words. */
  readonly fileSystem: string;
  readonly limitsRootSizes: boolean;
  /** What AppArmor keeps containers to that ask for no profile; undefined where there is none. */
  readonly apparmorProfile: string | undefined;
}

export interface EngineFace {
  readonly containers: EngineContainers;
  readonly archives: EngineArchives;
  readonly commits: EngineCommits;
  readonly looking: EngineLooking;
  readonly diskUse: EngineDiskUse;
  readonly images: EngineImages;
  readonly collector: EngineCollector;
  readonly transfers: EngineTransfers;
  readonly imageArchives: EngineImageArchives;
  readonly networks: EngineNetworks;
  readonly volumes: EngineVolumes<Pick<EngineArchives, "stat" | "read" | "write">>;
  readonly events: EngineEvents;
  readonly system: { facts(): SystemFacts };
  readonly check: {
    /** Findings as they come, the summary last. @throws Fault `conflict` while another one runs. */
    run(o: Waiting & { repair: boolean }): AsyncIterable<CheckLine>;
  };
}
