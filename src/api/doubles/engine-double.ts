/** For tests only: an engine that remembers what it was asked and answers what the test told it. */

import type {
  Attachment,
  EngineContainers,
  EngineFace,
  ExecRecord,
  ExecRequest,
  Frame,
  HistoryLine,
  ImageDetail,
  LogLine,
} from "#api/engine-face.ts";
import type { VolumeRecord } from "#api/volumes-face.ts";
import {
  type ContainerConfig,
  type ContainerRecord,
  type CreateRequest,
  type HostConfig,
  parseContainerId,
  zeroTime,
} from "#spec/container.ts";
import { parseDigest } from "#spec/digest.ts";
import type { JsonMessage } from "#spec/docker-wire.ts";
import type { EngineEvent } from "#spec/event.ts";
import { Fault } from "#spec/fault.ts";
import type { MachineLimits } from "#spec/machine-limits.ts";
import type { Sandbox } from "#spec/network.ts";
import type { UsageSample } from "#spec/usage.ts";
import { diskUseDouble, lookingDouble } from "./looking-double.ts";
import { networksDouble } from "./network-double.ts";
import { collectorDouble, imageArchivesDouble, transfersDouble, variantsDouble } from "./transfers-double.ts";
import { volumesDouble } from "./volumes-double.ts";

const imageId = parseDigest(`sha256:${"1".repeat(64)}`);

export function containerRecord(
  n: number,
  given: {
    name?: string;
    config?: ContainerConfig;
    host?: HostConfig;
    observed?: Partial<ContainerRecord["observed"]>;
  } = {},
): ContainerRecord {
  return {
    id: parseContainerId(n.toString(16).padStart(12, "0") + "f".repeat(52)),
    name: given.name ?? `c${n}`,
    created: `2026-11-24T10:00:0${n}.123456789Z`,
    image: { reference: "busybox", id: imageId },
    config: { Image: "busybox", Cmd: ["sleep", "1 2"], Hostname: "host", ...given.config },
    host: { NetworkMode: "bridge", ...given.host },
    endpoints: {},
    mounts: [],
    desired: "stopped",
    observed: {
      status: "created",
      pid: 0,
      exitCode: 0,
      error: "",
      oomKilled: false,
      startedAt: zeroTime,
      finishedAt: zeroTime,
      ...given.observed,
    },
    run: 0,
    restartCount: 0,
    restartDelayMs: 0,
    manuallyStopped: false,
  };
}

export const imageDetail: ImageDetail = {
  record: { id: imageId, created: "2026-11-24T09:00:00Z", sizeBytes: 1234 },
  config: {
    architecture: "amd64",
    os: "linux",
    created: "2026-11-24T09:00:00.5Z",
    config: { Cmd: ["sh"], Labels: { a: "b" } },
    rootfs: { type: "layers", diff_ids: [imageId] },
    history: [{ comment: "Imported from -" }],
  },
  references: ["busybox:latest", `busybox@${imageId}`],
};

/** Frames a test pushes by hand. */
export class FakeAttachment implements Attachment {
  readonly tty: boolean;
  readonly received: string[] = [];
  inputEnded = false;
  disposed = false;
  left = false;
  readonly input: NonNullable<Attachment["input"]> = {
    write: async (bytes) => {
      this.received.push(Buffer.from(bytes).toString());
    },
    end: async () => {
      this.inputEnded = true;
    },
  };
  #frames: Frame[] = [];
  #ended = false;
  #wake = Promise.withResolvers<void>();

  constructor(tty: boolean) {
    this.tty = tty;
  }

  detached(): void {
    this.left = true;
  }

  push(stream: Frame["stream"], text: string): void {
    this.#frames.push({ stream, bytes: Buffer.from(text) });
    this.#wake.resolve();
  }

  finish(): void {
    this.#ended = true;
    this.#wake.resolve();
  }

  get output(): AsyncIterable<Frame> {
    return this.#read();
  }

  async *#read(): AsyncGenerator<Frame> {
    for (;;) {
      const frame = this.#frames.shift();
      if (frame !== undefined) yield frame;
      else if (this.#ended) return;
      else {
        await this.#wake.promise;
        this.#wake = Promise.withResolvers();
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
    this.finish();
  }
}

export class EngineDouble implements EngineFace {
  asked: unknown[][] = [];
  records: ContainerRecord[] = [];
  sandboxes: Record<string, Sandbox> = {};
  /** What start and stop answer: false for "already so". */
  changes = true;
  attachment = new FakeAttachment(false);
  execs: Record<string, ExecRecord> = {};
  startExecFault: Fault | undefined;
  exit = Promise.withResolvers<{ exitCode: number; error?: string }>();
  logLines: LogLine[] = [];
  images_: ImageDetail[] = [imageDetail];
  volumes_: VolumeRecord[] = [];
  /** What differs from a machine that can limit everything. */
  limits: Partial<MachineLimits> = {};
  limitsRootSizes = false;
  past: EngineEvent[] = [];
  samples: (UsageSample | undefined)[] = [];
  #live: ((event: EngineEvent) => void)[] = [];

  /** As new; routes keep the object they were made with. */
  reset(): void {
    this.asked = [];
    this.records = [];
    this.limits = {};
    this.sandboxes = {};
    this.changes = true;
    this.attachment = new FakeAttachment(false);
    this.execs = {};
    this.startExecFault = undefined;
    this.exit = Promise.withResolvers();
    this.logLines = [];
    this.images_ = [imageDetail];
    this.volumes_ = [];
    this.past = [];
    this.samples = [];
  }

  find(ref: string): ContainerRecord {
    const record = this.records.find(({ id, name }) => id === ref || name === ref);
    if (record === undefined) throw new Fault("not-found", `No such container: ${ref}`);
    return record;
  }

  emit(event: EngineEvent): void {
    for (const live of this.#live) live(event);
  }

  readonly #note =
    (name: string) =>
    async (...args: unknown[]): Promise<void> => {
      if (typeof args[0] === "string") this.find(args[0]);
      this.asked.push([name, ...args.filter((argument) => !hasSignal(argument))]);
    };

  readonly containers: EngineContainers = {
    create: async (request: CreateRequest) => {
      if (request.config.Image !== "busybox")
        throw new Fault("not-found", `No such image: ${request.config.Image}`);
      this.asked.push(["create", request]);
      return { id: "new", warnings: [] };
    },
    start: async (ref) => {
      this.find(ref);
      return this.changes;
    },
    stop: async (ref, { timeoutSeconds, stopSignal }) => {
      this.find(ref);
      this.asked.push(["stop", timeoutSeconds, stopSignal]);
      return this.changes;
    },
    restart: this.#note("restart"),
    kill: this.#note("kill"),
    pause: this.#note("pause"),
    unpause: this.#note("unpause"),
    rename: this.#note("rename"),
    update: this.#note("update"),
    removeLink: this.#note("removeLink"),
    protect: async (ref, on) => {
      this.find(ref);
      this.asked.push(["protect", ref, on]);
    },
    remove: async (ref, { force, volumes }) => {
      this.find(ref);
      this.asked.push(["remove", ref, force, volumes]);
    },
    wait: (ref, condition, { signal }) => {
      this.find(ref);
      this.asked.push(["wait", condition]);
      const left = new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      });
      return { exit: Promise.race([this.exit.promise, left]) };
    },
    list: (o) => {
      this.asked.push(["list", o]);
      return this.records;
    },
    get: (ref) => this.find(ref),
    glance: (ref) => this.containers.detail(ref),
    detail: (ref) => {
      const record = this.find(ref);
      return {
        record,
        sandbox: this.sandboxes[record.id],
        paths: { log: "/log", hosts: "/hosts", hostname: "/hostname", resolvConf: "/resolv.conf" },
        ...{ execIds: [], links: null, aliases: [] },
        networks: [{ id: "", name: "bridge" }],
      };
    },
    size: async () => ({ rw: 10, rootFs: 30 }),
    logs: (_ref, o) => {
      this.asked.push(["logs", { ...o, signal: undefined }]);
      return stream(this.logLines);
    },
    attach: async (_ref, o) => {
      this.asked.push(["attach", { ...o, signal: undefined }]);
      return this.attachment;
    },
    resize: async (ref, size) => {
      this.asked.push(["resize", ref, size]);
    },
    createExec: (ref, request: ExecRequest) => {
      this.execs = { e1: { id: "e1", containerId: this.find(ref).id, request, running: false, pid: 0 } };
      return "e1";
    },
    startableExec: (id) => {
      const exec = this.containers.inspectExec(id);
      if (exec.running || exec.exitCode !== undefined)
        throw new Fault("conflict", `Error: Exec command ${id} has already run`);
      return exec;
    },
    killExec: async (id, signal) => {
      this.containers.inspectExec(id);
      this.asked.push(["killExec", id, signal]);
    },
    startExec: async (id, { detach, consoleSize }) => {
      this.asked.push(["startExec", id, { detach, consoleSize }]);
      if (this.startExecFault !== undefined) throw this.startExecFault;
      return detach ? undefined : this.attachment;
    },
    inspectExec: (id) => {
      const exec = this.execs[id];
      if (exec === undefined) throw new Fault("not-found", `No such exec instance: ${id}`);
      return exec;
    },
    resizeExec: async (id, size) => {
      this.asked.push(["resizeExec", id, size]);
    },
  };

  readonly archives: EngineFace["archives"] = {
    stat: async (ref, path) => {
      this.find(ref);
      if (path.startsWith("/absent"))
        throw new Fault("not-found", `Could not find the file ${path} in container ${ref}`);
      return { name: "f", sizeBytes: 3, goMode: 2 ** 31 + 0o755, mtime: zeroTime, linkTarget: "" };
    },
    read: async (ref, path, o) => ({ stat: await this.archives.stat(ref, path, o), tar: inTwo("tar") }),
    export: (ref) => {
      this.find(ref);
      return inTwo("all");
    },
    write: async (ref, tar, o) => {
      this.find(ref);
      let bytes = 0;
      for await (const chunk of tar) bytes += chunk.length;
      const { path, keepKinds, asUser } = o;
      this.asked.push(["write", ref, bytes, { path, keepKinds, asUser }]);
    },
    changes: (ref) => {
      this.find(ref);
      return changesOf(this.records.length);
    },
  };

  readonly diskUse = diskUseDouble;
  readonly looking = lookingDouble({
    find: (reference) => this.find(reference),
    samples: () => this.samples,
    note: (...asked) => void this.asked.push(asked),
  });

  readonly commits: EngineFace["commits"] = {
    commit: async (ref, { signal: _, ...o }) => {
      this.find(ref);
      this.asked.push(["commit", ref, o]);
      return imageId;
    },
    squash: async (ref, { name }) => {
      this.asked.push(["squash", ref, name]);
      return imageId;
    },
  };

  readonly images: EngineFace["images"] = {
    import: async (tar, { reference, changes, message }) => {
      let bytes = 0;
      for await (const chunk of tar) bytes += chunk.length;
      this.asked.push(["import", bytes, reference, changes, message]);
      return imageId;
    },
    get: (ref) => {
      this.asked.push(["image", ref]);
      const [image] = this.images_;
      if (image === undefined) throw new Fault("not-found", `No such image: ${ref}`);
      return image;
    },
    list: () => this.images_,
    ...variantsDouble(imageId),
    tag: (...args) => void this.asked.push(["tag", ...args]),
    remove: async (...args) => {
      this.asked.push(["rmi", ...args]);
      return [{ untagged: "busybox:latest" }, { deleted: imageId, freedBytes: 1234 }];
    },
    history: (): HistoryLine[] => [
      {
        id: imageId,
        created: zeroTime,
        createdBy: "RUN x",
        comment: "",
        sizeBytes: 5,
        references: ["busybox:latest"],
      },
      { created: zeroTime, createdBy: "", comment: "base", sizeBytes: 7, references: [] },
    ],
  };

  /** What a pull or a push tells, and how it ends. */
  transfer: (tell: (message: JsonMessage) => void) => Promise<void> = async () => undefined;
  readonly transfers = transfersDouble(this);

  readonly imageArchives = imageArchivesDouble(this);
  readonly collector = collectorDouble(imageId);

  readonly networks = networksDouble(this);

  readonly check: EngineFace["check"] = {
    run: async function* () {
      yield { Summary: { Findings: 0, Repaired: 0, Looked: {}, ReadBytes: 0 } };
    },
  };
  readonly volumes: EngineFace["volumes"] = volumesDouble({
    kept: () => this.volumes_,
    archives: this.archives,
    asked: (...words) => void this.asked.push(words),
  });

  readonly events: EngineFace["events"] = {
    pruned: (...args) => void this.asked.push(["pruned", ...args]),
    replay: (since, until) =>
      this.past.filter(({ timeNano }) => timeNano >= since && (until === undefined || timeNano <= until)),
    follow: ({ signal }) => this.#follow(signal),
  };

  async *#follow(signal: AbortSignal): AsyncGenerator<EngineEvent> {
    const waiting: EngineEvent[] = [];
    let wake = Promise.withResolvers<void>();
    this.#live.push((event) => {
      waiting.push(event);
      wake.resolve();
    });
    signal.addEventListener("abort", () => wake.reject(signal.reason));
    for (;;) {
      yield* waiting.splice(0);
      await wake.promise;
      wake = Promise.withResolvers();
    }
  }

  readonly system: EngineFace["system"] = {
    facts: () => ({
      id: "the-engine",
      hostname: "box",
      dataRoot: "/data",
      kernelVersion: "6.1",
      machine: "x86_64",
      operatingSystem: "Debian",
      osVersion: "12",
      cpus: 2,
      memoryBytes: 1024,
      cgroupVersion: "2",
      runtimeName: "crun",
      runtimeVersion: "1.8.1",
      conmonVersion: "2.1.6",
      labels: [],
      runtimes: ["crun", "runc"],
      cdiDirectories: ["/etc/cdi", "/var/run/cdi"],
      limits: {
        ...{
          memory: true,
          memoryReservation: true,
          memorySwappiness: false,
          swap: true,
          oomKillDisable: false,
        },
        ...{
          cpuShares: true,
          cpuQuota: true,
          cpuRealtime: false,
          cpuset: true,
          cpus: "0-1",
          memoryNodes: "0",
        },
        ...{ pids: true, blkioWeight: true, blkioThrottle: true, cgroupNamespaces: true },
        ...this.limits,
      },
      logConfig: { Type: "json-file", Config: {} },
      ...{ fileSystem: "extfs", limitsRootSizes: this.limitsRootSizes, apparmorProfile: undefined },
    }),
  };
}

function hasSignal(value: unknown): boolean {
  return typeof value === "object" && value !== null && "signal" in value;
}

async function* stream<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}

async function* inTwo(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text.slice(0, 1));
  yield Buffer.from(text.slice(1));
}

/** None for the only container. */
async function* changesOf(containers: number) {
  if (containers === 1) return;
  yield { kind: "added", path: "/a" } as const;
  yield { kind: "modified", path: "/" } as const;
  yield { kind: "deleted", path: "/d" } as const;
}
