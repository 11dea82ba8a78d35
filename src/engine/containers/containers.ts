/**
 * The containers of one machine, as requests see them.
 * Owns: what a request means. Promises: a fault leaves things as they were; whoever waits can be aborted.
 * Never: decides a state (lifecycle), acquires anything (launch), or keeps state of its own.
 */

import { abortable } from "#engine/abortable.ts";
import type { Emit } from "#engine/emit.ts";
import { containerAttributes } from "#engine/event-attributes.ts";
import type { Images } from "#engine/images/images.ts";
import type { ContainerIndex } from "#engine/lifecycle/container-index.ts";
import { withDonorIds } from "#engine/lifecycle/donors.ts";
import { endProcess, killProcess, sendSignal, stopSignalOf } from "#engine/lifecycle/ending.ts";
import type { Launch } from "#engine/lifecycle/launch.ts";
import { isLive, isUp } from "#engine/lifecycle/lifecycle.ts";
import { linksOf, withLinkIds } from "#engine/lifecycle/links.ts";
import { signalNumber } from "#engine/lifecycle/signals.ts";
import type { Supervisor } from "#engine/lifecycle/supervisor.ts";
import type { Exit, Waiters } from "#engine/lifecycle/waiters.ts";
import type { NetworkPart, RuntimePart, VolumePart, VolumeRemoval, Waiting } from "#engine/parts.ts";
import {
  type ContainerRecord,
  type CreateRequest,
  type HostConfig,
  parseContainerId,
  zeroTime,
} from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { parseProbe } from "#spec/health.ts";
import { parsePlatform } from "#spec/platform.ts";
import { checkUnprotected, withProtection } from "#spec/protection.ts";
import { parseContainerName, randomName } from "./container-name.ts";
import { updateContainer } from "./container-update.ts";
import { mergeConfig } from "./merge-config.ts";
import { wantedNetworks } from "./wanted-networks.ts";

export interface ContainersParts {
  readonly index: ContainerIndex;
  readonly images: Pick<Images, "get">;
  readonly launch: Launch;
  readonly supervisor: Supervisor;
  readonly runtime: Pick<RuntimePart, "signal" | "pause" | "resume" | "update" | "checkSecurity">;
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
  /** Being removed by a request that is not answered yet. */
  readonly #leaving = new Set<string>();

  constructor(parts: ContainersParts) {
    this.#parts = parts;
  }

  /** @throws Fault `not-found` without the image, `conflict` when the name is taken, `invalid` otherwise. */
  async create(request: CreateRequest, o: Waiting): Promise<{ id: string; warnings: string[] }> {
    const { images, index, runtime } = this.#parts;
    if (request.config.StopSignal) signalNumber(request.config.StopSignal);
    runtime.checkSecurity(request.host);
    const reference = request.config.Image ?? "";
    const wanted = request.platform === undefined ? undefined : parsePlatform(request.platform);
    const image = images.get(reference, wanted);
    this.#checkNetworks(request);
    const config = mergeConfig(request.config, image.config.config);
    // A check nobody can carry out must not be found out by a container that is never healthy.
    parseProbe(config.Healthcheck, config.Shell);
    const name =
      request.name === undefined || request.name === ""
        ? randomName((each) => index.hasName(each), Math.random)
        : parseContainerName(request.name);
    const { id: imageId, chainId } = image.record;
    const record = await this.make({
      name,
      image: {
        reference: reference === "" ? imageId : reference,
        id: imageId,
        ...(chainId !== undefined && { chainId }),
      },
      config,
      host: withLinkIds(
        withDonorIds(request.host, (reference) => index.get(reference).id),
        (reference) => index.get(reference),
      ),
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
    index.add(doomed, () => launch.claim(doomed));
    try {
      const mounts = await volumes.plan({
        config,
        host: given.host,
        containerId: id,
        others: (reference) => index.get(reference),
        image: (reference) => this.#mountable(reference),
      });
      const planned = mounts.length > 0 ? { ...doomed, mounts } : doomed;
      if (planned !== doomed) index.put(planned);
      await launch.prepare(planned);
    } catch (thrown) {
      await supervisor.exclusively(id, async () => await supervisor.remove(index.get(id), {}));
      throw thrown;
    }
    await supervisor.happen(id, { kind: "created" });
    return index.get(id);
  }

  /** Not `not-found`: the docker CLI would pull the container's own image for it, and ask again. */
  #mountable(reference: string): ReturnType<Images["get"]>["record"] {
    try {
      return this.#parts.images.get(reference).record;
    } catch (cause) {
      const { message } = Fault.from(cause);
      throw new Fault("invalid", `invalid mount config for type "image": ${message}`, { cause });
    }
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
    return o.host.NetworkMode === "host" ? this.#parts.launch.machineHostname : id.slice(0, 12);
  }

  /** False when it was running already. @throws The fault of the launch, with `detail.exitCode`. */
  async start(reference: string, o: Waiting): Promise<boolean> {
    const { id } = this.get(reference);
    return await this.#parts.supervisor.happen(id, { kind: "start-requested" }, { ...o, guard: startable });
  }

  /** Asks the process to end, and kills it after the grace. False when it was at rest. */
  async stop(reference: string, o: StopOptions): Promise<boolean> {
    const record = this.get(reference);
    if (!(await this.#end(record, "stop", o))) return false;
    this.#emit("stop", record);
    return true;
  }

  /** A restart by the policy that is due is called off. */
  async #end(record: ContainerRecord, by: "stop" | "restart", o: StopOptions): Promise<boolean> {
    const { id } = record;
    const signal = stopSignalOf(record, o.stopSignal);
    const seen = this.#lookingAt(id, isUp);
    if (!(await this.#parts.supervisor.happen(id, { kind: "stop-requested", by, signal }, seen)))
      return false;
    if (isLive(seen.record()))
      await endProcess(this.#parts, record, {
        ...{ signal: o.signal, signalNumber: signal, timeoutSeconds: o.timeoutSeconds },
        ended: seen.ended(),
        thaw: async () => void (await this.#thaw(id)),
      });
    return true;
  }

  /** A guard that remembers what it saw, and whoever waits for the end from then on. */
  #lookingAt(id: string, accepts: (record: ContainerRecord) => boolean) {
    let seen = this.get(id);
    let ended: Promise<unknown> = Promise.resolve();
    return {
      guard: (record: ContainerRecord): boolean => {
        if (!accepts(record)) return false;
        seen = record;
        ended = this.#parts.waiters.nextExit(id);
        return true;
      },
      record: () => seen,
      ended: () => ended,
    };
  }

  async restart(reference: string, o: StopOptions): Promise<void> {
    const record = this.get(reference);
    if (await this.#end(record, "restart", o)) this.#emit("stop", record);
    await this.start(record.id, o);
    this.#emit("restart", record);
  }

  /**
   * By SIGKILL or the container's own stop signal, it counts as stopped by its user. By SIGKILL it has ended on return.
   * @throws Fault `conflict` when it is at rest, `invalid` for an unknown signal, `timeout` when it outlives SIGKILL.
   */
  async kill(reference: string, signalName: string | undefined, o: Waiting): Promise<void> {
    const signal = signalNumber(signalName || "SIGKILL");
    const record = this.get(reference);
    const { id } = record;
    let ended: Promise<unknown> | undefined;
    const guard = (current: ContainerRecord): boolean => {
      if (!isUp(current)) throw new Fault("conflict", `container ${id} is not running`);
      if (signal === sigkill && isLive(current)) ended = this.#parts.waiters.nextExit(id);
      return true;
    };
    const stops = signal === sigkill || signal === stopSignalOf(record);
    if (stops)
      await this.#parts.supervisor.happen(id, { kind: "stop-requested", by: "kill", signal }, { guard });
    else await this.#parts.supervisor.exclusively(id, async () => void guard(this.get(id)));
    if (ended !== undefined) await killProcess(this.#parts, record, { ended, signal: o.signal });
    else await sendSignal(this.#parts, record, signal);
    if (stops && signal !== sigkill) await this.#thaw(id);
  }

  async pause(reference: string): Promise<void> {
    const { id } = this.get(reference);
    const guard = ({ observed: { status } }: ContainerRecord): boolean => {
      if (status === "paused") throw new Fault("conflict", `Container ${id} is already paused`);
      if (status === "restarting")
        throw new Fault("conflict", `Container ${id} is restarting, wait until the container is running`);
      if (status !== "running") throw new Fault("conflict", `container ${id} is not running`);
      return true;
    };
    const { runtime, supervisor } = this.#parts;
    await supervisor.happen(id, { kind: "paused" }, { guard, work: async () => await runtime.pause(id) });
  }

  async unpause(reference: string): Promise<void> {
    const { id } = this.get(reference);
    if (!(await this.#thaw(id))) throw new Fault("conflict", `Container ${id} is not paused`);
  }

  /** False when it was not paused. */
  async #thaw(id: string): Promise<boolean> {
    const { runtime, supervisor } = this.#parts;
    return await supervisor.happen(
      id,
      { kind: "resumed" },
      {
        guard: (record) => record.observed.status === "paused",
        work: async () => await runtime.resume(id),
      },
    );
  }

  /** @throws Fault `conflict` when another container has the name, `invalid` when it cannot be one. */
  async rename(reference: string, name: string): Promise<void> {
    const { id } = this.get(reference);
    if (name === "") throw new Fault("invalid", "Neither old nor new names may be empty");
    await this.#parts.supervisor.exclusively(id, async () => {
      const before = this.get(id);
      if (name.replace(/^\//, "") === before.name)
        throw new Fault("invalid", "Renaming a container with the same name as its current name");
      try {
        this.#parts.index.rename(id, parseContainerName(name));
      } catch (thrown) {
        const { kind, message } = Fault.from(thrown);
        throw new Fault(kind, `Error when allocating new name: ${message}`, { cause: thrown });
      }
      this.#parts.network.rename(id, this.get(id).name);
      this.#emit("rename", this.get(id), { oldName: `/${before.name}` });
    });
  }

  /** See `updateContainer`. */
  async update(reference: string, changes: HostConfig, o: Waiting): Promise<void> {
    await updateContainer(this.#parts, reference, changes, o);
  }

  /** A protected one is not removed. */
  async protect(reference: string, on: boolean): Promise<void> {
    const { id } = this.get(reference);
    await this.#parts.supervisor.exclusively(id, async () => {
      const record = this.get(id);
      const Labels = withProtection(record.config.Labels ?? {}, on);
      this.#parts.index.put({ ...record, config: { ...record.config, Labels } });
    });
  }

  /** @throws Fault `conflict` when it is up and `force` is not set, or somebody else removes it already. */
  async remove(
    reference: string,
    o: Waiting & { readonly force: boolean; readonly volumes: VolumeRemoval | undefined },
  ): Promise<void> {
    const { id } = this.get(reference);
    if (this.#leaving.has(id))
      throw new Fault("conflict", `removal of container ${reference} is already in progress`);
    this.#leaving.add(id);
    try {
      await this.#remove(id, o);
    } finally {
      this.#leaving.delete(id);
    }
  }

  /** Takes away what one container calls another: `/web/db`. @throws Fault `not-found`. */
  async removeLink(reference: string): Promise<void> {
    const [, name = "", alias = ""] = /^\/?([^/]+)\/([^/]+)$/.exec(reference) ?? [];
    if (alias === "")
      throw new Fault("invalid", `Conflict, cannot remove the default link name of the container`);
    const { id } = this.get(name);
    await this.#parts.supervisor.exclusively(id, async () => {
      const record = this.get(id);
      const links = linksOf(record);
      const kept = links.filter((each) => each.alias !== alias);
      if (kept.length === links.length) throw new Fault("not-found", `Cannot get link ${reference}`);
      const Links = kept.map((each) => `${each.reference}:${each.alias}`);
      this.#parts.index.put({ ...record, host: { ...record.host, Links } });
    });
  }

  async #remove(
    id: string,
    o: Waiting & { force: boolean; volumes: VolumeRemoval | undefined },
  ): Promise<void> {
    const { index, supervisor } = this.#parts;
    const seen = this.#lookingAt(id, (record) => {
      const { config, name, purpose } = record;
      // What a build makes goes, whatever its image says.
      if (purpose === undefined) checkUnprotected({ kind: "container", name }, config.Labels);
      return o.force || mayGo(record);
    });
    if (!(await supervisor.happen(id, { kind: "remove-requested" }, seen))) return;
    const record = seen.record();
    if (isLive(record))
      try {
        await killProcess(this.#parts, record, { ended: seen.ended(), signal: o.signal });
      } catch (thrown) {
        const { kind, message } = Fault.from(thrown);
        throw new Fault(kind, `cannot remove container "/${record.name}": could not kill: ${message}`);
      }
    await supervisor.exclusively(id, async () => {
      const last = index.find(id);
      if (last !== undefined) await supervisor.remove(last, o.volumes);
    });
  }

  /** @throws Fault `not-found` at once. */
  wait(
    reference: string,
    condition: "not-running" | "next-exit" | "removed",
    o: Waiting,
  ): { readonly exit: Promise<Exit> } {
    const { waiters } = this.#parts;
    const record = this.get(reference);
    const { id, observed } = record;
    if (condition === "removed") return { exit: abortable(waiters.removal(id, o.signal), o.signal) };
    if (condition === "not-running" && !isUp(record))
      return {
        exit: Promise.resolve({
          exitCode: observed.exitCode,
          ...(observed.error !== "" && { error: observed.error }),
        }),
      };
    return { exit: abortable(waiters.nextExit(id, o.signal), o.signal) };
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

const sigkill = 9;

function startable(record: ContainerRecord): boolean {
  const { status } = record.observed;
  if (status === "paused")
    throw new Fault("conflict", "cannot start a paused container, try unpause instead");
  if (record.desired === "removed")
    throw new Fault("conflict", "container is marked for removal and cannot be started");
  return !isUp(record);
}

function mayGo({ name, observed: { status } }: ContainerRecord): boolean {
  const refuse = (why: string): Fault => new Fault("conflict", `cannot remove container "/${name}": ${why}`);
  if (status === "paused") throw refuse("container is paused and must be unpaused first");
  if (status === "running" || status === "restarting")
    throw refuse(`container is ${status}: stop the container before removing or force remove`);
  return true;
}
