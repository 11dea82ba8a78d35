/** What the engine needs of the parts, and no more: the parts satisfy it as they are, tests bring doubles. */
import type { Finding } from "#spec/check.ts";
import type {
  ContainerConfig,
  ContainerRecord,
  EndpointSettings,
  HostConfig,
  MountPoint,
  ReadyMount,
} from "#spec/container.ts";
import type { Credentials } from "#spec/credentials.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import type { EngineEvent } from "#spec/event.ts";
import type { Descriptor } from "#spec/image.ts";
import type {
  AuditRow,
  Endpoint,
  NameTrace,
  NetworkCreateRequest,
  NetworkRecord,
  Sandbox,
} from "#spec/network.ts";
import type { Reference } from "#spec/reference.ts";
import type { ContainerTree, ContainerTreeRequest, FileTree } from "#volume/container-tree.ts";
import type { Reality } from "./transition.ts";

export interface Waiting {
  readonly signal: AbortSignal;
}

export interface Frame {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

export interface ConsoleSize {
  readonly height: number;
  readonly width: number;
}

/** A way into a process's stdin. Disposing lets go of it without ending the input. */
export interface Input extends AsyncDisposable {
  /** Resolves when the bytes are handed on. */
  write(bytes: Uint8Array): Promise<void>;
  /** End of file for the process. Idempotent. */
  end(): Promise<void>;
}

/** All that a run needs, acquired: from here on it is the low-level runtime's work. */
export interface RunRequest {
  readonly record: ContainerRecord;
  readonly rootfs: string;
  /** Absent in host mode. */
  readonly netnsPath?: string | undefined;
  readonly hostname: string;
  readonly files: ContainerFiles;
  readonly mounts: readonly ReadyMount[];
  /** Host pids for namespaces joined by `container:<id>` modes. */
  readonly joined: { readonly pid?: number; readonly ipc?: number };
}

/** Files the engine keeps for a container, absolute paths on the host. */
export interface ContainerFiles {
  readonly directory: string;
  readonly log: string;
  readonly hosts: string;
  readonly hostname: string;
  readonly resolvConf: string;
}

export interface ExecSpec {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly user: string;
  readonly cwd: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly privileged: boolean;
  readonly consoleSize?: ConsoleSize | undefined;
  /** A look at the container's health: nothing that should outlive the engine. */
  readonly probe?: boolean | undefined;
}

/** Disposing lets go of its streams: output is dropped from then on, the process goes on. */
export interface ExecSession extends AsyncDisposable {
  readonly pid: number;
  readonly output: AsyncIterable<Frame>;
  readonly input?: Input | undefined;
  readonly exit: Promise<number>;
  resize(size: ConsoleSize): Promise<void>;
  /** Signals its process and what that started. */
  kill(signal: number): Promise<void>;
}

export interface RuntimePart {
  readonly facts: {
    readonly name: "crun" | "runc";
    readonly version: string;
    /** All that containers can ask for by name. */
    readonly installed: readonly string[];
    readonly cdiDirectories: readonly string[];
    readonly conmonVersion: string;
  };
  /** @throws Fault `invalid` or `unsupported` for security options that cannot be. */
  checkSecurity(host: HostConfig): void;
  /**
   * Makes the process, stopped before its first instruction, and does `meanwhile` while that takes; before it, where hooks
   * or settings look at the container's network. On a Fault (`detail.exitCode` 126, 127 or 125) nothing is left.
   */
  create(
    run: RunRequest,
    o: Waiting & { readonly meanwhile: () => Promise<void> },
  ): Promise<{ readonly pid: number }>;
  start(id: string): Promise<void>;
  signal(id: string, signal: number): Promise<void>;
  pause(id: string): Promise<void>;
  resume(id: string): Promise<void>;
  /** Changes the limits of what runs. @throws Fault `invalid` for what the kernel refuses. */
  update(id: string, before: HostConfig, after: HostConfig): Promise<void>;
  /** What is there, for an engine that comes back. */
  reality(id: string): Promise<Reality>;
  /** Ids of everything the runtime holds. */
  list(): Promise<string[]>;
  /** Resolves with the end of the process, also one that came while no engine lived. */
  exit(id: string, o: Waiting): Promise<{ exitCode: number; oomKilled: boolean; finishedAt: string }>;
  /** Resolves when the kernel killed one of its processes for want of memory, or when the signal fires. */
  outOfMemory(id: string, o: Waiting): Promise<void>;
  /** Kills what is left and gives everything back. Idempotent. */
  delete(id: string): Promise<void>;
  input(id: string): Promise<Input>;
  resize(id: string, size: ConsoleSize): Promise<void>;
  /** A descriptor of the root as its process sees it, the caller's to close; undefined when none runs. */
  openRoot(id: string): number | undefined;
  /** By the passwd and group files in `root`. @throws Fault `invalid` for a name that is not there. */
  userOf(root: FileTree, user: string): { readonly uid: number; readonly gid: number };
  /** Has the container's output go on in a new log file. @throws Fault `conflict` when it has ended. */
  reopenLog(id: string): Promise<void>;
  exec(record: ContainerRecord, execId: string, spec: ExecSpec, o: Waiting): Promise<ExecSession>;
  /** Execs of a container that went on without an engine, by their ids; what is left of others goes. */
  adoptExecs(id: string, o: Waiting): Promise<ReadonlyMap<string, ExecSession>>;
  /** Kills what probes of an engine that died left in containers. Idempotent. */
  endProbes(): Promise<void>;
}

/** Connections from within the network of a process. */
export interface ReachPart {
  /** Resolves when it is connected; the connection is closed again. @throws Fault `unavailable` with the reason. */
  tcp(pid: number, to: { readonly host: string; readonly port: number }, o: Waiting): Promise<void>;
  /** Asks with GET. The body may be cut. @throws Fault `unavailable` with the reason. */
  http(
    pid: number,
    to: { readonly host: string; readonly port: number; readonly path: string },
    o: Waiting,
  ): Promise<{ readonly status: number; readonly reason: string; readonly body: Uint8Array }>;
}

/** A container as networks know it. */
export interface NetworkedContainer {
  readonly containerId: string;
  readonly name: string;
  readonly hostname: string;
  readonly config: ContainerConfig;
  readonly host: HostConfig;
}

export interface NetworkPart {
  /** Records against what is on this host. `isKnown` tells ids of containers. */
  findings(o: {
    readonly isKnown: (id: string) => boolean;
    readonly looked: () => void;
  }): AsyncIterable<Finding>;
  /** Puts right what differs from the records; drops what belongs to none of these containers. */
  prepare(live: ReadonlySet<string>): Promise<void>;
  /**
   * Decides and records what the container has: from here on `detach` gives back. Idempotent by container. `joins` is the
   * id of the container whose network it shares.
   */
  attach(
    o: NetworkedContainer & {
      readonly joins?: string | undefined;
      readonly endpoints: ContainerRecord["endpoints"];
      readonly signal: AbortSignal;
    },
  ): Promise<Sandbox>;
  /** Makes what `attach` recorded; nothing of the container may run before. Idempotent. */
  plug(containerId: string): Promise<void>;
  /** @returns The endpoints it had. */
  detach(containerId: string): Promise<readonly Endpoint[]>;
  /** For a container that runs; undefined when it has no sandbox any more. */
  connect(
    o: NetworkedContainer,
    network: NetworkRecord,
    settings: EndpointSettings,
  ): Promise<Sandbox | undefined>;
  /** False when it was not on it. */
  disconnect(o: NetworkedContainer, network: NetworkRecord): Promise<boolean>;
  /**
   * The ports of a running container become those of its request, where they are not.
   * @throws Fault when one of them is taken or cannot be; nothing changed then.
   */
  republish(o: NetworkedContainer): Promise<Sandbox | undefined>;
  /** The container has another name from now on. */
  rename(containerId: string, name: string): void;
  /**
   * Where the container's answer to a name comes from; others are asked for real.
   * @throws Fault `conflict` when it does not run, or asks by itself.
   */
  trace(
    containerId: string,
    o: {
      readonly name: string;
      readonly type: "A" | "AAAA";
      readonly files: { readonly hosts: string; readonly resolvConf: string };
      readonly signal: AbortSignal;
    },
  ): Promise<NameTrace>;
  /** What is reachable from where, and why; with `probe` also what connections say to it. */
  audit(o: {
    readonly probe: boolean;
    readonly signal: AbortSignal;
  }): Promise<{ readonly firewall: string; readonly rows: readonly AuditRow[] }>;
  sandbox(containerId: string): Sandbox | undefined;
  list(): NetworkRecord[];
  get(reference: string): NetworkRecord;
  /** By name or id, without a fault. */
  find(reference: string): NetworkRecord | undefined;
  /** What of the host is in the way of a network, in sentences. */
  warnings(network: NetworkRecord): string[];
  /** @throws Fault `invalid` or `unsupported` naming what is wrong with the settings. */
  check(reference: string, settings: EndpointSettings): void;
  /** @returns A warning, empty for none. */
  create(request: NetworkCreateRequest): Promise<{ network: NetworkRecord; warning: string }>;
  /** @throws Fault `denied` for a predefined network and while containers are on it. */
  remove(reference: string): Promise<NetworkRecord>;
  /** Running containers on a network. */
  members(networkId: string): { containerId: string; name: string; endpoint: Endpoint }[];
  /** Changes a running container's name files after a connect or disconnect, where nobody else changed them. */
  editFiles(
    record: ContainerRecord,
    o: {
      readonly before: Sandbox;
      readonly after: Sandbox;
      readonly files: { readonly hosts: string; readonly resolvConf: string };
      readonly hostname: string;
    },
  ): Promise<void>;
  /** Text of the container's `/etc/hosts` and `/etc/resolv.conf`. */
  files(
    record: ContainerRecord,
    sandbox: Sandbox,
    hostname: string,
  ): Promise<{ hosts: string; resolvConf: string }>;
}

/** How volumes go. */
export interface VolumeRemoval {
  /** For good, not into the trash. */
  readonly now?: boolean | undefined;
  /** What is removed by one request comes back by one; a new one by default. */
  readonly removal?: string | undefined;
}

export interface VolumePart {
  list(): readonly { readonly name: string; readonly labels: Readonly<Record<string, string>> }[];
  /** Records against disk and mounts. `isKnown` tells ids of containers. */
  findings(o: {
    readonly isKnown: (id: string) => boolean;
    readonly looked: () => void;
  }): AsyncIterable<Finding>;
  /** Decides a container's mounts and makes the volumes they name. @throws Fault `invalid` in Docker's words. */
  plan(o: {
    readonly config: ContainerConfig;
    readonly host: HostConfig;
    readonly containerId: string;
    readonly others: (reference: string) => ContainerRecord;
    /** An image that is to be mounted. @throws Fault `not-found`. */
    readonly image: (reference: string) => { readonly id: Digest; readonly chainId?: ChainId };
  }): Promise<MountPoint[]>;
  /**
   * Before a start: makes missing bind directories and has volumes and their parts at paths of this machine; before the
   * first one, fills empty volumes with what the image has at their place. What fails gives back what it had.
   * @returns The same mounts, with the paths. @throws Fault `invalid` for a bind source that is not there.
   */
  mount(
    user: string,
    mounts: readonly MountPoint[],
    o: Waiting & {
      readonly rootfs: string;
      readonly first: boolean;
      readonly userOf: (root: FileTree) => { readonly uid: number; readonly gid: number };
    },
  ): Promise<ReadyMount[]>;
  /** One more user of volumes, of a container that runs already, or to look in. @returns Where they are now. */
  hold(user: string, mounts: readonly MountPoint[], signal: AbortSignal): Promise<MountPoint[]>;
  /** Gives back what `mount` or `hold` gave. Idempotent. */
  unmount(user: string, mounts: readonly MountPoint[]): Promise<void>;
  /** Gives back what an engine that died had for containers that do not run any more. */
  sweep(running: ReadonlySet<string>): Promise<void>;
  /** Those among the mounts that nobody named and no other container has. Idempotent. */
  removeAnonymous(mounts: readonly MountPoint[], o: VolumeRemoval): Promise<void>;
  /** A container's files with its mounts in their places, without mounting anything. */
  tree(o: ContainerTreeRequest): ContainerTree;
}

export interface LayerPart {
  /** Writes down, alone, that a writable layer is about to be made; `createWritable` makes it. */
  claimWritable(id: string, parent: ChainId | undefined, o: { readonly skeleton: boolean }): void;
  /** `skeleton`: with the mount points every container needs, below its changes; these come to `bytesMax` at most. */
  createWritable(
    id: string,
    parent: ChainId | undefined,
    o: { readonly skeleton: boolean; readonly bytesMax?: number | undefined },
  ): Promise<void>;
  /** `brief`: once; afterwards its changes become a layer, or go. */
  mount(id: string, o?: { readonly brief?: boolean }): string;
  /** The same file system for those who look in, mounted or not. Disposing closes nothing but the hold. */
  hold(id: string): Disposable & { readonly descriptor: number };
  /** The same, as a path. */
  look(id: string): Disposable & { readonly path: string };
  unmount(id: string): void;
  /** The directory with the changes alone. */
  writablePath(id: string): string;
  removeWritable(id: string): Promise<void>;
  /** Moves the changes into a layer; the writable layer is gone afterwards. */
  commit(
    id: string,
    o: { readonly consume: boolean; readonly signal: AbortSignal },
  ): Promise<{ readonly chainId: ChainId; readonly diffId: Digest; readonly sizeBytes: number }>;
  /** All that the layers up to `top` show, as one layer that stands on none. */
  flatten(top: ChainId, o: Waiting): Promise<{ readonly chainId: ChainId; readonly diffId: Digest }>;
  changes(
    id: string,
    o: Waiting,
  ): AsyncIterable<{ readonly kind: "added" | "modified" | "deleted"; readonly path: string }>;
  usage(id: string): Promise<number>;
  /** Where the parts of a writable layer are, the lower ones top first. */
  paths(id: string): {
    readonly lower: readonly string[];
    readonly upper: string;
    readonly work: string;
    readonly merged: string;
  };
}

export interface LogPart {
  /** Makes an empty log, so that a stream attached before the first run has a file to follow. Idempotent. */
  prepare(path: string): void;
  /** Before a start: the log is ready to be written. @throws Fault when the receiver of the output cannot be reached. */
  open(record: ContainerRecord, path: string, signal: AbortSignal): Promise<void>;
  /** From a start on, or from when the engine comes back: keeps the log within its limits. */
  keep(record: ContainerRecord, path: string, reopen: () => Promise<void>): void;
  /** False while the disk takes no more of what is written to the log. */
  hasRoom(path: string): boolean;
  /** After the end of a run. Idempotent. */
  settle(record: ContainerRecord, path: string): Promise<void>;
  /** Before the files are removed. Idempotent. */
  forget(path: string): Promise<void>;
  /** Ends with the file once `ended` is settled. `from` says where to begin, decided at the call. */
  read(
    path: string,
    o: {
      readonly stdout: boolean;
      readonly stderr: boolean;
      readonly since?: bigint | undefined;
      readonly until?: bigint | undefined;
      readonly tail?: number | undefined;
      readonly from?: "start" | "end";
      readonly joined?: "plain" | "multiplexed" | undefined;
      readonly follow?: { readonly ended: Promise<unknown> } | undefined;
      readonly signal: AbortSignal;
    },
  ): AsyncIterable<Frame & { readonly timeNano: bigint }>;
}

export interface RegistryAccess extends Waiting {
  readonly credentials?: Credentials | undefined;
}

export type TransferNews =
  | { readonly kind: "receiving"; readonly receivedBytes: number; readonly totalBytes: number }
  | { readonly kind: "waiting"; readonly seconds: number }
  | { readonly kind: "complete" };

/** Verified; disposed unspent it is kept for another attempt. */
export interface FetchedBlob extends AsyncDisposable {
  read(): AsyncIterable<Uint8Array>;
  spend(): void;
}

/** A repository to read from. Faults are in Docker's words. */
export interface RegistrySource {
  /** By tag or digest. */
  manifest(
    of: string,
    signal: AbortSignal,
  ): Promise<{ readonly bytes: Uint8Array; readonly digest: Digest; readonly contentType: string }>;
  digestOf(of: string, signal: AbortSignal): Promise<Digest | undefined>;
  tags(signal: AbortSignal): Promise<string[]>;
  fetch(blob: Descriptor, o: Waiting & { readonly tell: (news: TransferNews) => void }): Promise<FetchedBlob>;
}

/** A repository to write to. */
export interface RegistryTarget {
  hasBlob(digest: Digest, signal: AbortSignal): Promise<number | undefined>;
  /** Takes a blob over from a repository of the same registry; false when that cannot be. */
  mount(digest: Digest, repository: string, signal: AbortSignal): Promise<boolean>;
  /** `open` gives the same bytes each time. */
  upload(
    open: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
    o: Waiting & { readonly begun?: () => void },
  ): Promise<{ readonly digest: Digest; readonly sizeBytes: number }>;
  putManifest(
    reference: string,
    manifest: { readonly bytes: Uint8Array; readonly mediaType: string },
    signal: AbortSignal,
  ): Promise<void>;
}

export interface RegistryPart {
  source(reference: Reference, access: RegistryAccess): RegistrySource;
  target(reference: Reference, access: RegistryAccess): RegistryTarget;
  /** @throws Fault `unauthorized`. */
  signIn(domain: string, access: RegistryAccess): Promise<void>;
  /** Forgets downloads that nobody came back for. */
  sweep(): Promise<void>;
  /** `query` as it goes into the URL. @returns JSON text. */
  search(domain: string, query: string, access: RegistryAccess): Promise<string>;
}

export interface EventPart {
  append(event: EngineEvent): void;
}
