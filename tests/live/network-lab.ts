/** An engine with busybox, and what tests of networks do with it: run servers, look from within, knock. */
import type { Client } from "#client/client.ts";
import type { EndpointSettings, HostConfig } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import { FrameDecoder } from "#spec/frames.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

export type Endpoints = Record<string, EndpointSettings>;

export class NetworkLab implements AsyncDisposable {
  readonly engine: EngineUnderTest;
  client: Client;

  private constructor(engine: EngineUnderTest, client: Client) {
    this.engine = engine;
    this.client = client;
  }

  static async open(...flags: string[]): Promise<NetworkLab> {
    const engine = await EngineUnderTest.start(...flags);
    await engine.importBusybox();
    return new NetworkLab(engine, await engine.client());
  }

  /** The engine ends, so or so, and comes back with these flags. */
  async restart(signal: "SIGTERM" | "SIGKILL", ...flags: string[]): Promise<void> {
    await this.engine.stop(signal);
    await this.engine.start(...flags);
    this.client = await this.engine.client();
  }

  /** Between two tests. */
  async clear(): Promise<void> {
    await this.engine.removeContainers();
    await this.client.networks.prune();
  }

  /** A container that answers its name on port 80, running. */
  async run(
    name: string,
    mode: string,
    o: { endpoints?: Endpoints; host?: HostConfig } = {},
  ): Promise<string> {
    const command = `echo ${name} >/www/index.html; exec httpd -f -h /www`;
    const { Id } = await this.client.containers.create(
      {
        Image: "busybox",
        Cmd: ["sh", "-c", command],
        HostConfig: { NetworkMode: mode, ...o.host },
        ...(o.endpoints !== undefined && { NetworkingConfig: { EndpointsConfig: o.endpoints } }),
      },
      { name },
    );
    await this.client.containers.start(Id);
    return Id;
  }

  async inside(container: string, ...Cmd: string[]): Promise<{ code: number; out: string }> {
    const { containers } = this.client;
    const exec = await containers.createExec(container, { Cmd, AttachStdout: true, AttachStderr: true });
    await using stream = await containers.startExec(exec, { tty: false });
    const frames = new FrameDecoder();
    let out = "";
    for await (const part of stream.output)
      for (const { bytes } of frames.push(part)) out += Buffer.from(bytes).toString();
    const { ExitCode } = await containers.inspectExec(exec);
    return { code: ExitCode ?? -1, out };
  }

  /** What `from` gets from a web server at `host:port` or `[host]:port`; empty when it cannot be reached. */
  async fetches(from: string, address: string): Promise<string> {
    const match = /^(?:\[(.*)\]|([^:]*))(?::(\d+))?$/.exec(address);
    const [host, port] = [match?.[1] ?? match?.[2] ?? "", match?.[3] ?? "80"];
    for (let attempt = 0; ; attempt++) {
      const ask = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 1 ${host} ${port} | tail -n 1`;
      const { out } = await this.inside(from, "sh", "-c", ask);
      // The server may have only just been started; a wall answers with silence.
      if (!out.includes("refused") || attempt > 40) return out.includes("nc: ") ? "" : out.trim();
      await Bun.sleep(25);
    }
  }

  async addressOn(container: string, network: string): Promise<string> {
    const { NetworkSettings } = await this.client.containers.inspect(container);
    return NetworkSettings.Networks[network]?.IPAddress ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine[Symbol.asyncDispose]();
  }
}

/** The message of the fault that `work` ends in; empty when it does not. */
export async function faultOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "",
    (thrown: unknown) => Fault.from(thrown).message,
  );
}
