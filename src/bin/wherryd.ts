/**
 * The engine's program: puts the parts together, listens, and ends when told to.
 * Owns: argv, the process's signals, its pid file. Containers go on when it ends.
 */
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { serveApi } from "#api/server.ts";
import { Builder } from "#build/builder.ts";
import { changeConfig } from "#build/language/change-config.ts";
import { type Engine, openEngine } from "#engine/engine.ts";
import { nowNano } from "#kernel/clock.ts";
import { fileSystemOf, hostFacts } from "#kernel/host.ts";
import { kernelHas } from "#kernel/mounts/mount.ts";
import { reachHttp, reachTcp } from "#network/links/reach.ts";
import { Networks } from "#network/networks.ts";
import { Registry } from "#registry/client/registry.ts";
import { decideDepot, decideServe, parseServeFile } from "#registry/server/serve-options.ts";
import { Runtime } from "#runtime/runtime.ts";
import { apparmorEnabled, hasProfile, loadDefaultProfile } from "#security/apparmor.ts";
import { confinement, type Machine } from "#security/confinement.ts";
import type { ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { formatRfc3339 } from "#spec/unix-time.ts";
import { Arrivals } from "#store/arrivals.ts";
import { Blobs } from "#store/blobs.ts";
import { Layers } from "#store/layers/layers.ts";
import { lockRoot } from "#store/lock.ts";
import { Records } from "#store/records.ts";
import { Events } from "#telemetry/events.ts";
import { usualLogSockets } from "#telemetry/log-drivers.ts";
import { Logs } from "#telemetry/logs.ts";
import { Volumes } from "#volume/volumes.ts";
import {
  type DaemonOptions,
  decideOptions,
  parseCommandLine,
  parseConfigFile,
  usage,
} from "./daemon-options.ts";
import { openBuildkit } from "./open-buildkit.ts";
import { openRegistryService, type RegistryService } from "./registry-service.ts";
import { type Changeable, reloadOnSignal } from "./reload.ts";
import { buildTime, gitCommit, version } from "./version.ts";

const made = { version, gitCommit, buildTime };
const defaultConfigFile = "/etc/wherry/daemon.json";

async function main(args: readonly string[]): Promise<void> {
  const options = readOptions(args);
  if (options.help) return void process.stdout.write(usage);
  if (options.version) return void process.stdout.write(`wherryd version ${version}, build ${gitCommit}\n`);
  checkHost();
  await using stack = new AsyncDisposableStack();
  const ended = untilSignal();
  await serve(options, stack, () => readOptions(args));
  await ended;
}

function readOptions(args: readonly string[]): DaemonOptions {
  const line = parseCommandLine(args);
  const path = line.configFile ?? defaultConfigFile;
  if (line.configFile !== undefined && !existsSync(path))
    throw new Fault("invalid", `the configuration file ${path} is not there`);
  const file = existsSync(path) ? parseConfigFile(readFileSync(path, "utf8"), path) : {};
  return decideOptions(line, file, process.env);
}

function checkHost(): void {
  if (!hostFacts().isRoot) throw new Fault("denied", "wherryd needs to run as root: start it with sudo");
  if (!kernelHas("overlay"))
    throw new Fault(
      "unavailable",
      "this kernel has no overlayfs, which containers' file systems need: load it with 'modprobe overlay'",
    );
}

async function untilSignal(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  await promise;
}

/** Everything that is made goes on the stack; the API comes last and goes first. */
async function serve(
  o: DaemonOptions,
  stack: AsyncDisposableStack,
  again: () => DaemonOptions,
): Promise<void> {
  // Several engines side by side are told apart by where their data is.
  const name = createHash("sha256").update(o.dataRoot).digest("hex").slice(0, 8);
  const current: Changeable = { debug: o.debug, labels: o.labels };
  const now = () => formatRfc3339(nowNano());
  const randomHex = (bytes: number) => randomBytes(bytes).toString("hex");
  const report = (fault: Fault) => log(`${fault.message}${current.debug ? `\n${fault.stack}` : ""}`);
  stack.use(lockRoot(o.dataRoot, process.pid));
  await mkdir(o.execRoot, { recursive: true, mode: 0o711 });
  const records = stack.use(Records.open(join(o.dataRoot, "records.db")));
  const blobs = await Blobs.open(join(o.dataRoot, "blobs"));
  const layers = await Layers.open(join(o.dataRoot, "layers"), { records, report });
  const events = Events.open(records, nowNano);
  const fileSystem = fileSystemOf(o.dataRoot);
  const machine = await machineFacts(log);
  const confine = (record: Pick<ContainerRecord, "host">) => confineRecord(record, machine);
  const runtime = stack.use(
    await Runtime.open({
      ...{ execRoot: o.execRoot, name: `wherry-${name}`, confine },
      ...{ cdiDirectories: o.cdiDirectories, init: o.init, initPath: o.initPath },
    }),
  );
  const network = stack.use(
    await Networks.open({
      ...{ ...o.network, records, execRoot: o.execRoot, name, now, report },
      relayThread: o.network.userlandProxy ? new URL("./relay-thread.ts", import.meta.url) : undefined,
      overlapped: ({ driver, id, name: network }, warning) => {
        const attributes = { name: network, type: driver, warning };
        events.append({ type: "network", action: "overlap", actor: { id, attributes }, timeNano: nowNano() });
      },
    }),
  );
  const logMachine = { hostname: hostFacts().hostname, pid: process.pid, newId: () => randomHex(32) };
  const logs = stack.use(new Logs({ machine: { ...logMachine, ...usualLogSockets }, report }));
  if (o.served !== undefined) log(`registry on ${stack.use(await serveRegistry(o, o.served, log)).url}`);
  const registry = await openRegistry(o);
  const engine = stack.use(
    await openEngine({
      ...{ records, blobs, layers, runtime, network, registry, events, logs },
      reach: { tcp: reachTcp, http: reachHttp },
      volumes: async (users) => {
        const volumes = await Volumes.open({
          ...{ records, ...users, now, randomHex, report, trashMs: o.volumeTrashMs },
          root: join(o.dataRoot, "volumes"),
          mountRoot: join(o.execRoot, "mounts"),
          plugins: pluginDirectories(o.execRoot),
          emit: (action, id, attributes) =>
            events.append({ type: "volume", action, actor: { id, attributes }, timeNano: nowNano() }),
        });
        return stack.use(volumes);
      },
      machine: () => ({
        ...hostFacts(),
        cgroupVersion: runtime.cgroups.kind === "v2" ? "2" : "1",
        limits: runtime.limits,
        fileSystem,
        limitsRootSizes: layers.limitsSizes(),
        apparmorProfile: machine.apparmorProfile,
      }),
      dataRoot: o.dataRoot,
      containersRoot: join(o.dataRoot, "containers"),
      labels: () => current.labels,
      logConfig: o.logConfig,
      applyChanges: changeConfig,
      ...{ randomHex, nowNano, report },
    }),
  );
  const built = { root: join(o.dataRoot, "build"), cacheBytesMax: o.buildCacheBytes };
  const builder = stack.use(await Builder.open({ engine, layers, records, ...built }));
  const buildkit = openBuildkit(o, { builder, engine, network, records, log });
  const facing = { ...made, registry: o.registry, hosts: o.hosts, tls: readTls(o), log };
  const api = await serveApi({ engine, builder, buildkit, ...facing });
  stack.use(api);
  network.bar(api.hosts.flatMap((host) => /^tcp:.*:(\d+)$/.exec(host)?.[1] ?? []).map(Number));
  const changed = tellReload.bind(undefined, engine, events);
  stack.use(reloadOnSignal({ current, read: again, changed, log }));
  await writePidFile(o, stack);
  for (const host of api.hosts) log(`listening on ${host}`);
}

/** Kept apart from the engine's own blobs: those are layers unpacked, these are what a client sent, byte for byte. */
async function serveRegistry(
  { dataRoot }: DaemonOptions,
  { address, configFile }: NonNullable<DaemonOptions["served"]>,
  say: (line: string) => void,
): Promise<RegistryService> {
  const file = configFile === undefined ? {} : parseServeFile(readFileSync(configFile, "utf8"), configFile);
  const options = decideServe({ addr: address }, { root: join(dataRoot, "registry"), ...file });
  const place = decideDepot(options.root, options.file, process.env);
  return await openRegistryService({ ...options, place, say: (line) => say(`registry: ${line}`) });
}

function tellReload(engine: Engine, events: Events, attributes: Readonly<Record<string, string>>): void {
  const { id, hostname } = engine.system.facts();
  const actor = { id, attributes: { ...attributes, name: hostname } };
  events.append({ type: "daemon", action: "reload", actor, timeNano: nowNano() });
}

async function openRegistry({ dataRoot, registry }: DaemonOptions): Promise<Registry> {
  const arrivals = await Arrivals.open(join(dataRoot, "arrivals"));
  return new Registry({ options: { ...registry, userAgent: `wherry/${version} (linux)` }, arrivals });
}

/** @throws Fault `invalid` naming the file that cannot be read. */
function readTls({ tls }: DaemonOptions) {
  if (tls === undefined) return undefined;
  const read = (what: string, path: string): string => {
    try {
      return readFileSync(path, "utf8");
    } catch (cause) {
      throw new Fault("invalid", `could not read ${what} ${path}: ${Fault.from(cause).message}`, { cause });
    }
  };
  const { cert, key, authority } = tls;
  return {
    cert: read("the certificate", cert),
    key: read("the key", key),
    authority: authority === undefined ? undefined : read("the CA certificate", authority),
  };
}

async function writePidFile({ pidFile }: DaemonOptions, stack: AsyncDisposableStack): Promise<void> {
  if (pidFile === undefined) return;
  await writeFile(pidFile, `${process.pid}\n`);
  stack.defer(async () => await rm(pidFile, { force: true }));
}

/** Docker's places, after the engine's own. */
function pluginDirectories(execRoot: string) {
  const sockets = [join(execRoot, "plugins"), "/run/docker/plugins"];
  return { sockets, files: ["/etc/docker/plugins", "/usr/lib/docker/plugins"] };
}

async function machineFacts(tell: (line: string) => void): Promise<Machine> {
  const { architecture, kernelRelease } = hostFacts();
  const last = readFileSync("/proc/sys/kernel/cap_last_cap", "latin1");
  const hasApparmor = apparmorEnabled();
  const apparmorProfile = hasApparmor ? await loadDefaultProfile(tell) : undefined;
  const status = readFileSync("/proc/self/status", "latin1");
  const ownCapabilities = BigInt(`0x${/^CapBnd:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  return {
    ...{ architecture, kernelRelease, lastCapability: Number(last), ownCapabilities },
    ...{ hasApparmor, hasProfile, apparmorProfile },
  };
}

function confineRecord({ host }: Pick<ContainerRecord, "host">, machine: Machine) {
  const request = {
    capAdd: host.CapAdd ?? [],
    capDrop: host.CapDrop ?? [],
    privileged: host.Privileged === true,
    securityOpt: host.SecurityOpt ?? [],
    maskedPaths: host.MaskedPaths,
    readonlyPaths: host.ReadonlyPaths,
  };
  return confinement(request, machine);
}

function log(line: string): void {
  process.stderr.write(`${new Date().toISOString()} ${line}\n`);
}

try {
  await main(process.argv.slice(2));
  process.exit(0);
} catch (thrown) {
  process.stderr.write(`wherryd: ${Fault.from(thrown).message}\n`);
  process.exit(1);
}
