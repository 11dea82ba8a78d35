/** Rows built by an engine, over the two ways that Docker's clients take; and what came of them. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pack } from "tar-stream";
import { buildServices } from "#cli/build/build-services.ts";
import type { CliIo } from "#cli/flags/command.ts";
import type { Client } from "#client/client.ts";
import { GrpcError } from "#spec/grpc-status.ts";
import { type ImageSeen, readImages } from "./image-seen.ts";
import type { ContextFile, ContextFiles, Row } from "./row.ts";

export type Way = "buildkit" | "classic";

/** What came of a row: an image, or words. */
export interface Outcome {
  readonly row: Row;
  readonly way: Way;
  readonly failed?: string | undefined;
  readonly image?: ImageSeen | undefined;
  readonly warned: readonly string[];
  readonly said: string;
}

/** Builds at a time. */
const atOnce = 6;

export const waysOf = ({ builder = "buildkit" }: Row): readonly Way[] =>
  builder === "both" ? ["buildkit", "classic"] : [builder];

/** Each row in each of its ways. Images are removed again. `agent`: a socket. */
export async function buildRows(client: Client, rows: readonly Row[], agent: string): Promise<Outcome[]> {
  const directory = mkdtempSync(join(tmpdir(), "wherry-rows-"));
  try {
    const todo = rows.flatMap((row) => waysOf(row).map((way) => ({ row, way })));
    const built: Built[] = [];
    const pending = [...todo.entries()];
    const worker = async (): Promise<void> => {
      for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
        const [index, { row, way }] = next;
        const tag = `language-row:${index}`;
        const place = join(directory, String(index));
        const build = way === "buildkit" ? byBuildKit : byClassic;
        built[index] = { ...{ row, way, tag }, ...(await build(client, row, { tag, place, agent })) };
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    return await withImages(client, built);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

type Built = Omit<Outcome, "image"> & { readonly tag: string };

async function withImages(client: Client, built: readonly Built[]): Promise<Outcome[]> {
  const images = new Map<string, ImageSeen>();
  const there = built.filter(({ failed }) => failed === undefined).map(({ tag }) => tag);
  const layered: string[] = [];
  for (const tag of there) {
    const bare = await withoutLayers(client, tag);
    if (bare === undefined) layered.push(tag);
    else images.set(tag, bare);
  }
  if (layered.length > 0)
    for (const [tag, image] of await readImages(await client.images.save(layered))) images.set(tag, image);
  for (const tag of there) await client.images.remove(tag, { force: true });
  return built.map((each) => ({ ...each, image: images.get(each.tag) }));
}

/** Docker 26 saves no image without layers; undefined for one that has some. */
async function withoutLayers(client: Client, tag: string): Promise<ImageSeen | undefined> {
  const { Author, Config, RootFS } = await client.images.inspect(tag);
  if ((RootFS.Layers ?? []).length > 0) return undefined;
  const lines = (await client.images.history(tag)).reverse();
  const history = lines.map(({ CreatedBy }) => ({ created_by: CreatedBy, empty_layer: true }));
  const config = {
    ...{ config: Config, history, rootfs: { type: "layers", diff_ids: [] } },
    ...(Author !== "" && { author: Author }),
  };
  return { config: config as unknown as ImageSeen["config"], files: new Map() };
}

interface BuildPlace {
  readonly tag: string;
  /** A directory of its own. */
  readonly place: string;
  readonly agent: string;
}

type Said = Pick<Outcome, "failed" | "warned" | "said">;

async function byBuildKit(client: Client, row: Row, { tag, place, agent }: BuildPlace): Promise<Said> {
  const contexts = { context: { ...row.context, Dockerfile: { bytes: row.dockerfile } }, ...row.directories };
  const directories = new Map<string, string>();
  for (const [name, files] of Object.entries(contexts))
    directories.set(name, writeFiles(join(place, name), files));
  directories.set("dockerfile", directories.get("context") ?? place);
  const secrets = Object.entries(row.secrets ?? {}).map(([id, text]) => {
    writeFileSync(join(place, `secret-${id}`), text);
    return `id=${id},src=${join(place, `secret-${id}`)}`;
  });
  const io = { env: {}, cwd: place } as unknown as CliIo;
  const abort = new AbortController();
  using running = await client.builds.open({
    options: { "image-resolve-mode": "local", ...row.options },
    exporters: [{ Type: "moby", Attrs: { name: tag } }],
    entitlements: [...(row.entitlements ?? [])],
    sharedKey: place,
    services: buildServices({
      ...{ io, directories, secrets, agents: (row.agents ?? []).map((id) => `${id}=${agent}`) },
      ...{ places: new Map(), stores: new Map() },
    }),
    signal: abort.signal,
  });
  const warned: string[] = [];
  let said = "";
  const watching = (async () => {
    for await (const { warnings, logs } of running.status()) {
      warned.push(...warnings.map(({ short }) => Buffer.from(short).toString()));
      said += logs.map(({ msg }) => Buffer.from(msg).toString()).join("");
    }
  })().catch(() => undefined);
  try {
    await running.result();
    await watching;
    return { warned: warned.sort(), said };
  } catch (thrown) {
    await watching;
    if (!(thrown instanceof GrpcError)) throw thrown;
    return { failed: thrown.message, warned: warned.sort(), said };
  }
}

async function byClassic(client: Client, row: Row, { tag }: BuildPlace): Promise<Said> {
  const tar = pack();
  for (const [name, file] of Object.entries({ ...row.context, Dockerfile: { bytes: row.dockerfile } }))
    addTo(tar, name, file);
  tar.finalize();
  const given = Object.entries(row.options ?? {}).flatMap(([key, value]) =>
    key.startsWith("build-arg:") ? [[key.slice("build-arg:".length), value] as const] : [],
  );
  let [failed, said] = [undefined as string | undefined, ""];
  const o = { dockerfile: "Dockerfile", tags: [tag], labels: {}, noCache: false, quiet: false };
  const buildArgs = Object.fromEntries(given);
  const target = row.options?.["target"];
  try {
    for await (const line of client.images.build(tar as AsyncIterable<Uint8Array>, {
      ...o,
      buildArgs,
      target,
    })) {
      said += line.stream ?? "";
      failed ??= line.error;
    }
  } catch (thrown) {
    failed = (thrown as Error).message;
  }
  return { failed, warned: [], said };
}

function writeFiles(root: string, files: ContextFiles): string {
  mkdirSync(root, { recursive: true });
  for (const [name, given] of Object.entries(files)) {
    const file = typeof given === "string" ? { bytes: given } : given;
    const path = join(root, name);
    mkdirSync(dirname(path), { recursive: true });
    if (file.directory === true) mkdirSync(path, { mode: file.mode ?? 0o755 });
    else if (file.link !== undefined) symlinkSync(file.link, path);
    else writeFileSync(path, file.bytes ?? "", { mode: file.mode ?? 0o644 });
    if (file.mtime !== undefined) utimesSync(path, file.mtime, file.mtime);
  }
  return root;
}

function addTo(tar: ReturnType<typeof pack>, name: string, given: ContextFile): void {
  const file = typeof given === "string" ? { bytes: given } : given;
  const { mode, link, mtime, directory } = file;
  const shared = { name, ...(mtime !== undefined && { mtime: new Date(mtime * 1000) }) };
  if (directory === true) tar.entry({ ...shared, type: "directory", mode: mode ?? 0o755 });
  else if (link !== undefined) tar.entry({ ...shared, type: "symlink", linkname: link });
  else tar.entry({ ...shared, mode: mode ?? 0o644 }, Buffer.from(file.bytes ?? ""));
}
