/**
 * The runtime: processes of containers, under conmon and crun or runc.
 * Owns: a directory per run (`runs/<id>`), the exit files, the low-level runtime's state, the cgroups.
 * Promises: what runs goes on without the engine, and its end is known afterwards; a failed create leaves nothing;
 * delete is idempotent and gives everything back. Never: a file system, a network, a record.
 */
import { existsSync, readFileSync } from "node:fs";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as cgroup from "#kernel/cgroup.ts";
import { sendSignal } from "#kernel/process.ts";
import type { Tree } from "#kernel/tree.ts";
import type { ContainerRecord, MountPoint } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { Confinement, OciSpec } from "#spec/oci-runtime.ts";
import { encodeSpec, environment, renderBundle, renderProcess } from "./bundle.ts";
import { conmonFiles, startConmon } from "./conmon.ts";
import { ConsoleSocket } from "./console-socket.ts";
import { type ConsoleSize, resizeConsole } from "./control.ts";
import { deviceAccess } from "./devices.ts";
import { runExec } from "./exec.ts";
import { ExitFiles } from "./exit-files.ts";
import { startFailure } from "./failure.ts";
import { conmonVersion, findLowLevel, type LowLevel, run, runtimeSaid, startCreated } from "./low-level.ts";
import { openProcessRoot } from "./process-root.ts";
import { listProcesses, type ProcessTable } from "./process-table.ts";
import { renderRlimits } from "./resources.ts";
import { ensureWorkingDirectory, openRoot, readUserFiles } from "./rootfs.ts";
import { execConmons, type RunProcesses, runProcesses } from "./run-directory.ts";
import type { Input, RunningExec } from "./running-exec.ts";
import { SeccompCache } from "./seccomp-cache.ts";
import { mountSharedMemory, removeRun, sharedMemoryOf } from "./shared-memory.ts";
import { nextUnless } from "./sync-pipe.ts";
import { type RunUsage, usageOf } from "./usage.ts";
import { type ResolvedUser, resolveUser } from "./user.ts";

export interface RuntimeOptions {
  /** For sockets, pid files and state that a reboot ends. */
  readonly execRoot: string;
  /** Of the cgroup above all containers: no other engine's. */
  readonly name: string;
  readonly confine: (record: ContainerRecord) => Confinement;
  readonly signal?: AbortSignal | undefined;
}

export interface RunRequest {
  readonly record: ContainerRecord;
  readonly rootfs: string;
  readonly netnsPath?: string | undefined;
  readonly hostname: string;
  readonly files: {
    readonly log: string;
    readonly hosts: string;
    readonly hostname: string;
    readonly resolvConf: string;
  };
  readonly mounts: readonly MountPoint[];
  readonly joined: { readonly pid?: number; readonly ipc?: number };
}

export interface ExecRequest {
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
}

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
/** How often it is checked that conmon still lives to tell of the end. */
const conmonCheckMs = 5000;
/** What a run gets whose conmon died. */
const lostExitCode = 255;
const sigkill = 9;
/** How long processes of a deleted container may take to die, and between looks. */
const killRounds = 200;
const killPauseMs = 10;
/** In which the conmon of a dead exec tells of it, if it can. */
const execGraceRounds = 3;

export class Runtime implements Disposable {
  readonly facts: {
    readonly name: "crun" | "runc";
    readonly version: string;
    readonly conmonVersion: string;
  };
  readonly cgroups: cgroup.CgroupLayout;
  readonly #options: RuntimeOptions;
  readonly #lowLevel: LowLevel;
  readonly #exits: ExitFiles;
  readonly #seccomp: SeccompCache;
  readonly #root: string;
  readonly #kernel: { readonly swap: boolean; readonly oomScoreAdj: number };

  private constructor(
    o: RuntimeOptions & { readonly lowLevel: LowLevel; readonly conmonVersion: string },
    exits: ExitFiles,
    cgroups: cgroup.CgroupLayout,
  ) {
    this.#options = o;
    this.#lowLevel = o.lowLevel;
    this.#exits = exits;
    this.#seccomp = new SeccompCache(join(o.execRoot, "seccomp"), o.lowLevel);
    this.#root = join(o.execRoot, "runs");
    this.cgroups = cgroups;
    this.facts = {
      name: o.lowLevel.name,
      version: o.lowLevel.version,
      conmonVersion: o.conmonVersion,
    };
    this.#kernel = { swap: canLimitSwap(cgroups), oomScoreAdj: ownOomScoreAdj() };
  }

  /** @throws Fault `unavailable` that names what to install. */
  static async open(o: RuntimeOptions): Promise<Runtime> {
    o.signal?.throwIfAborted();
    const cgroups = cgroup.detectCgroups();
    await mkdir(join(o.execRoot, "runs"), { recursive: true, mode: 0o711 });
    const [lowLevel, conmon, exits] = await Promise.all([
      findLowLevel(o.execRoot, cgroups),
      conmonVersion(),
      ExitFiles.open(join(o.execRoot, "exits")),
    ]);
    return new Runtime({ ...o, lowLevel, conmonVersion: conmon }, exits, cgroups);
  }

  /** Makes the process, stopped before its first instruction. */
  async create(request: RunRequest, o: { readonly signal: AbortSignal }): Promise<{ readonly pid: number }> {
    o.signal.throwIfAborted();
    const { id, config } = request.record;
    const directory = this.#directory(id);
    await removeRun(directory);
    await this.#exits.forget(id);
    await mkdir(directory, { recursive: true, mode: 0o711 });
    await using undo = new AsyncDisposableStack();
    undo.defer(async () => await this.delete(id));
    const spec = await this.#spec(request);
    const { seccomp } = spec.linux;
    spec.annotations = { ...spec.annotations, ...this.#seccomp.annotations(seccomp) };
    await writeFile(join(directory, "config.json"), encodeSpec(spec), { mode: 0o600 });
    using conmon = await startConmon(this.#lowLevel, {
      containerId: id,
      uuid: id,
      directory,
      exitDirectory: this.#exits.directory,
      logPath: request.files.log,
      tty: config.Tty === true,
      stdin: config.OpenStdin === true,
      leaveStdinOpen: config.OpenStdin === true && config.StdinOnce !== true,
    });
    const said = await nextUnless(o.signal, conmon.sync);
    if (said === undefined || said.data <= 0)
      throw startFailure(
        "container",
        (await runtimeSaid(directory)) || (said?.message ?? ""),
        spec.process.args[0] ?? "",
      );
    await this.#seccomp.learn(seccomp, id);
    undo.move();
    return { pid: said.data };
  }

  async #spec(request: RunRequest): Promise<OciSpec> {
    const { record, rootfs } = request;
    const { config, host } = record;
    using root = openRoot(rootfs);
    const user = resolveUser(config.User ?? "", readUserFiles(root), host.GroupAdd ?? []);
    if (config.WorkingDir) ensureWorkingDirectory(root, config.WorkingDir);
    const confinement = this.#options.confine(record);
    const devices = await deviceAccess({
      devices: host.Devices ?? [],
      rules: host.DeviceCgroupRules ?? [],
      privileged: confinement.privileged,
    });
    const mode = host.CgroupnsMode || (this.cgroups.kind === "v2" ? "private" : "host");
    return renderBundle({
      ...request,
      config,
      host,
      user,
      confinement,
      devices,
      sharedMemory: await this.#sharedMemory(request),
      cgroupsPath: `/${this.#group(record)}`,
      cgroupNamespace: mode === "private",
      kernel: this.#kernel,
    });
  }

  async #sharedMemory({ record, joined }: RunRequest): Promise<string | undefined> {
    const { host, id } = record;
    if (host.IpcMode === "shareable") return mountSharedMemory(this.#directory(id), host);
    if (joined.ipc === undefined) return undefined;
    const donor = (await this.list()).find((each) => this.#processes(each).first?.pid === joined.ipc);
    if (donor === undefined) throw new Fault("conflict", "can't join IPC of a container that is not running");
    return sharedMemoryOf({ id: donor, spec: this.#readSpec(donor) });
  }

  /** Without a leading slash. */
  #group(record: ContainerRecord): string {
    const parent = (record.host.CgroupParent || this.#options.name).replace(/^\/+|\/+$/g, "");
    return `${parent}/${record.id}`;
  }

  async start(id: string): Promise<void> {
    try {
      await startCreated(this.#lowLevel, id);
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
    const { first } = this.#processes(id);
    if (first === undefined) return { state: "absent" };
    if (await this.#isCreated(id)) return { state: "created" };
    const paused = await cgroup.isFrozen(this.cgroups, this.#groupOf(id));
    return { state: paused ? "paused" : "running", pid: first.pid };
  }

  /** A process the low-level runtime knows nothing of is one that runs. */
  async #isCreated(id: string): Promise<boolean> {
    try {
      const known = JSON.parse(await run(this.#lowLevel, ["state", id])) as { status?: string };
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
      const changed = this.#exits.changed(id, conmonCheckMs, signal);
      const ended = await this.#ended(id);
      if (ended !== undefined) return ended;
      if (this.#processes(id).conmon === undefined) {
        // Its last act may have been the file.
        const late = await this.#ended(id);
        return late ?? { exitCode: lostExitCode, oomKilled: false, finishedAt: new Date().toISOString() };
      }
      await changed;
    }
  }

  /** Kills what is left and gives everything back. Idempotent. */
  async delete(id: string): Promise<void> {
    const directory = this.#directory(id);
    if (!existsSync(directory)) return;
    const group = this.#groupOf(id);
    await this.#thaw(id).catch(() => undefined);
    await this.#killAll(id, group);
    await cgroup.removeGroup(this.cgroups, group);
    await rm(join(this.#lowLevel.root, id), { recursive: true, force: true });
    await this.#exits.forget(id);
    await removeRun(directory);
  }

  async #killAll(id: string, group: string): Promise<void> {
    for (let round = 0; round < killRounds; round++) {
      const { first, conmon } = this.#processes(id);
      const pids = await cgroup.processesOf(this.cgroups, group);
      const ofExecs = execConmons(this.#directory(id), id);
      if (first === undefined && pids.length === 0 && ofExecs.length === 0) {
        // Having written how the container ended, it does nothing more but end.
        if (conmon === undefined || (await this.#exits.read(id)) !== undefined) return;
        if (round > killRounds / 2) sendSignal(conmon, sigkill);
      }
      if (first !== undefined) sendSignal(first, sigkill);
      for (const pid of pids) killPid(pid);
      // Blocked by a client that reads nothing, one would never take leave of its dead child.
      if (round >= execGraceRounds) for (const each of ofExecs) sendSignal(each, sigkill);
      await new Promise((resolve) => setTimeout(resolve, killPauseMs));
    }
    throw new Fault(
      "timeout",
      `processes of container ${id} do not end: they may wait for a device or a dead file server`,
    );
  }

  /** @throws Fault `conflict` when nothing of it runs. */
  async usage(record: ContainerRecord): Promise<RunUsage> {
    return await usageOf(this.cgroups, this.#group(record), record);
  }

  /** Host pids of everything that runs in the container. */
  async pids(record: ContainerRecord): Promise<number[]> {
    return await cgroup.processesOf(this.cgroups, this.#group(record));
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

  async exec(
    record: ContainerRecord,
    execId: string,
    request: ExecRequest,
    o: { readonly signal: AbortSignal },
  ): Promise<RunningExec> {
    o.signal.throwIfAborted();
    const { id, config, host } = record;
    const cwd = request.cwd || config.WorkingDir || "/";
    if (!cwd.startsWith("/")) throw relativeDirectory();
    const { first } = this.#processes(id);
    if (first === undefined) throw new Fault("conflict", `container ${id} is not running`);
    using root = openRoot(`/proc/${first.pid}/root`);
    const user = resolveUser(request.user || config.User || "", readUserFiles(root), host.GroupAdd ?? []);
    const asked = request.privileged ? { ...record, host: { ...host, Privileged: true } } : record;
    const confinement = this.#options.confine(asked);
    const env = [...(config.Env ?? []), ...request.env];
    const hostname = config.Hostname || id.slice(0, 12);
    const process = renderProcess({
      args: request.args,
      env: environment({ Env: lastOfEach(env), Tty: request.tty }, hostname, user.home),
      cwd,
      tty: request.tty,
      user,
      confinement,
    });
    const rlimits = renderRlimits(host.Ulimits ?? []);
    const limits = rlimits.length > 0 ? { rlimits } : {};
    const size = request.tty && request.consoleSize !== undefined ? { consoleSize: request.consoleSize } : {};
    return await runExec(this.#lowLevel, {
      containerId: id,
      execId,
      directory: join(this.#directory(id), "execs", checkedId(execId)),
      process: { ...process, ...limits, ...size, oomScoreAdj: host.OomScoreAdj || this.#kernel.oomScoreAdj },
      streams: request,
      orphansLeave: (host.PidMode || "private") === "private",
    });
  }

  #directory(id: string): string {
    return join(this.#root, checkedId(id));
  }

  [Symbol.dispose](): void {
    this.#exits[Symbol.dispose]();
    this.#lowLevel[Symbol.dispose]();
  }
}

/** Ids are parts of paths here. @throws Fault `invalid`. */
function checkedId(id: string): string {
  if (!idPattern.test(id)) throw new Fault("invalid", `${JSON.stringify(id)} is no id of 64 hex characters`);
  return id;
}

function lastOfEach(env: readonly string[]): string[] {
  return [...new Map(env.map((each) => [each.split("=", 1)[0], each])).values()];
}

function relativeDirectory(): Fault {
  const message = "OCI runtime exec failed: exec failed: Cwd must be an absolute path: unknown";
  return new Fault("invalid", message, { detail: { exitCode: 126 } });
}

function killPid(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Gone already.
  }
}

function canLimitSwap(cgroups: cgroup.CgroupLayout): boolean {
  if (cgroups.kind === "v2") return true;
  const memory = cgroups.hierarchies.get("memory");
  return memory !== undefined && existsSync(join(memory, "memory.memsw.limit_in_bytes"));
}

function ownOomScoreAdj(): number {
  return Math.max(0, Number(readFileSync("/proc/self/oom_score_adj", "latin1")));
}
