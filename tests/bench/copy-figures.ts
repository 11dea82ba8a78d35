/** What `docker cp` costs: many small files, and one large one, into a container and out of it. */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "#client/client.ts";

interface Side {
  readonly name: string;
  readonly client: Client;
}

const files = 5000;
const filesPerDirectory = 100;
const largeMebibytes = 256;

/** Sources are made in `directory` when they are first asked for. */
export function copyFigures<S extends Side>(o: {
  readonly directory: string;
  readonly image: string;
  readonly cli: (side: S, ...args: string[]) => Promise<void>;
}) {
  const made = new Map<string, string>();
  const source = (name: string, make: (path: string) => void): string => {
    const known = made.get(name);
    if (known !== undefined) return known;
    const path = join(o.directory, name);
    make(path);
    made.set(name, path);
    return path;
  };
  const many = () =>
    source("many", (path) => {
      for (let at = 0; at < files; at++) {
        const parent = join(path, String(Math.floor(at / filesPerDirectory)));
        if (at % filesPerDirectory === 0) mkdirSync(parent, { recursive: true });
        writeFileSync(join(parent, String(at)), randomBytes(100 + ((at * 37) % 4000)));
      }
    });
  const large = () => source("large", (path) => writeFileSync(path, randomBytes(largeMebibytes << 20)));
  const container = async ({ client }: S): Promise<string> =>
    (await client.containers.create({ Image: o.image, Cmd: ["true"], HostConfig: {} })).Id;
  const remove = async ({ client }: S, id: string) => await client.containers.remove(id, { force: true });

  const into = (name: string, from: () => string) => ({
    name,
    runs: 5,
    before: async (side: S) => {
      from();
      return await container(side);
    },
    run: async (side: S, id: string) => await o.cli(side, "cp", from(), `${id}:/copied`),
    after: remove,
  });
  const out = (name: string, from: () => string) => {
    const targets = new Map<string, string>();
    return {
      name,
      runs: 5,
      prepare: async (side: S) => {
        const id = await container(side);
        await o.cli(side, "cp", from(), `${id}:/copied`);
        return id;
      },
      before: async (side: S, id: string) => {
        targets.set(side.name, mkdtempSync(join(o.directory, "out-")));
        return id;
      },
      run: async (side: S, id: string) =>
        await o.cli(side, "cp", `${id}:/copied`, join(targets.get(side.name) ?? "", "copied")),
      after: async (side: S) => rmSync(targets.get(side.name) ?? "", { recursive: true, force: true }),
      finish: remove,
    };
  };
  return [
    into(`cp in, ${files} files (CLI)`, many),
    out(`cp out, ${files} files (CLI)`, many),
    into(`cp in, ${largeMebibytes} MiB (CLI)`, large),
    out(`cp out, ${largeMebibytes} MiB (CLI)`, large),
  ];
}
