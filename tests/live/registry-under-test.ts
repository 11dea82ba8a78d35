/**
 * Debian's docker-registry in an engine's network, on loopback there; gone afterwards with all it stored.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Set-up installs it. */
export const registryProgram = Bun.which("docker-registry");

export class RegistryUnderTest implements AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  readonly root: string;
  readonly #netns: string;
  readonly #process: ChildProcess;

  private constructor(o: { host: string; root: string; netns: string; process: ChildProcess }) {
    this.host = o.host;
    this.root = o.root;
    this.#netns = o.netns;
    this.#process = o.process;
  }

  /** Answers when it resolves. `users` is an htpasswd file's text. */
  static async start(o: {
    readonly netns: string;
    readonly directory: string;
    readonly port: number;
    readonly users?: string;
  }): Promise<RegistryUnderTest> {
    const root = join(o.directory, `registry-${o.port}`);
    mkdirSync(root, { recursive: true });
    const auth = o.users === undefined ? "" : `auth: {htpasswd: {realm: here, path: ${root}/users}}\n`;
    if (o.users !== undefined) writeFileSync(join(root, "users"), o.users);
    const config = `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: ${root}/data}, delete: {enabled: true}}
http: {addr: "127.0.0.1:${o.port}"}
${auth}`;
    writeFileSync(join(root, "config.yml"), config);
    const process = spawn(
      "nsenter",
      [`--net=${o.netns}`, registryProgram ?? "docker-registry", "serve", join(root, "config.yml")],
      { stdio: "ignore", env: { OTEL_TRACES_EXPORTER: "none" } },
    );
    const registry = new RegistryUnderTest({ host: `127.0.0.1:${o.port}`, root, netns: o.netns, process });
    for (let attempt = 0; (await registry.get("/v2/")) === ""; attempt++) {
      if (attempt > 200) throw new Error("docker-registry does not answer");
      await Bun.sleep(25);
    }
    return registry;
  }

  /** The head and body of an answer; empty while nobody answers. */
  async get(path: string): Promise<string> {
    const script = `exec 3<>/dev/tcp/${this.host.replace(":", "/")} && printf 'GET ${path} HTTP/1.0\\r\\nAccept: application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json\\r\\n\\r\\n' >&3 && cat <&3`;
    const child = spawn("nsenter", [`--net=${this.#netns}`, "bash", "-c", script], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    let text = "";
    child.stdout.on("data", (part: Buffer) => {
      text += part.toString();
    });
    await once(child, "close");
    return text;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#process, "exit");
    if (this.#process.exitCode === null && this.#process.kill("SIGKILL")) await ended;
  }
}
