/**
 * An engine of a test's own: real, in its own network namespace and directories, gone afterwards with all it made.
 * Nothing it does reaches the machine's network.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pack } from "tar-stream";
import { Client } from "#client/client.ts";
import { detectCgroups, groupPaths, processesOf, removeGroup } from "#kernel/cgroups/cgroup.ts";
import { mountsBeneath, unmount } from "#kernel/mounts/mount.ts";
import { listLinks, setUp } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { inNamespace, makeNamespace, removeNamespace } from "#kernel/network/netns.ts";
import { runNft } from "#kernel/network/nftables.ts";
import { Records } from "#store/records.ts";

const checkout = join(import.meta.dir, "../..");
const applets =
  "sh cat echo sleep ls true false httpd id env wc hostname touch ps stty kill date mkdir wget nc trap head dd seq rm mount tail sed pwd test uname grep tty ip nslookup";

/** How long the kernel may take to give back what belonged to a dead namespace. */
const patienceMs = 10_000;
const pauseMs = 25;

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class EngineUnderTest implements AsyncDisposable {
  readonly directory: string;
  readonly host: string;
  #process: ChildProcess | undefined;
  #log = "";
  readonly netns: string;
  readonly #ownsNetns: boolean;

  private constructor(beside?: EngineUnderTest) {
    this.directory = mkdtempSync(join(tmpdir(), "wherry-live-"));
    chmodSync(this.directory, 0o755);
    this.host = `unix://${this.directory}/engine.sock`;
    this.netns = beside?.netns ?? join(this.directory, "netns");
    this.#ownsNetns = beside === undefined;
    if (!this.#ownsNetns) return;
    makeNamespace(this.netns, () => {
      using netlink = new Netlink();
      setUp(netlink, 1);
    });
  }

  static async start(...flags: string[]): Promise<EngineUnderTest> {
    const engine = new EngineUnderTest();
    await engine.start(...flags);
    return engine;
  }

  /** In the same network namespace as another, which must be disposed of later. */
  static async startBeside(other: EngineUnderTest, ...flags: string[]): Promise<EngineUnderTest> {
    const engine = new EngineUnderTest(other);
    await engine.start(...flags);
    return engine;
  }

  get log(): string {
    return this.#log;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  async client(): Promise<Client> {
    return await Client.connect({ host: this.host });
  }

  /** Resolves when it answers. */
  async start(...flags: string[]): Promise<void> {
    const { directory } = this;
    const roots = [
      "--data-root",
      join(directory, "data"),
      "--exec-root",
      join(directory, "exec"),
      "--host",
      this.host,
    ];
    const args = [
      `--net=${this.netns}`,
      process.execPath,
      join(checkout, "src/bin/wherryd.ts"),
      ...roots,
      ...flags,
    ];
    const child = spawn("nsenter", args, { stdio: ["ignore", "ignore", "pipe"] });
    child.stderr.on("data", (part: Buffer) => {
      this.#log += part.toString();
    });
    this.#process = child;
    for (let attempt = 0; ; attempt++) {
      try {
        await this.client();
        return;
      } catch (error) {
        if (child.exitCode !== null || attempt > 400)
          throw new Error(`the engine does not answer: ${this.#log}`, { cause: error });
        await Bun.sleep(25);
      }
    }
  }

  /** SIGKILL gives it no chance to put anything in order. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<number | null> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null)
      return child?.exitCode ?? null;
    const exited = once(child, "exit");
    child.kill(signal);
    const [code] = (await exited) as [number | null];
    return code;
  }

  /** `busybox:latest`, with the programs that tests run. */
  async importBusybox(): Promise<void> {
    const client = await this.client();
    const o = { repo: "busybox", tag: "latest", changes: ["CMD sh"] };
    for await (const message of client.images.import(baseArchive(), o))
      if (message.error !== undefined) throw new Error(message.error);
  }

  /** Running or not, with their anonymous volumes: between tests, and in the end. */
  async removeContainers(): Promise<void> {
    const client = await this.client();
    for (const { Id } of await client.containers.list({ all: true }))
      await client.containers.remove(Id, { force: true, volumes: true });
  }

  /** Runs a command line against the engine, in its network. `input` is stdin, closed behind it. */
  async cli(
    program: string,
    args: readonly string[],
    o: { readonly input?: string; readonly env?: Record<string, string> } = {},
  ): Promise<CliResult> {
    const child = this.spawn(program, args, o.env);
    child.stdin?.end(o.input ?? "");
    let [stdout, stderr] = ["", ""];
    child.stdout?.on("data", (part: Buffer) => {
      stdout += part.toString();
    });
    child.stderr?.on("data", (part: Buffer) => {
      stderr += part.toString();
    });
    const [code] = (await once(child, "close")) as [number];
    return { code, stdout, stderr };
  }

  spawn(program: string, args: readonly string[], env: Record<string, string> = {}): ChildProcess {
    // From the source, also where a built program lies about.
    const words = program === "wherry" ? [process.execPath, join(checkout, "src/bin/wherry.ts")] : [program];
    return spawn("nsenter", [`--net=${this.netns}`, ...words, ...args], {
      env: {
        ...process.env,
        DOCKER_HOST: this.host,
        WHERRY_HOST: this.host,
        DOCKER_BUILDKIT: "0",
        DOCKER_CONFIG: join(this.directory, "none"),
        ...env,
      },
      stdio: ["pipe", "pipe", "pipe"],
    });
  }

  /**
   * What is left of containers, in words; nothing when all is given back. The engine may run.
   * Waits for that: the kernel takes a dead namespace's interfaces and mounts away in its own time.
   */
  async leaks(): Promise<string[]> {
    for (const end = Date.now() + patienceMs; ; await Bun.sleep(pauseMs)) {
      const left = this.#leaks();
      if (left.length === 0 || Date.now() > end) return left;
    }
  }

  #leaks(): string[] {
    const beneath = (path: string) => (existsSync(path) ? readdirSync(path) : []);
    const { data, exec } = { data: join(this.directory, "data"), exec: join(this.directory, "exec") };
    // The data root itself may be a disk of the test's.
    const mounts = mountsBeneath(data).flatMap(({ target }) => (target === data ? [] : [`mount ${target}`]));
    const runs = ["runs", "exits", "runtime", "runtime-runc"].flatMap((name) =>
      beneath(join(exec, name)).map((id) => `${name} ${id}`),
    );
    const kept = ["containers", "layers/writable", "layers/incoming"].flatMap((name) =>
      beneath(join(data, name)).map((id) => `${name} ${id}`),
    );
    const links = inNamespace(this.netns, () => {
      using netlink = new Netlink();
      return listLinks(netlink).map(({ name }) => name);
    });
    const veths = links.filter((name) => name.startsWith("wv")).map((name) => `link ${name}`);
    const groups = this.#groups().flatMap((path) =>
      beneath(path)
        .filter((name) => /^[0-9a-f]{64}$/.test(name))
        .map((name) => `cgroup ${name}`),
    );
    const rules = inNamespace(this.netns, () => runNft("list ruleset"));
    const elements = /map (?:any|one) \{[^}]*elements = /.test(rules) ? ["published ports"] : [];
    return [...mounts, ...runs, ...kept, ...veths, ...groups, ...elements];
  }

  /** What the records still say; only while the engine is stopped. */
  recordLeaks(): string[] {
    using records = Records.open(join(this.directory, "data", "records.db"));
    return ["containers", "sandboxes", "writable-layers"].flatMap((name) =>
      records
        .table(name)
        .entries()
        .map(([key]) => `record ${name} ${key}`),
    );
  }

  #groups(): string[] {
    const layout = detectCgroups();
    const name = new Bun.CryptoHasher("sha256")
      .update(join(this.directory, "data"))
      .digest("hex")
      .slice(0, 8);
    return groupPaths(layout, `wherry-${name}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.#process === undefined) await this.start();
      await this.removeContainers();
    } finally {
      await this.stop();
      await this.#sweep();
    }
  }

  /** What even a broken engine must not leave on this machine. */
  async #sweep(): Promise<void> {
    const layout = detectCgroups();
    for (const path of this.#groups()) {
      const group = path.slice(path.lastIndexOf("/") + 1);
      for (const pid of await processesOf(layout, group)) process.kill(pid, "SIGKILL");
      await removeGroup(layout, group).catch(() => undefined);
    }
    for (const { target } of mountsBeneath(this.directory).reverse()) unmount(target, { detach: true });
    if (this.#ownsNetns) removeNamespace(this.netns);
    mkdirSync(this.directory, { recursive: true });
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The docker CLI, where the machine has one; tests that need it say so when they are skipped. */
export const dockerCli = Bun.which("docker");

/** What `busybox:latest` is made of. The same layer on every engine: tests compare what is built upon it. */
export function baseArchive(directories: readonly string[] = []): AsyncIterable<Uint8Array> {
  const tar = pack();
  const mtime = new Date("2026-01-01");
  const file = (name: string, content: string | Buffer, mode = 0o644): unknown =>
    tar.entry({ name, mode, mtime }, content);
  for (const name of directories) tar.entry({ name, type: "directory", mode: 0o755, mtime });
  file("bin/busybox", readFileSync("/bin/busybox"), 0o755);
  for (const name of applets.split(" "))
    tar.entry({ name: `bin/${name}`, type: "symlink", linkname: "busybox", mtime });
  for (const name of ["tmp/", "root/", "www/"]) tar.entry({ name, type: "directory", mode: 0o777, mtime });
  file("etc/passwd", "root:x:0:0::/root:/bin/sh\nweb:x:33:44::/www:/bin/sh\n");
  file("etc/group", "root:x:0:\nwww:x:44:\n");
  tar.finalize();
  return tar as AsyncIterable<Uint8Array>;
}
