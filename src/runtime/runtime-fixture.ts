/** For tests: a runtime in a directory of its own, and records of small containers on a busybox root. */
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeGroup } from "#kernel/cgroups/cgroup.ts";
import {
  type ContainerConfig,
  type ContainerRecord,
  type HostConfig,
  parseContainerId,
} from "#spec/container.ts";
import type { Confinement } from "#spec/oci-runtime.ts";
import { type RunRequest, Runtime } from "./runtime.ts";

const groupName = `wherry-test-${process.pid}`;
const capabilities = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID", "KILL", "NET_BIND_SERVICE"];

export class RuntimeFixture implements AsyncDisposable {
  readonly directory: string;
  runtime: Runtime;

  private constructor(directory: string, runtime: Runtime) {
    this.directory = directory;
    this.runtime = runtime;
  }

  static async open(): Promise<RuntimeFixture> {
    const directory = await mkdtemp(join(tmpdir(), "wherry-runtime-"));
    makeRoot(join(directory, "rootfs"));
    for (const name of ["hosts", "hostname", "resolvConf"]) writeFileSync(join(directory, name), `${name}\n`);
    return new RuntimeFixture(directory, await openRuntime(directory));
  }

  /** As after the engine died: nothing of the old object is used any more. */
  async reopen(): Promise<void> {
    this.runtime[Symbol.dispose]();
    this.runtime = await openRuntime(this.directory);
  }

  record(config: ContainerConfig, host: HostConfig = {}): ContainerRecord {
    const bytes = crypto.getRandomValues(new Uint8Array(32));
    const id = parseContainerId(Buffer.from(bytes).toString("hex"));
    return { id, config, host, mounts: [], name: "test" } as unknown as ContainerRecord;
  }

  request(record: ContainerRecord, more: Partial<RunRequest> = {}): RunRequest {
    const { directory } = this;
    const at = (name: string) => join(directory, name);
    const files = {
      log: at(`${record.id}.log`),
      hosts: at("hosts"),
      hostname: at("hostname"),
      resolvConf: at("resolvConf"),
    };
    return { record, rootfs: at("rootfs"), hostname: "box", files, mounts: [], joined: {}, ...more };
  }

  /** Runs to the end. */
  async run(
    config: ContainerConfig,
    host: HostConfig = {},
  ): Promise<{ exitCode: number; oomKilled: boolean; output: string }> {
    const record = this.record(config, host);
    const { signal } = new AbortController();
    await this.runtime.create(this.request(record), { signal });
    await this.runtime.start(record.id);
    const { exitCode, oomKilled } = await this.runtime.exit(record.id, { signal });
    await this.runtime.delete(record.id);
    return { exitCode, oomKilled, output: await this.output(record) };
  }

  /** What the container wrote, from conmon's log. */
  async output(record: ContainerRecord): Promise<string> {
    const text = await Bun.file(join(this.directory, `${record.id}.log`)).text();
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => line.replace(/^\S+ \S+ /, ""))
      .map((line) => (line.startsWith("F ") ? `${line.slice(2)}\n` : line.slice(2)))
      .join("");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const id of await readdir(join(this.directory, "exec", "runs"))) await this.runtime.delete(id);
    await removeGroup(this.runtime.cgroups, groupName);
    this.runtime[Symbol.dispose]();
    await rm(this.directory, { recursive: true, force: true });
  }
}

async function openRuntime(directory: string): Promise<Runtime> {
  const confine = ({ host }: Pick<ContainerRecord, "host">): Confinement => ({
    capabilities: capabilities.map((name) => `CAP_${name}`),
    maskedPaths: [],
    readonlyPaths: [],
    noNewPrivileges: false,
    writableCgroups: host.Privileged === true,
    privileged: host.Privileged === true,
  });
  return await Runtime.open({ execRoot: join(directory, "exec"), name: groupName, confine });
}

function makeRoot(root: string): void {
  for (const name of ["bin", "etc", "proc", "sys", "dev", "tmp"])
    mkdirSync(join(root, name), { recursive: true });
  cpSync("/bin/busybox", join(root, "bin/busybox"));
  for (const name of [
    "sh",
    "cat",
    "sleep",
    "echo",
    "id",
    "env",
    "pwd",
    "readlink",
    "stty",
    "dd",
    "head",
    "tail",
    "kill",
    "mount",
  ])
    symlinkSync("busybox", join(root, "bin", name));
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:33:44::/srv:/bin/sh\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\nlogs:x:70:web\n");
  writeFileSync(join(root, "bin/notes"), "no program\n", { mode: 0o644 });
}
