/** Requests about containers and execs (Engine API, "Container" and "Exec"). */
import type { ContainerConfig, HostConfig, UpdatableField } from "#spec/container.ts";
import type { StatsAnswer, TopAnswer } from "#spec/docker-stats.ts";
import type {
  ContainerCreated,
  ContainerInspect,
  ContainerSummary,
  ExecInspect,
  IdAnswer,
  UpdateAnswer,
  WaitAnswer,
} from "#spec/docker-wire.ts";
import { type Filters, formatFilters } from "#spec/filters.ts";
import type { Answer } from "./answer.ts";
import type { Connection } from "./connection.ts";
import type { HijackedStream } from "./hijack.ts";

export interface CreateOptions {
  readonly name?: string | undefined;
  readonly platform?: string | undefined;
}

export type CreateBody = ContainerConfig & {
  readonly HostConfig: HostConfig;
  readonly NetworkingConfig?: unknown;
};

export type UpdateBody = Pick<HostConfig, UpdatableField> & {
  /** Ports to open and to close, by container port; a binding that says nothing means all of the port. */
  readonly PublishAdd?: HostConfig["PortBindings"];
  readonly PublishRm?: HostConfig["PortBindings"];
};

export interface ExecBody {
  readonly Cmd: readonly string[];
  readonly AttachStdin?: boolean;
  readonly AttachStdout?: boolean;
  readonly AttachStderr?: boolean;
  readonly Tty?: boolean;
  readonly Env?: readonly string[];
  readonly User?: string;
  readonly WorkingDir?: string;
  readonly Privileged?: boolean;
  readonly DetachKeys?: string;
  /** Height, then width. */
  readonly ConsoleSize?: readonly [number, number];
}

export interface ClientLogOptions {
  readonly follow?: boolean;
  readonly timestamps?: boolean;
  /** With the labels and variables that the log driver's options chose. */
  readonly details?: boolean;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly tail?: string | undefined;
}

export class ContainersClient {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async create(body: CreateBody, o: CreateOptions = {}): Promise<ContainerCreated> {
    const query = { name: o.name, platform: o.platform };
    return await this.#connection.json("POST", "/containers/create", { query, body });
  }

  /** False when it was running already. */
  async start(id: string): Promise<boolean> {
    return (await this.#connection.done("POST", `${at(id)}/start`)) !== 304;
  }

  /** False when it was not running. */
  async stop(
    id: string,
    o: { readonly seconds?: number | undefined; readonly signal?: string | undefined } = {},
  ): Promise<boolean> {
    return (
      (await this.#connection.done("POST", `${at(id)}/stop`, {
        query: { t: o.seconds, signal: o.signal },
      })) !== 304
    );
  }

  async restart(
    id: string,
    o: { readonly seconds?: number | undefined; readonly signal?: string | undefined } = {},
  ): Promise<void> {
    await this.#connection.done("POST", `${at(id)}/restart`, { query: { t: o.seconds, signal: o.signal } });
  }

  async kill(id: string, signal: string): Promise<void> {
    await this.#connection.done("POST", `${at(id)}/kill`, { query: { signal } });
  }

  async pause(id: string): Promise<void> {
    await this.#connection.done("POST", `${at(id)}/pause`);
  }

  async unpause(id: string): Promise<void> {
    await this.#connection.done("POST", `${at(id)}/unpause`);
  }

  async rename(id: string, name: string): Promise<void> {
    await this.#connection.done("POST", `${at(id)}/rename`, { query: { name } });
  }

  async remove(
    id: string,
    o: {
      readonly force?: boolean;
      /** Volumes that nobody named go with it: into the trash, or `now` for good. */
      readonly volumes?: boolean;
      readonly now?: boolean;
      readonly removal?: string;
      readonly link?: boolean;
    } = {},
  ): Promise<void> {
    const { force, volumes: v, now, removal, link } = o;
    await this.#connection.done("DELETE", at(id), { query: { force, v, now, removal, link } });
  }

  /** A protected one is not removed. */
  async protect(id: string, on: boolean): Promise<void> {
    await this.#connection.done("POST", `${at(id)}/protect`, { query: { on } });
  }

  /** Changes limits and restart policy; what is not named stays. */
  async update(id: string, body: UpdateBody): Promise<UpdateAnswer> {
    return await this.#connection.json("POST", `${at(id)}/update`, { body });
  }

  /** Resolves with the answer's head, when the engine has begun to wait; `exit` with the end. */
  async wait(
    id: string,
    condition: "not-running" | "next-exit" | "removed" = "not-running",
    signal?: AbortSignal,
  ): Promise<{ readonly exit: Promise<WaitAnswer> }> {
    const { body } = await this.#connection.send("POST", `${at(id)}/wait`, { query: { condition }, signal });
    return { exit: whole(body) };
  }

  async list(
    o: {
      readonly all?: boolean;
      readonly limit?: number | undefined;
      readonly size?: boolean;
      readonly filters?: Filters;
    } = {},
  ): Promise<ContainerSummary[]> {
    const { all, limit, size, filters } = o;
    const query = { all, limit, size, filters: filters === undefined ? undefined : formatFilters(filters) };
    return await this.#connection.json("GET", "/containers/json", { query });
  }

  /** Removes what does not run. */
  async prune(
    filters: Filters,
  ): Promise<{ readonly ContainersDeleted: string[] | null; readonly SpaceReclaimed: number }> {
    return await this.#connection.json("POST", "/containers/prune", {
      query: { filters: formatFilters(filters) },
    });
  }

  async inspect(id: string, o: { readonly size?: boolean } = {}): Promise<ContainerInspect> {
    return await this.#connection.json("GET", `${at(id)}/json`, { query: { size: o.size } });
  }

  /** Two readings a second apart; those of a container that does not run are empty. */
  async statsOnce(id: string, o: { readonly oneShot?: boolean } = {}): Promise<StatsAnswer> {
    const query = { stream: false, "one-shot": o.oneShot };
    return await this.#connection.json("GET", `${at(id)}/stats`, { query });
  }

  /** One answer a second until the container is removed. */
  stats(id: string, signal?: AbortSignal): AsyncIterable<StatsAnswer> {
    return this.#connection.lines("GET", `${at(id)}/stats`, { query: { stream: true }, signal });
  }

  /** `args` for `ps`; `-ef` when empty. */
  async top(id: string, args = ""): Promise<TopAnswer> {
    const query = args === "" ? {} : { ps_args: args };
    return await this.#connection.json("GET", `${at(id)}/top`, { query });
  }

  /** Multiplexed unless the container has a terminal. */
  async logs(id: string, o: ClientLogOptions, signal?: AbortSignal): Promise<Answer> {
    const query = { ...o, stdout: true, stderr: true };
    return await this.#connection.send("GET", `${at(id)}/logs`, { query, signal });
  }

  async attach(
    id: string,
    o: {
      readonly stdin: boolean;
      /** @default true */
      readonly stdout?: boolean;
      /** @default true */
      readonly stderr?: boolean;
      readonly logs?: boolean;
      readonly detachKeys?: string | undefined;
    },
  ): Promise<HijackedStream> {
    const query = {
      stream: true,
      stdin: o.stdin,
      stdout: o.stdout ?? true,
      stderr: o.stderr ?? true,
      logs: o.logs,
      detachKeys: o.detachKeys,
    };
    const { hijack } = await import("./hijack.ts");
    return await hijack(this.#connection, `${at(id)}/attach`, { query });
  }

  async resize(id: string, size: { readonly height: number; readonly width: number }): Promise<void> {
    await this.#connection.done("POST", `${at(id)}/resize`, { query: { h: size.height, w: size.width } });
  }

  async createExec(id: string, body: ExecBody): Promise<string> {
    const { Id } = await this.#connection.json<IdAnswer>("POST", `${at(id)}/exec`, { body });
    return Id;
  }

  async startExec(
    id: string,
    o: { readonly tty: boolean; readonly size?: readonly [number, number] | undefined },
  ): Promise<HijackedStream> {
    const body = { Detach: false, Tty: o.tty, ...(o.size !== undefined && { ConsoleSize: o.size }) };
    const { hijack } = await import("./hijack.ts");
    return await hijack(this.#connection, `/exec/${encodeURIComponent(id)}/start`, { body });
  }

  async startExecDetached(id: string): Promise<void> {
    await this.#connection.done("POST", `/exec/${encodeURIComponent(id)}/start`, { body: { Detach: true } });
  }

  async inspectExec(id: string): Promise<ExecInspect> {
    return await this.#connection.json("GET", `/exec/${encodeURIComponent(id)}/json`);
  }

  /** Signals an exec and what it started. */
  async killExec(id: string, signal: string): Promise<void> {
    await this.#connection.done("POST", `/exec/${encodeURIComponent(id)}/kill`, { query: { signal } });
  }

  async resizeExec(id: string, size: { readonly height: number; readonly width: number }): Promise<void> {
    await this.#connection.done("POST", `/exec/${encodeURIComponent(id)}/resize`, {
      query: { h: size.height, w: size.width },
    });
  }
}

function at(id: string): string {
  return `/containers/${encodeURIComponent(id)}`;
}

async function whole<T>(body: AsyncIterable<Uint8Array>): Promise<T> {
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString("utf8")) as T;
}
