/** An engine with busybox, and what tests of copies do with it: files in and out of containers, archives made and looked into. */
import { afterAll, afterEach, beforeAll, expect } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { extract, pack } from "tar-stream";
import type { Client } from "#client/client.ts";
import type { CreateBody } from "#client/containers.ts";
import { Fault } from "#spec/fault.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

export type Host = CreateBody["HostConfig"];

/** For the whole of a test file; its containers go after each test. */
export function copyLab() {
  let engine: EngineUnderTest;
  let client: Client;
  let local: string;
  beforeAll(async () => {
    engine = await EngineUnderTest.start();
    client = await engine.client();
    await engine.importBusybox();
    local = join(engine.directory, "local");
    mkdirSync(local);
  });
  afterAll(async () => await engine[Symbol.asyncDispose]());
  afterEach(async () => await engine.removeContainers());

  async function create(host: Host = {}, more: Partial<CreateBody> = {}): Promise<string> {
    const body = { Image: "busybox", Cmd: ["sleep", "600"], ...more, HostConfig: host };
    return (await client.containers.create(body, { name: `c${Math.random().toString(36).slice(2, 10)}` })).Id;
  }

  async function start(host: Host = {}, more: Partial<CreateBody> = {}): Promise<string> {
    const id = await create(host, more);
    await client.containers.start(id);
    return id;
  }

  async function run(id: string, script: string): Promise<string> {
    const { stdout, stderr, code } = await engine.cli("wherry", ["exec", id, "busybox", "sh", "-ec", script]);
    expect(`${stderr}${code}`).toBe("0");
    return stdout;
  }

  async function put(
    id: string,
    path: string,
    tar: Uint8Array,
    o: { asUser?: boolean; keepKinds?: boolean } = {},
  ) {
    await client.archives.write(id, path, once(tar), o);
  }

  /** Names and contents, as they come. */
  async function get(id: string, path: string): Promise<Record<string, string>> {
    const { tar } = await client.archives.read(id, path);
    const files: Record<string, string> = {};
    // Whole first: what breaks off must fail here and not leave the parser waiting.
    const parser = Readable.from([await whole(tar)]).pipe(extract());
    for await (const entry of parser)
      files[entry.header.name] = (await whole(entry as AsyncIterable<Uint8Array>)).toString();
    return files;
  }

  return {
    ...{ create, start, run, put, get },
    get engine() {
      return engine;
    },
    get client() {
      return client;
    },
    /** A directory of the host's. */
    get local() {
      return local;
    },
  };
}

export interface Entry {
  readonly name: string;
  readonly content?: string | Buffer;
  readonly type?: "file" | "directory" | "symlink" | "link" | "fifo";
  readonly linkname?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export async function tarOf(...entries: Entry[]): Promise<Buffer> {
  const tar = pack();
  for (const { content, ...header } of entries)
    if (content === undefined) tar.entry(header);
    else tar.entry(header, content);
  tar.finalize();
  return await whole(tar as AsyncIterable<Uint8Array>);
}

export async function whole(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Status and message of the fault it ends with. */
export async function fault(work: Promise<unknown>): Promise<string> {
  const thrown: unknown = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(Fault);
  return `${(thrown as Fault).detail["status"]} ${(thrown as Fault).message}`;
}
