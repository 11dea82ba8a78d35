/**
 * What builds cost: the classic `POST /build`, buildx, a context of which one file changed, stages side by side. With
 * `--peer unix://…` beside another engine's, in turn. A table to read, not a test.
 *   npm run bench -- --builds [--peer unix:///…] [--runs 5] [--only NAME]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { pack } from "tar-stream";
import { buildxPlugin } from "../live/buildx-under-test.ts";
import { EngineUnderTest } from "../live/engine-under-test.ts";
import {
  type Figure,
  heading,
  image,
  measure,
  median,
  openSides,
  removeImages,
  row,
  type Side,
  tell,
  timed,
} from "./in-turn.ts";

const { values } = parseArgs({
  options: {
    builds: { type: "boolean" },
    peer: { type: "string" },
    runs: { type: "string", default: "5" },
    only: { type: "string" },
  },
});
const runs = Number(values.runs);
const [copied, large] = [5_000, 10_000];
const scratch = mkdtempSync(join(tmpdir(), "wherry-bench-builds-"));
const tag = "wherry-bench:built";

type Files = ReadonlyMap<string, string>;

const tenSteps = `FROM ${image}\n${Array.from({ length: 10 }, (_, at) => `RUN echo ${at} > /made-${at}\n`).join("")}`;
const copyAll = `FROM ${image}\nCOPY . /all/\n`;
const everything = `FROM ${image}\nENV A=1\nCOPY files /files/\n${Array.from({ length: 8 }, (_, at) => `RUN echo ${at} > /made-${at}\n`).join("")}CMD ["true"]\n`;
const fourStages = `${[1, 2, 3, 4].map((at) => `FROM ${image} AS s${at}\nRUN sleep 1 && echo ${at} > /made\n`).join("")}FROM scratch\n${[1, 2, 3, 4].map((at) => `COPY --from=s${at} /made /made-${at}\n`).join("")}`;

/** So many small files, a hundred to a directory; `mark` makes them others'. */
function smallFiles(count: number, mark: string, above = ""): Map<string, string> {
  const files = new Map<string, string>();
  for (let at = 0; at < count; at++)
    files.set(`${above}${Math.floor(at / 100)}/${at}`, `${mark} ${at} ${"x".repeat((at * 37) % 4000)}\n`);
  return files;
}

async function tarOf(files: Files): Promise<Buffer<ArrayBuffer>> {
  const tar = pack();
  for (const [name, text] of files) tar.entry({ name }, text);
  tar.finalize();
  const parts: Buffer[] = [];
  for await (const part of tar) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

function directoryOf(name: string, files: Files): string {
  const directory = join(scratch, name);
  for (const [path, text] of files) {
    const file = join(directory, path);
    mkdirSync(join(file, ".."), { recursive: true });
    writeFileSync(file, text);
  }
  return directory;
}

async function classic(side: Side, tar: Buffer<ArrayBuffer>, query = ""): Promise<void> {
  const answer = await fetch(`http://engine/v1.43/build?t=${tag}${query}`, {
    method: "POST",
    unix: side.host.replace("unix://", ""),
    headers: { "content-type": "application/x-tar" },
    body: tar,
  });
  const text = await answer.text();
  if (!text.includes("Successfully built")) throw new Error(`${side.name}: ${text.slice(-500)}`);
}

async function buildx(side: Side, directory: string, ...flags: string[]): Promise<void> {
  const env = { ...process.env, DOCKER_HOST: side.host, BUILDX_NO_DEFAULT_ATTESTATIONS: "1" };
  const words = ["buildx", "build", "-q", "-t", tag, ...flags, directory];
  const child = spawn("docker", words, { env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (part: Buffer) => {
    said += part.toString();
  });
  const [code] = (await once(child, "close")) as [number];
  if (code !== 0) throw new Error(`${words.join(" ")} on ${side.name}: ${code}\n${said}`);
}

const tars = new Map<string, Buffer<ArrayBuffer>>();

/** Every run's files are others: nothing of the run before it is of use. */
const copies = (how: "classic" | "buildx"): Figure => ({
  name: `${how}: ${copied} files copied`,
  before: async () => {
    const mark = crypto.randomUUID();
    const files = smallFiles(copied, mark).set("Dockerfile", copyAll);
    if (how === "buildx") return directoryOf(mark, files);
    tars.set(mark, await tarOf(files));
    return mark;
  },
  run: async (side, made) =>
    how === "buildx" ? await buildx(side, made) : await classic(side, tars.get(made) ?? Buffer.alloc(0)),
  after: async (_, made) => {
    if (how === "buildx") rmSync(made, { recursive: true });
    tars.delete(made);
  },
});

const known = smallFiles(200, "same", "files/").set("Dockerfile", everything);
const knownTar = await tarOf(known);
const stepsTar = await tarOf(new Map([["Dockerfile", tenSteps]]));
const stagesTar = await tarOf(new Map([["Dockerfile", fourStages]]));
const given = (name: string, files: Files) => async () => directoryOf(name, files);

const figures: readonly Figure[] = [
  { name: "classic: ten RUN, not cached", run: async (side) => await classic(side, stepsTar, "&nocache=1") },
  copies("classic"),
  { name: "classic: all cached", runs: runs * 3, run: async (side) => await classic(side, knownTar) },
];

const withBuildx: readonly Figure[] = [
  {
    name: "buildx: ten RUN, not cached",
    prepare: given("steps", new Map([["Dockerfile", tenSteps]])),
    run: async (side, directory) => await buildx(side, directory, "--no-cache"),
  },
  copies("buildx"),
  {
    name: "buildx: all cached",
    runs: runs * 3,
    prepare: given("known", known),
    run: async (side, directory) => await buildx(side, directory),
  },
];

const stages: readonly Figure[] = [
  { name: "classic: four stages of 1 s", run: async (side) => await classic(side, stagesTar, "&nocache=1") },
  {
    name: "buildx: four stages of 1 s",
    prepare: given("stages", new Map([["Dockerfile", fourStages]])),
    run: async (side, directory) => await buildx(side, directory, "--no-cache"),
  },
];

/** Of a context with many files the first build, and the next one after one file has changed. */
async function measureAgain(sides: readonly Side[]): Promise<void> {
  const first = sides.map((): number[] => []);
  const again = sides.map((): number[] => []);
  for (let round = 0; round < runs; round++)
    for (const [index, side] of sides.entries()) {
      const mark = crypto.randomUUID();
      const directory = directoryOf(mark, smallFiles(large, mark).set("Dockerfile", copyAll));
      first[index]?.push(await timed(async () => await buildx(side, directory)));
      writeFileSync(join(directory, "7/700"), `changed ${mark}`);
      again[index]?.push(await timed(async () => await buildx(side, directory)));
      rmSync(directory, { recursive: true });
    }
  tell(`buildx: ${large} files, first`, first);
  tell("buildx: the same, one changed", again);
  const shares = first.map((times, index) =>
    median(times.map((time, at) => (again[index]?.[at] ?? 0) / time)).toFixed(2),
  );
  row("  its part of the first", ...shares);
}

await using engine = await EngineUnderTest.start();
const sides = await openSides(engine, values.peer);
const wanted = (name: string) => values.only === undefined || name.includes(values.only);
try {
  heading(sides);
  for (const figure of [...figures, ...(buildxPlugin === undefined ? [] : [...withBuildx, ...stages])])
    if (wanted(figure.name)) await measure(figure, sides, runs);
  if (buildxPlugin === undefined) process.stdout.write("docker's buildx is missing: its rows are left out\n");
  else if (wanted("one changed")) await measureAgain(sides);
} finally {
  rmSync(scratch, { recursive: true, force: true });
  for (const side of sides) await side.client.images.remove(tag, { force: true }).catch(() => undefined);
  await removeImages(sides);
}
