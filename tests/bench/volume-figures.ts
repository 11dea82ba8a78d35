/** What mounts cost: a new volume filled from an image, a start with many of them, and the sizes of everything. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { pack } from "tar-stream";
import type { Figure, Side } from "./in-turn.ts";

const files = 5000;
const filesPerDirectory = 100;
const mounts = 20;
const things = 200;

async function imported(
  side: Side,
  repo: string,
  add: (tar: ReturnType<typeof pack>) => void,
): Promise<string> {
  const tar = pack();
  tar.entry({ name: "bin/busybox", mode: 0o755 }, readFileSync("/bin/busybox"));
  tar.entry({ name: "bin/sleep", type: "symlink", linkname: "busybox" });
  add(tar);
  tar.finalize();
  const o = { repo, tag: "1", changes: [] };
  for await (const { error } of side.client.images.import(tar as AsyncIterable<Uint8Array>, o))
    if (error !== undefined) throw new Error(error);
  return `${repo}:1`;
}

const remove = async (side: Side, id: string) =>
  await side.client.containers.remove(id, { force: true, volumes: true });

async function create(side: Side, Image: string, HostConfig = {}, Volumes = {}): Promise<string> {
  const { Id } = await side.client.containers.create({ Image, Cmd: ["sleep", "600"], HostConfig, Volumes });
  return Id;
}

const start = async (side: Side, id: string) => await side.client.containers.start(id);

export function volumeFigures(image: string): Figure[] {
  const made = new Map<string, string>();
  const filled = "wherry-bench-filled";
  const some = Array.from({ length: mounts }, (_, number) => `/m${number}`);
  return [
    {
      // Docker copies when the container is made, wherry when it starts.
      name: `create, first start, ${files} files`,
      runs: 5,
      prepare: async (side) =>
        await imported(side, filled, (tar) => {
          for (let at = 0; at < files; at++)
            tar.entry(
              { name: `data/${Math.floor(at / filesPerDirectory)}/${at}` },
              randomBytes(100 + ((at * 37) % 4000)),
            );
        }),
      run: async (side, from) => {
        const id = await create(side, from, {}, { "/data": {} });
        made.set(side.name, id);
        await start(side, id);
      },
      after: async (side) => await remove(side, made.get(side.name) ?? ""),
      finish: async (side, from) => await side.client.images.remove(from, { force: true }),
    },
    {
      name: "start, no mounts",
      before: async (side) => await create(side, image),
      run: start,
      after: remove,
    },
    {
      name: `start, ${mounts} mounts`,
      before: async (side) =>
        await create(
          side,
          image,
          { Binds: some.filter((_, at) => at % 2 === 0).map((path) => `/usr:${path}:ro`) },
          Object.fromEntries(some.filter((_, at) => at % 2 === 1).map((path) => [path, {}])),
        ),
      run: start,
      after: remove,
    },
    {
      name: `df, ${things} images and containers`,
      runs: 5,
      prepare: async (side) => {
        const ids: string[] = [];
        for (let at = 0; at < things; at++) {
          const each = await imported(side, `wherry-bench-${at}`, (tar) =>
            tar.entry({ name: "only" }, randomBytes(1000)),
          );
          ids.push(await create(side, each));
        }
        return ids.join(" ");
      },
      run: async (side) => await side.client.diskUsage(),
      finish: async (side, ids) => {
        for (const id of ids.split(" ")) await remove(side, id);
        for (let at = 0; at < things; at++)
          await side.client.images.remove(`wherry-bench-${at}:1`, { force: true });
      },
    },
  ];
}
