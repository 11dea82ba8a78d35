/**
 * The containers of one machine, as requests see them.
 * Owns: what a request means. Promises: a fault leaves things as they were; whoever waits can be aborted.
 * Never: decides a state (lifecycle), acquires anything (launch), or keeps state of its own.
 */
import {
  type ContainerRecord,
  type CreateRequest,
  type HostConfig,
  parseContainerId,
  zeroTime,
} from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { parsePlatform } from "#spec/platform.ts";
import { abortable } from "./abortable.ts";
import type { ContainerIndex } from "./container-index.ts";
import { parseContainerName, randomName } from "./container-name.ts";
import { updateContainer } from "./container-update.ts";
import type { Emit } from "./emit.ts";
import { containerAttributes } from "./event-attributes.ts";
import type { Images } from "./images.ts";
import type { Launch } from "./launch.ts";
import { isLive } from "./lifecycle.ts";
import { mergeConfig } from "./merge-config.ts";
import type { NetworkPart, RuntimePart, VolumePart, Waiting } from "./parts.ts";
import { signalNumber } from "./signals.ts";
import type { Supervisor } from "./supervisor.ts";
import type { Exit, Waiters } from "./waiters.ts";
import { wantedNetworks } from "./wanted-networks.ts";

/** Docker's grace before SIGKILL when neither request nor container says otherwise. */
const stopTimeoutSeconds = 10;
/** How long a removal waits for a process it killed. */
const killWaitMs = 10_000;

export interface ContainersParts {
  readonly index: ContainerIndex;
  readonly images: Pick<Images, "get">;
  readonly launch: Launch;
  readonly supervisor: Supervisor;
  readonly runtime: Pick<RuntimePart, "signal" | "pause" | "resume" | "update">;
  readonly volumes: Pick<VolumePart, "plan">;
  readonly network: Pick<NetworkPart, "check" | "find" | "rename">;
  readonly waiters: Waiters;
  readonly emit: Emit;
  readonly now: () => string;
  readonly randomHex: (bytes: number) => string;
}

export interface StopOptions extends Waiting {
  readonly timeoutSeconds?: number | undefined;
  readonly stopSignal?: string | undefined;
}

export class Containers {
  readonly #parts: ContainersParts;

  constructor(parts: ContainersParts) {
    this.#parts = parts;
  }

  /** @throws Fault `not-found` without the image, `conflict` when the name is taken, `invalid` otherwise. */
  async create(request: CreateRequest, o: Waiting): Promise<{ id: string; warnings: string[] }> {
    const { images, index } = this.#parts;
    if (request.config.StopSignal) signalNumber(request.config.StopSignal);
    const platform = request.platform === undefined ? undefined : parsePlatform(request.platform);
    const image = images.get(request.config.Image ?? "", platform);
    this.#checkNetworks(request);
    const config = mergeConfig(request.config, image.config.config);
    const name =
      request.name === undefined || request.name === ""
        ? randomName((each) => index.hasName(each), Math.random)
        : parseContainerName(request.name);
    const { id: imageId, chainId } = image.record;
    const record = await this.make({
      name,
      image: {
        reference: request.config.Image ?? imageId,
        id: imageId,
        ...(chainId !== undefined && { chainId }),
      },
      config,
      host: request.host,
      endpoints: request.endpoints,
      signal: o.signal,
    });
    return { id: record.id, warnings: [] };
  }

  /**
   * Makes a container of a complete config. Its record is written as one to be removed, and becomes a container only
   * when all it keeps is there: an engine that dies in between removes it.
   */
  async make(
    o: Pick<ContainerRecord, "name" | "image" | "config" | "host" | "endpoints" | "purpose"> & Waiting,
  ): Promise<ContainerRecord> {
    const { index, launch, supervisor, volumes } = this.#parts;
    const { signal, ...given } = o;
    signal.throwIfAborted();
    const id = parseContainerId(this.#parts.randomHex(32));
    const config = { ...given.config, Hostname: this.#hostname(id, given) };
    const find = (reference: string) => this.#parts.network.find(reference);
    const endpoints =
      config.NetworkDisabled === true
        ? { none: {} }
        : wantedNetworks(given.host.NetworkMode, given.endpoints, find);
    const doomed: ContainerRecord = { ...blank, ...given, endpoints, id, config, created: this.#parts.now() };
    index.add(doomed);
    try {
      const mounts = await volumes.plan({
        config,
        host: given.host,
        containerId: id,
        others: (reference) => index.get(reference),
      });
      index.put({ ...doomed, mounts });
      await launch.prepare(doomed);
    } catch (thrown) {
      await supervisor.exclusively(id, async () => await supervisor.remove(index.get(id), true));
      throw thrown;
    }
    await supervisor.happen(id, { kind: "created" });
    return index.get(id);
  }

  #checkNetworks({ endpoints }: CreateRequest): void {
    for (const [name, settings] of Object.entries(endpoints))
      try {
        this.#parts.network.check(name, settings);
      } catch (thrown) {
        const { kind, message } = Fault.from(thrown);
        throw new Fault(kind, `invalid config for network ${name}: ${message}`, { cause: thrown });
      }
  }

  #hostname(id: string, o: Pick<ContainerRecord, "config" | "host">): string {
    if (o.config.Hostname) return o.config.Hostname;
    const none = o.host.UTSMode === "host" || /^(host$|container:)/.test(o.host.NetworkMode ?? "");
    return none ? "" : id.slice(0, 12);
  }

  /** False when it was running already. @throws The fault of the launch, with `detail.exitCode`. */
  async start(reference: string, o: Waiting): Promise<boolean> {
    const { id } = this.get(reference);
    return await this.#parts.supervisor.happen(id, { kind: "start-requested" }, { ...o, guard: startable });
  }

  /** Asks the process to end, and kills it after the grace. False when it was not running. */
  async stop(reference: string, o: StopOptions): Promise<boolean> {
    const { supervisor } = this.#parts;
    const record = this.get(reference);
    if (!isLive(record)) {
      // A restart that is due is called off.
      if (record.observed.status === "restarting")
        await supervisor.happen(record.id, { kind: "stop-requested" });
      return false;
    }
    await this.#end(record, o);
    this.#emit("stop", record);
    return true;
  }

  async #end(record: ContainerRecord, o: StopOptions): Promise<void> {
    const { supervisor, waiters } = this.#parts;
    const ended = waiters.nextExit(record.id);
    await supervisor.happen(record.id, { kind: "stop-requested" }, { guard: isLive });
    const grace = o.timeoutSeconds ?? record.config.StopTimeout ?? stopTimeoutSeconds;
    const name = o.stopSignal || record.config.StopSignal || "SIGTERM";
    if (record.observed.status === "paused") await this.unpause(record.id);
    await this.#send(record, name);
    if (await settled(ended, grace < 0 ? undefined : grace * 1000, o.signal)) return;
    await this.#send(record, "SIGKILL");
    if (!(await settled(ended, killWaitMs, o.signal)))
      throw new Fault("timeout", `tried to kill container ${record.id}, but did not receive an exit event`);
  }

  async #send(record: ContainerRecord, name: string): Promise<void> {
    const number = signalNumber(name);
    if (!isLive(this.#parts.index.find(record.id) ?? record)) return;
    await this.#parts.runtime.signal(record.id, number);
    this.#emit("kill", record, { signal: String(number) });
  }

  async restart(reference: string, o: StopOptions): Promise<void> {
    const record = this.get(reference);
    if (isLive(record)) await this.#end(record, o);
    await this.start(record.id, o);
    this.#emit("restart", record);
  }

  /** @throws Fault `conflict` when it is not running, `invalid` for an unknown signal. */
  async kill(reference: string, signalName = "SIGKILL"): Promise<void> {
    const record = this.get(reference);
    signalNumber(signalName);
    if (!isLive(record))
      throw new Fault(
        "conflict",
        `cannot kill container: ${reference}: container ${record.id} is not running`,
      );
    if (signalNumber(signalName) === 9)
      await this.#parts.supervisor.happen(record.id, { kind: "stop-requested" }, { guard: isLive });
    await this.#send(record, signalName);
  }

  async pause(reference: string): Promise<void> {
    const { id } = this.get(reference);
    const guard = (record: ContainerRecord): boolean => {
      if (record.observed.status === "paused")
        throw new Fault("conflict", `container ${id} is already paused`);
      if (!isLive(record)) throw new Fault("conflict", `container ${id} is not running`);
      return true;
    };
    await this.#parts.supervisor.exclusively(id, async () => {
      guard(this.get(id));
      await this.#parts.runtime.pause(id);
    });
    await this.#parts.supervisor.happen(id, { kind: "paused" }, { guard: isLive });
  }

  async unpause(reference: string): Promise<void> {
    const { id } = this.get(reference);
    if (this.get(id).observed.status !== "paused")
      throw new Fault("conflict", `container ${id} is not paused`);
    await this.#parts.supervisor.exclusively(id, async () => await this.#parts.runtime.resume(id));
    await this.#parts.supervisor.happen(id, { kind: "resumed" }, { guard: isLive });
  }

  async rename(reference: string, name: string): Promise<void> {
    const record = this.get(reference);
    const target = parseContainerName(name);
    if (target === record.name)
      throw new Fault("invalid", "Renaming a container with the same name as its current name");
    await this.#parts.supervisor.exclusively(record.id, async () => {
      this.#parts.index.rename(record.id, target);
      this.#parts.network.rename(record.id, target);
    });
    this.#emit("rename", this.get(record.id), { oldName: `/${record.name}` });
  }

  /** See `updateContainer`. */
  async update(reference: string, changes: HostConfig, o: Waiting): Promise<void> {
    await updateContainer(this.#parts, reference, changes, o);
  }

  /** @throws Fault `conflict` when it runs and `force` is not set. */
  async remove(
    reference: string,
    o: Waiting & { readonly force: boolean; readonly volumes: boolean },
  ): Promise<void> {
    const { supervisor, waiters } = this.#parts;
    const { id } = this.get(reference);
    const guard = (record: ContainerRecord): boolean => {
      if (isLive(record) && !o.force)
        throw new Fault(
          "conflict",
          `cannot remove container "${reference}": container is ${record.observed.status}: stop the container before removing or force remove`,
        );
      return true;
    };
    guard(this.get(id));
    const ended = waiters.nextExit(id);
    const wasLive = isLive(this.get(id));
    if (!(await supervisor.happen(id, { kind: "remove-requested" }, { guard }))) return;
    if (wasLive) {
      await this.#parts.runtime.signal(id, 9);
      if (!(await settled(ended, killWaitMs, o.signal)))
        throw new Fault("timeout", `could not kill container ${id}: its process does not end; try again`);
    }
    await supervisor.exclusively(id, async () => {
      const record = this.#parts.index.find(id);
      if (record === undefined) return;
      await this.#parts.launch.release(record);
      await supervisor.remove(record, o.volumes);
    });
  }

  /** @throws Fault `not-found` at once. */
  wait(
    reference: string,
    condition: "not-running" | "next-exit" | "removed",
    o: Waiting,
  ): { readonly exit: Promise<Exit> } {
    const { waiters } = this.#parts;
    const { id, observed } = this.get(reference);
    if (condition === "removed") return { exit: abortable(waiters.removal(id), o.signal) };
    const running =
      observed.status !== "created" && observed.status !== "exited" && observed.status !== "dead";
    if (condition === "not-running" && !running)
      return {
        exit: Promise.resolve({
          exitCode: observed.exitCode,
          ...(observed.error !== "" && { error: observed.error }),
        }),
      };
    return { exit: abortable(waiters.nextExit(id), o.signal) };
  }

  get(reference: string): ContainerRecord {
    return this.#parts.index.get(reference);
  }

  #emit(action: string, record: ContainerRecord, more: Record<string, string> = {}): void {
    this.#parts.emit("container", action, record.id, { ...containerAttributes(record), ...more });
  }
}

const blank = {
  mounts: [],
  desired: "removed",
  observed: {
    status: "created",
    pid: 0,
    exitCode: 0,
    error: "",
    oomKilled: false,
    startedAt: zeroTime,
    finishedAt: zeroTime,
  },
  run: 0,
  restartCount: 0,
  restartDelayMs: 0,
  manuallyStopped: false,
} as const;

function startable(record: ContainerRecord): boolean {
  const { status } = record.observed;
  if (status === "paused")
    throw new Fault("conflict", "cannot start a paused container, try unpause instead");
  if (record.desired === "removed")
    throw new Fault("conflict", "container is marked for removal and cannot be started");
  return status !== "running";
}

/** False when the time is over first. */
async function settled(
  done: Promise<unknown>,
  withinMs: number | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = withinMs === undefined ? undefined : setTimeout(() => resolve(false), withinMs);
  try {
    return await abortable(Promise.race([done.then(() => true), late]), signal);
  } finally {
    clearTimeout(timer);
  }
}
