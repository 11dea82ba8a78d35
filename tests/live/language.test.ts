/**
 * The Dockerfile language as a table: what each instruction and flag comes to, in configuration, files, history and words.
 * Where there is another engine to ask (WHERRY_TEST_PEER, Docker 26 or newer), it has to agree. WHERRY_TEST_ROWS: rows with that in
 * their names alone.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Client } from "#client/client.ts";
import { EngineUnderTest } from "./engine-under-test.ts";
import { lab, served } from "./language/add.ts";
import { importBase } from "./language/base-image.ts";
import { buildRows } from "./language/build-row.ts";
import { readImages } from "./language/image-seen.ts";
import { judge } from "./language/judge-row.ts";
import { base, type Row } from "./language/row.ts";
import { tables } from "./language/tables.ts";
import { gitServer, SourceLab } from "./source-lab.ts";

const peer = process.env["WHERRY_TEST_PEER"];
const only = process.env["WHERRY_TEST_ROWS"];
/** Of one table, on a machine with much else to do. */
const patienceMs = 180_000;
let engine: EngineUnderTest;
let sources: SourceLab;

beforeAll(async () => {
  engine = await EngineUnderTest.start();
  sources = new SourceLab(engine);
  for (const [path, content] of Object.entries(served)) sources.files.set(path, content);
  if (gitServer !== undefined) await sources.repository("repo", { a: "one", "sub/b": "two" });
  await importBase(await engine.client());
});
afterAll(async () => {
  sources[Symbol.dispose]();
  await engine[Symbol.asyncDispose]();
});

/** What is wrong, by the name of the row. */
async function wrong(client: Client, rows: readonly Row[]): Promise<Record<string, string[]>> {
  const stands = (await readImages(await client.images.save([base]))).get(`${base}:latest`);
  if (stands === undefined) throw new Error("the base is not there");
  const found: Record<string, string[]> = {};
  for (const outcome of await buildRows(client, rows, "/none")) {
    const differences = judge(outcome, stands);
    if (differences.length > 0) found[`${outcome.row.name} (${outcome.way})`] = differences;
  }
  return found;
}

const chosen = (rows: readonly Row[]) => rows.filter(({ name }) => only === undefined || name.includes(only));
/** Repositories need git. */
const buildable = ({ dockerfile }: Row) => gitServer !== undefined || !String(dockerfile).includes(".git");
const placed = (row: Row): Row =>
  typeof row.dockerfile === "string"
    ? { ...row, dockerfile: row.dockerfile.replaceAll(lab, sources.url("")) }
    : row;

for (const [title, rows] of Object.entries(tables))
  test(
    title,
    async () => {
      const found = await wrong(await engine.client(), chosen(rows).filter(buildable).map(placed));
      expect(found).toEqual({});
    },
    patienceMs,
  );

if (peer === undefined) test.skip("another engine agrees: WHERRY_TEST_PEER names none", () => undefined);
else
  for (const [title, rows] of Object.entries(tables))
    test(
      `${title}, of the peer`,
      async () => {
        const client = await Client.connect({ host: peer });
        await importBase(client);
        const common = rows.filter(({ newer, differs }) => newer !== true && differs === undefined);
        expect(await wrong(client, chosen(common))).toEqual({});
      },
      patienceMs,
    );
