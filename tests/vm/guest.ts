/** Inside the virtual machine: an engine, what checks ask of it, and how they tell the host what they found. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pack } from "tar-stream";
import { Client } from "#client/client.ts";
import type { ContainerConfig, HostConfig } from "#spec/container.ts";
import { untilReads } from "./until.ts";

export const host = "unix:///run/engine.sock";
const applets = "sh cat echo sleep true id touch ps dd grep mount df kill tail head seq";

export class Guest {
  client!: Client;
  #engine: ChildProcess | undefined;
  log = "";

  async start(...flags: string[]): Promise<void> {
    const roots = ["--data-root", "/var/lib/wherry", "--exec-root", "/run/wherry", "--host", host];
    const child = spawn(process.execPath, ["/wherryd.js", ...roots, ...flags], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    child.stderr.on("data", (part: Buffer) => {
      this.log += part.toString();
    });
    this.#engine = child;
    await untilReads("the engine answers", async () => {
      if (child.exitCode !== null) throw new Error(`the engine ended: ${this.log}`);
      this.client = await Client.connect({ host }).catch(() => this.client);
      return this.client !== undefined && (await this.client.version().catch(() => undefined)) !== undefined;
    });
  }

  async stop(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#engine;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    await exited;
  }

  async importBusybox(): Promise<void> {
    const tar = pack();
    tar.entry({ name: "bin/busybox", mode: 0o755 }, readFileSync("/bin/busybox"));
    for (const name of applets.split(" "))
      tar.entry({ name: `bin/${name}`, type: "symlink", linkname: "busybox" });
    tar.entry({ name: "tmp/", type: "directory", mode: 0o777 });
    tar.finalize();
    const o = { repo: "busybox", tag: "latest", changes: ["CMD sh"] };
    for await (const message of this.client.images.import(tar as AsyncIterable<Uint8Array>, o))
      if (message.error !== undefined) throw new Error(message.error);
  }

  /** Creates and starts; gone at the end of its scope. */
  async run(
    HostConfig: HostConfig,
    Cmd: readonly string[] = ["sleep", "1000"],
    more: ContainerConfig = {},
  ): Promise<Ran> {
    const body = {
      Image: "busybox",
      Cmd: [...Cmd],
      ...more,
      HostConfig: { NetworkMode: "none", ...HostConfig },
    };
    const { Id, Warnings } = await this.client.containers.create(body);
    const ran = new Ran(this, Id, Warnings ?? []);
    try {
      await this.client.containers.start(Id);
    } catch (error) {
      await ran[Symbol.asyncDispose]();
      throw error;
    }
    return ran;
  }
}

export class Ran implements AsyncDisposable {
  readonly id: string;
  readonly warnings: readonly string[];
  readonly #guest: Guest;

  constructor(guest: Guest, id: string, warnings: readonly string[]) {
    this.#guest = guest;
    this.id = id;
    this.warnings = warnings;
  }

  async inspect() {
    return await this.#guest.client.containers.inspect(this.id);
  }

  /** What a file of its control group says, by the path the kernel gives its first process. */
  async group(file: string): Promise<string> {
    const { Pid } = (await this.inspect()).State;
    const own = /^0::(.*)$/m.exec(readFileSync(`/proc/${Pid}/cgroup`, "latin1"))?.[1] ?? "";
    return readFileSync(join("/sys/fs/cgroup", own, file), "latin1").trim();
  }

  /** Output and exit code of a command in it. */
  async exec(...Cmd: string[]): Promise<{ code: number; output: string }> {
    const { containers } = this.#guest.client;
    const id = await containers.createExec(this.id, {
      Cmd,
      AttachStdout: true,
      AttachStderr: true,
      Tty: true,
    });
    await using stream = await containers.startExec(id, { tty: true });
    let output = "";
    for await (const part of stream.output) output += Buffer.from(part).toString();
    return { code: (await containers.inspectExec(id)).ExitCode ?? -1, output: output.trim() };
  }

  /** Its output, when it has ended. */
  async ended(): Promise<{ code: number; output: string }> {
    const { containers } = this.#guest.client;
    const { StatusCode } = await (await containers.wait(this.id)).exit;
    let output = "";
    for await (const part of (await containers.logs(this.id, {})).body)
      output += Buffer.from(part.slice(8)).toString();
    return { code: StatusCode, output: output.trim() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#guest.client.containers.remove(this.id, { force: true, volumes: true });
  }
}
