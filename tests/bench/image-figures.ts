/** What images cost: in and out of archives, to and from a registry on loopback. Half of every file is random, half text. */
import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { type Pack, pack } from "tar-stream";
import { readParts } from "#cli/terminal/input-file.ts";
import { writeOutputFile } from "#cli/terminal/output-file.ts";
import type { Client } from "#client/client.ts";
import { RegistryUnderTest } from "../live/registry-under-test.ts";

interface Side {
  readonly name: string;
  readonly client: Client;
}

/** Where a side's registry runs, by the side's name; sides without one have no figures of pull and push. */
export type Networks = Readonly<Record<string, string>>;

const mebibyte = 1 << 20;
const nobody = "e30=";
const words = randomBytes(1 << 15).toString("hex");

/** A mebibyte as files have them. */
function content(): Buffer {
  const bytes = randomBytes(mebibyte);
  for (let at = 512; at < mebibyte; at += 1024) bytes.write(words.slice((at * 7) % 60_000).slice(0, 512), at);
  return bytes;
}

async function layerTar(mebibytes: number): Promise<Buffer> {
  const tar = pack();
  for (let file = 0; file < mebibytes; file++) tar.entry({ name: `${crypto.randomUUID()}/file` }, content());
  tar.finalize();
  return await whole(tar);
}

async function whole(tar: Pack): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of tar) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** An archive as `docker load` takes it. */
async function imageArchive(name: string, layers: number, mebibytes: number): Promise<Buffer> {
  const tars = await Promise.all(Array.from({ length: layers }, async () => await layerTar(mebibytes)));
  const config = JSON.stringify({
    ...{ architecture: "amd64", os: "linux", config: { Cmd: ["true"] }, created: "2026-01-01T00:00:00Z" },
    rootfs: {
      type: "layers",
      diff_ids: tars.map((tar) => `sha256:${createHash("sha256").update(tar).digest("hex")}`),
    },
    history: tars.map(() => ({ created: "2026-01-01T00:00:00Z", created_by: "bench" })),
  });
  const archive = pack();
  const manifest = [
    { Config: "config.json", RepoTags: [name], Layers: tars.map((_, at) => `${at}/layer.tar`) },
  ];
  archive.entry({ name: "manifest.json" }, JSON.stringify(manifest));
  archive.entry({ name: "config.json" }, config);
  for (const [at, tar] of tars.entries()) archive.entry({ name: `${at}/layer.tar` }, tar);
  archive.finalize();
  return await whole(archive);
}

/** Made when it is first asked for. */
function later<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

async function* inParts(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += mebibyte) yield bytes.subarray(at, at + mebibyte);
}

async function done(messages: AsyncIterable<{ error?: string }>): Promise<void> {
  for await (const { error } of messages) if (error !== undefined) throw new Error(error);
}

const remove = async ({ client }: Side, name: string) =>
  void (await client.images.remove(name, { force: true }));

export function archiveFigures(directory: string) {
  const tar = later(async () => await layerTar(128));
  const name = "wherry-bench-128:latest";
  const load = async ({ client }: Side, archive: AsyncIterable<Uint8Array>) =>
    await done(client.images.load(archive, { quiet: true }));
  return [
    {
      name: "image-import-128m",
      runs: 5,
      run: async ({ client }: Side) => {
        const o = { repo: "wherry-bench-128", tag: "latest", changes: [] };
        await done(client.images.import(inParts(await tar()), o));
      },
      after: async (side: Side) => await remove(side, name),
    },
    {
      name: "image-save-load-128m",
      runs: 5,
      prepare: async (side: Side) => {
        await load(side, inParts(await imageArchive(name, 1, 128)));
        return join(directory, `${side.name}.tar`);
      },
      run: async (side: Side, path: string) => {
        await writeOutputFile(path, await side.client.images.save([name]));
        await remove(side, name);
        await load(side, readParts(path));
      },
      finish: async (side: Side) => await remove(side, name),
    },
  ];
}

export function registryFigures(directory: string, networks: Networks) {
  const port = 15_777;
  const name = `127.0.0.1:${port}/bench/ten`;
  const archive = later(async () => await imageArchive(`${name}:1`, 10, 51));
  const running = new Map<string, RegistryUnderTest>();
  let count = 0;
  const start = async (side: Side) => {
    const at = { netns: networks[side.name] ?? "", directory: join(directory, String(count++)), port };
    running.set(side.name, await RegistryUnderTest.start(at));
    return "";
  };
  const stop = async (side: Side) => await running.get(side.name)?.[Symbol.asyncDispose]();
  const push = async ({ client }: Side) => await done(client.images.push({ name, tag: "1", auth: nobody }));
  const load = async ({ client }: Side) =>
    await done(client.images.load(inParts(await archive()), { quiet: true }));
  return [
    {
      name: "push 10 layers, 510 MiB",
      runs: 3,
      prepare: async (side: Side) => {
        await load(side);
        return "";
      },
      before: start,
      run: push,
      after: stop,
      finish: async (side: Side) => await remove(side, `${name}:1`),
    },
    {
      name: "pull 10 layers, 510 MiB",
      runs: 3,
      prepare: async (side: Side) => {
        await load(side);
        await start(side);
        await push(side);
        await remove(side, `${name}:1`);
        return "";
      },
      run: async ({ client }: Side) => await done(client.images.pull({ name, tag: "1" })),
      after: async (side: Side) => await remove(side, `${name}:1`),
      finish: stop,
    },
  ];
}
