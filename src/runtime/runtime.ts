/**
 * The runtime: processes of containers, under conmon and crun or runc.
 * Owns: a directory per run (`runs/<id>`), the exit files, the low-level runtime's state, the cgroups.
 * Promises: what runs goes on without the engine, and its end is known afterwards; a failed create leaves nothing;
 * delete is idempotent and gives everything back. Never: a file system, a network, a record.
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import * as cgroup from "#kernel/cgroups/cgroup.ts";
import { machineLimits } from "#kernel/cgroups/cgroup-controls.ts";
import type { Tree } from "#kernel/files/tree.ts";
import { isAlive, sendSignal } from "#kernel/process.ts";
import type { ContainerRecord, HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { MachineLimits } from "#spec/machine-limits.ts";
import type { Confinement, OciSpec } from "#spec/oci-runtime.ts";
import { changeLimits } from "./bundle/live-limits.ts";
import { openRoot, readUserFiles } from "./bundle/rootfs.ts";
import type { RunRequest } from "./bundle/run-request.ts";
import { mountSharedMemory, removeRun, sharedMemoryOf } from "./bundle/shared-memory.ts";
import { groupOf, type SpecificationParts } from "./bundle/specification.ts";
import { type ResolvedUser, resolveUser } from "./bundle/user.ts";
import { conmonFiles } from "./conmon/conmon.ts";
import { ConsoleSocket } from "./conmon/console-socket.ts";
import { type MakeOptions, makeProcess, type ProcessParts } from "./conmon/container-process.ts";
import { type ConsoleSize, reopenLog, resizeConsole } from "./conmon/control.ts";
import { ExitFiles } from "./conmon/exit-files.ts";
import { startFailure } from "./conmon/failure.ts";
import { killAll } from "./conmon/kill-all.ts";
import { conmonVersion, run, startCreated } from "./conmon/low-level.ts";
import { installedLowLevels, LowLevels } from "./conmon/low-levels.ts";
import { oomFile } from "./conmon/oom-file.ts";
import { execHomes, type RunProcesses, runProcesses } from "./conmon/run-directory.ts";
import { SeccompCache } from "./conmon/seccomp-cache.ts";
import { defaultCdiDirectories } from "./devices/cdi-files.ts";
import { runExec } from "./exec/exec.ts";
import { findExecs } from "./exec/exec-leftovers.ts";
import { type ExecRequest, renderExec, workingDirectory } from "./exec/exec-order.ts";
import { endProbes } from "./exec/probe-remains.ts";
import type { Input, RunningExec } from "./exec/running-exec.ts";
import { openProcessRoot } from "./process-root.ts";
import { listProcesses, type ProcessTable } from "./process-table.ts";
import { type RunUsage, usageOf } from "./usage.ts";

export interface RuntimeOptions {
  /** For sockets, pid files and state that a reboot ends. */
  readonly execRoot: string;
  /** Of the cgroup above all containers: no other engine's. */
  readonly name: string;
  readonly confine: (record: Pick<ContainerRecord, "host">) => Confinement;
  /** Where specifications of CDI devices are. @default /etc/cdi and /var/run/cdi */
  readonly cdiDirectories?: readonly string[] | undefined;
  /** Whether containers get an init that do not say. @default false */
  readonly init?: boolean | undefined;
  readonly initPath?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type { RunRequest } from "./bundle/run-request.ts";
export type { ExecRequest } from "./exec/exec-order.ts";

export type Reality =
  | { readonly state: "running" | "paused"; readonly pid: number }
  | { readonly state: "created" | "absent" }
  | ({ readonly state: "stopped" } & Exit);

export interface Exit {
  readonly exitCode: number;
  readonly oomKilled: boolean;
  readonly finishedAt: string;
}

const idPattern = /^[0-9a-f]{64}$/;
/** How long a conmon whose process is gone has for its exit file; one that makes its process yet is not waited for longer. */
const endWrittenMs = 2000;
/** What a run gets whose conmon died. */
const lostExitCode = 255;
const sigkill = 9;

export class Runtime implements Disposable {
  readonly facts: {
    readonly name: "crun" | "runc";
    readonly version: string;
    /** All that containers can ask for by name. */
    readonly installed: readonly string[];
    /** Where specifications of CDI devices are looked for. */
    readonly cdiDirectories: readonly string[];
    readonly conmonVersion: string;
  };
  readonly cgroups: cgroup.CgroupLayout;
  readonly limits: MachineLimits;
  readonly #options: RuntimeOptions;
  readonly #lowLevels: LowLevels;
  readonly #exits: ExitFiles;
  readonly #root: string;
  /** Created containers whose low-level runtime has something to do once they run. */
  readonly #startHooks = new Set<string>();
  readonly #processParts: ProcessParts;

  private constructor(
    o: RuntimeOptions & { readonly lowLevels: LowLevels; readonly conmonVersion: string },
    exits: ExitFiles,
    cgroups: cgroup.CgroupLayout,
  ) {
    this.#options = o;
    this.#lowLevels = o.lowLevels;
    const { preferred } = o.lowLevels;
    this.#exits = exits;
    this.#root = join(o.execRoot, "runs");
    this.cgroups = cgroups;
    this.limits = machineLimits(cgroups);
    this.facts = {
      name: preferred.name,
      version: preferred.version,
      installed: installedLowLevels(),
      cdiDirectories: o.cdiDirectories ?? defaultCdiDirectories,
      conmonVersion: o.conmonVersion,
    };
    const specification: SpecificationParts = {
      ...{ cgroups, confine: o.confine, groupName: o.name, oomScoreAdj: ownOomScoreAdj() },
      swap: this.limits.swap,
      cdiDirectories: o.cdiDirectories ?? defaultCdiDirectories,
      init: { always: o.init === true, path: o.initPath },
    };
    const seccomp = new SeccompCache(join(o.execRoot, "seccomp"), preferred);
    this.#processParts = { lowLevels: o.lowLevels, cgroups, exits, seccomp, specification };
  }

  /** @throws Fault `unavailable` that names what to install. */
  static async open(o: RuntimeOptions): Promise<Runtime> {
    o.signal?.throwIfAborted();
    const cgroups = cgroup.detectCgroups();
    await mkdir(join(o.execRoot, "runs"), { recursive: true, mode: 0o711 });
    const [lowLevels, conmon, exits] = await Promise.all([
      LowLevels.open(o.execRoot, cgroups),
      conmonVersion(),
      ExitFiles.open(join(o.execRoot, "exits")),
    ]);
    return new Runtime({ ...o, lowLevels, conmonVersion: conmon }, exits, cgroups);
  }

  /** @throws Fault `invalid` or `unsupported` for security options that cannot be. */
  checkSecurity(host: HostConfig): void {
    this.#options.confine({ host });
  }

  /** Makes the process, stopped before its first instruction; see the engine's part of that name. */
  async create(request: RunRequest, o: MakeOptions): Promise<{ readonly pid: number }> {
    o.signal.throwIfAborted();
    const { id } = request.record;
    const directory = this.#directory(id);
    // What a run before left was removed at its end, but for an engine that died: nothing to wait for.
    if (existsSync(directory)) await removeRun(directory);
    this.#exits.forget(id);
    mkdirSync(directory, { recursive: true, mode: 0o711 });
    await using undo = new AsyncDisposableStack();
    undo.defer(async () => await this.delete(id));
    const sharedMemory = await this.#sharedMemory(request);
    const made = await makeProcess({ ...request, directory, sharedMemory }, this.#processParts, o);
    if (made.startHooks) this.#startHooks.add(id);
    undo.move();
    return { pid: made.pid };
  }

  async #sharedMemory({ record, joined }: RunRequest): Promise<string | undefined> {
    const { host, id } = record;
    if (host.IpcMode === "shareable") return mountSharedMemory(this.#directory(id), host);
    if (joined.ipc === undefined) return undefined;
    const donor = (await this.list()).find((each) => this.#processes(each).first?.pid === joined.ipc);
    if (donor === undefined) throw new Fault("conflict", "can't join IPC of a container that is not running");
    return sharedMemoryOf({ id: donor, spec: this.#readSpec(donor) });
  }

  async start(id: string): Promise<void> {
    try {
      const hooks = this.#startHooks.delete(id);
      await startCreated(await this.#lowLevels.holderOf(id), id, { hooks });
    } catch (thrown) {
      throw startFailure("container", Fault.from(thrown).message, this.#command(id));
    }
  }

  /** The first word of what the container runs, from its bundle. */
  #command(id: string): string {
    return this.#readSpec(id)?.process.args[0] ?? "";
  }

  #readSpec(id: string): OciSpec | undefined {
    const path = join(this.#directory(id), "config.json");
    return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as OciSpec) : undefined;
  }

  /** To the first process; none is no error. */
  async signal(id: string, signal: number): Promise<void> {
    const { first } = this.#processes(id);
    if (first === undefined) return;
    // A frozen process dies only when it thaws.
    if (signal === sigkill) await this.#thaw(id);
    sendSignal(first, signal);
  }

  #processes(id: string): RunProcesses {
    return runProcesses(this.#directory(id), id);
  }

  /** A descriptor of the root as its process sees it, the caller's to close; undefined when none runs. */
  openRoot(id: string): number | undefined {
    const { first } = this.#processes(id);
    return first === undefined ? undefined : openProcessRoot(first);
  }

  userOf(root: Tree, user: string): ResolvedUser {
    return resolveUser(user, readUserFiles(root));
  }

  async pause(id: string): Promise<void> {
    await cgroup.setFrozen(this.cgroups, this.#groupOf(id), true);
  }

  async resume(id: string): Promise<void> {
    await cgroup.setFrozen(this.cgroups, this.#groupOf(id), false);
  }

  async #thaw(id: string): Promise<void> {
    const group = this.#groupOf(id);
    if (await cgroup.isFrozen(this.cgroups, group)) await cgroup.setFrozen(this.cgroups, group, false);
  }

  /** By the bundle: a record is not at hand when strangers are cleared away. */
  #groupOf(id: string): string {
    return (this.#readSpec(id)?.linux.cgroupsPath ?? `/${this.#options.name}/${id}`).slice(1);
  }

  async reality(id: string): Promise<Reality> {
    if (!existsSync(this.#directory(id))) return { state: "absent" };
    const ended = await this.#ended(id);
    if (ended !== undefined) return { state: "stopped", ...ended };
    const { first, conmon } = this.#processes(id);
    if (first === undefined) return await this.#ending(id, conmon !== undefined);
    if (await this.#isCreated(id)) return { state: "created" };
    const paused = await cgroup.isFrozen(this.cgroups, this.#groupOf(id));
    return { state: paused ? "paused" : "running", pid: first.pid };
  }

  /** Its process is gone. A conmon that lives is about to write down how it ended, one that went may just have done so. */
  async #ending(id: string, hasConmon: boolean): Promise<Reality> {
    if (!hasConmon) {
      const ended = await this.#ended(id);
      return ended === undefined ? { state: "absent" } : { state: "stopped", ...ended };
    }
    const signal = AbortSignal.timeout(endWrittenMs);
    try {
      return { state: "stopped", ...(await this.exit(id, { signal })) };
    } catch (thrown) {
      if (signal.aborted) return { state: "absent" };
      throw thrown;
    }
  }

  /** A process the low-level runtime knows nothing of is one that runs. */
  async #isCreated(id: string): Promise<boolean> {
    try {
      const known = JSON.parse(await run(await this.#lowLevels.holderOf(id), ["state", id])) as {
        status?: string;
      };
      return known.status === "created";
    } catch {
      return false;
    }
  }

  async #ended(id: string): Promise<Exit | undefined> {
    const exit = await this.#exits.read(id);
    if (exit === undefined) return undefined;
    const oomKilled = (await cgroup.oomKills(this.cgroups, this.#groupOf(id))) > 0;
    return { ...exit, oomKilled };
  }

  /** Ids of everything there is a run directory of. */
  async list(): Promise<string[]> {
    return (await readdir(this.#root)).filter((name) => idPattern.test(name));
  }

  /** Resolves with the end of the process, also one that came while no engine lived. */
  async exit(id: string, { signal }: { readonly signal: AbortSignal }): Promise<Exit> {
    for (;;) {
      signal.throwIfAborted();
      const { conmon } = this.#processes(id);
      using sign = this.#exits.next(id, { alive: () => conmon !== undefined && isAlive(conmon), signal });
      // Behind the look at conmon: its last act may have been the file.
      const ended = await this.#ended(id);
      if (ended !== undefined) return ended;
      if (conmon === undefined)
        return { exitCode: lostExitCode, oomKilled: false, finishedAt: new Date().toISOString() };
      await sign.heard;
    }
  }

  /** Changes the limits of a process that runs from those of `before` to those of `after`. */
  async update(id: string, before: HostConfig, after: HostConfig): Promise<void> {
    await changeLimits(this.#processParts.specification, this.#groupOf(id), before, after);
  }

  /** Resolves when the kernel killed one of its processes for want of memory, or when the signal fires. */
  async outOfMemory(id: string, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    await oomFile(this.#directory(id), signal);
  }

  /** Kills what probes of an engine that died left in containers. Idempotent. */
  async endProbes(): Promise<void> {
    await endProbes((await this.list()).map((id) => this.#directory(id)));
  }

  /** Kills what is left and gives everything back. Idempotent. */
  async delete(id: string): Promise<void> {
    const directory = this.#directory(id);
    if (!existsSync(directory)) return;
    const spec = this.#readSpec(id);
    const group = spec?.linux.cgroupsPath.slice(1) ?? this.#groupOf(id);
    await this.#thaw(id).catch(() => undefined);
    await killAll(id, { directory, group, cgroups: this.cgroups, exits: this.#exits });
    this.#startHooks.delete(id);
    if (spec?.hooks?.poststop !== undefined) await this.#runStopHooks(id);
    await cgroup.removeGroup(this.cgroups, group);
    for (const path of this.#lowLevels.stateDirectories(id)) await rm(path, { recursive: true, force: true });
    this.#exits.forget(id);
    await removeRun(directory);
  }

  /** The low-level runtime alone runs these; what fails in them is theirs. */
  async #runStopHooks(id: string): Promise<void> {
    await run(await this.#lowLevels.holderOf(id), ["delete", "--force", id]).catch(() => undefined);
  }

  /** @throws Fault `conflict` when nothing of it runs. */
  async usage(record: ContainerRecord): Promise<RunUsage> {
    return await usageOf(this.cgroups, groupOf(record, this.#options.name), record);
  }

  /** Host pids of everything that runs in the container. */
  async pids(record: ContainerRecord): Promise<number[]> {
    return await cgroup.processesOf(this.cgroups, groupOf(record, this.#options.name));
  }

  /** What `ps` with these arguments shows of the container's processes. @throws Fault `conflict`, `invalid`. */
  async processes(record: ContainerRecord, args: string): Promise<ProcessTable> {
    return await listProcesses(args, await this.pids(record));
  }

  /** @throws Errno when the process is gone. */
  async input(id: string): Promise<Input> {
    return await ConsoleSocket.connect(join(this.#directory(id), conmonFiles.attach), { output: false });
  }

  async resize(id: string, size: ConsoleSize): Promise<void> {
    await resizeConsole(this.#directory(id), size);
  }

  /** Has conmon go on in a new log file. @throws Fault `conflict` when it is gone. */
  async reopenLog(id: string): Promise<void> {
    await reopenLog(this.#directory(id));
  }

  async exec(
    record: ContainerRecord,
    execId: string,
    request: ExecRequest,
    o: { readonly signal: AbortSignal },
  ): Promise<RunningExec> {
    o.signal.throwIfAborted();
    const { id, config, host } = record;
    const cwd = workingDirectory(record, request);
    const { first } = this.#processes(id);
    if (first === undefined) throw new Fault("conflict", `container ${id} is not running`);
    using root = openRoot(`/proc/${first.pid}/root`);
    const user = resolveUser(request.user || config.User || "", readUserFiles(root), host.GroupAdd ?? []);
    const asked = request.privileged ? { ...record, host: { ...host, Privileged: true } } : record;
    const confinement = this.#options.confine(asked);
    const hostname = config.Hostname || id.slice(0, 12);
    const { oomScoreAdj } = this.#processParts.specification;
    const home = request.probe === true ? execHomes.probe : execHomes.exec;
    return await runExec(await this.#lowLevels.holderOf(id), {
      containerId: id,
      execId,
      directory: join(this.#directory(id), home, checkedId(execId)),
      process: renderExec(record, request, { cwd, hostname, user, confinement, oomScoreAdj }),
      streams: request,
      orphansLeave: (host.PidMode || "private") === "private",
    });
  }

  /** Execs of a container that went on without an engine, by their ids; what is left of others goes. */
  async adoptExecs(
    id: string,
    o: { readonly signal: AbortSignal },
  ): Promise<ReadonlyMap<string, RunningExec>> {
    return await findExecs(join(this.#directory(id), "execs"), o.signal);
  }

  #directory(id: string): string {
    return join(this.#root, checkedId(id));
  }

  [Symbol.dispose](): void {
    this.#exits[Symbol.dispose]();
    this.#lowLevels[Symbol.dispose]();
  }
}

/** Ids are parts of paths here. @throws Fault `invalid`. */
function checkedId(id: string): string {
  if (!idPattern.test(id)) throw new Fault("invalid", `${JSON.stringify(id)} is no id of 64 hex characters`);
  return id;
}

function ownOomScoreAdj(): number {
  return Math.max(0, Number(readFileSync("/proc/self/oom_score_adj", "latin1")));
}
