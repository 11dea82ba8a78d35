/**
 * What this registry costs beside Debian's docker-registry on the same disk: medians of runs in turn, and ratios (above 1 is
 * better). Clients are bare sockets in this process, so that it is the servers that are measured.
 *   npm run bench -- --registry [--only upload]
 */
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { registryProgram } from "../live/registry-under-test.ts";
import { ServedRegistry } from "../live/served-registry.ts";

const { values } = parseArgs({ options: { registry: { type: "boolean" }, only: { type: "string" } } });
const mebibyte = 1 << 20;
const blobBytes = 256 * mebibyte;
const largeBytes = 2048 * mebibyte;
const clients = 8;
const runs = 5;
const manifestMs = 2000;
const manifestType = "application/vnd.oci.image.manifest.v1+json";
const directory = mkdtempSync(join(tmpdir(), "wherry-bench-registry-"));

interface Side extends AsyncDisposable {
  readonly name: string;
  readonly host: string;
  readonly pid: number;
}

async function ours(): Promise<Side> {
  const served = await ServedRegistry.start(["--root", mkdtempSync(join(directory, "wherry-"))]);
  const pid = served.process.pid ?? 0;
  return {
    name: "wherry",
    host: served.host,
    pid,
    [Symbol.asyncDispose]: async () => void (await served.end("SIGKILL")),
  };
}

async function debians(port: number): Promise<Side> {
  const root = mkdtempSync(join(directory, "debian-"));
  const config = `version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: ${root}/data}, delete: {enabled: true}}
http: {addr: "127.0.0.1:${port}"}
`;
  writeFileSync(join(root, "config.yml"), config);
  const child = spawn(registryProgram ?? "docker-registry", ["serve", join(root, "config.yml")], {
    ...{ stdio: "ignore", env: { OTEL_TRACES_EXPORTER: "none" } },
  });
  const host = `127.0.0.1:${port}`;
  while (
    !(await fetch(`http://${host}/v2/`).then(
      ({ ok }) => ok,
      () => false,
    ))
  )
    await Bun.sleep(20);
  const stop = async () => {
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  };
  return { name: "docker-registry", host, pid: child.pid ?? 0, [Symbol.asyncDispose]: stop };
}

/** Sends GETs one after another as long as `again` says, and counts the bodies' bytes. */
async function getAgain(host: string, path: string, again: () => boolean): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const [hostname = "", port = ""] = host.split(":");
  const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAccept: ${manifestType}\r\n\r\n`;
  let [answers, left, head] = [0, -1, ""];
  const done = (socket: { end(): void; write(text: string): void }) => {
    answers++;
    left = -1;
    if (again()) socket.write(request);
    else socket.end();
  };
  await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      open: (socket) => void socket.write(request),
      data: (socket, bytes) => {
        if (left >= 0) left -= bytes.length;
        else {
          head += bytes.toString("latin1");
          const end = head.indexOf("\r\n\r\n");
          if (end < 0) return;
          if (!head.startsWith("HTTP/1.1 200")) return void reject(new Error(head));
          left = Number(/content-length: (\d+)/i.exec(head)?.[1]) - (head.length - end - 4);
          head = "";
        }
        if (left === 0) done(socket);
      },
      close: () => resolve(answers),
      error: (_, error) => reject(error),
    },
  });
  return await promise;
}

/** In one PATCH, as docker does. */
async function upload({ host }: Side, parts: () => Iterable<Uint8Array>): Promise<string> {
  const hash = createHash("sha256");
  const begun = await fetch(`http://${host}/v2/bench/blobs/uploads/`, { method: "POST" });
  const patched = await fetch(new URL(begun.headers.get("location") ?? "", begun.url), {
    method: "PATCH",
    body: (async function* () {
      for (const part of parts()) {
        hash.update(part);
        yield part;
      }
    })() as unknown as ReadableStream,
  });
  const end = new URL(patched.headers.get("location") ?? "", begun.url);
  const digest = `sha256:${hash.digest("hex")}`;
  end.searchParams.set("digest", digest);
  const { status } = await fetch(end, { method: "PUT" });
  if (status !== 201) throw new Error(`${host}: ${status}`);
  return digest;
}

function* repeated(bytes: number): Generator<Uint8Array> {
  const part = randomBytes(mebibyte);
  for (let sent = 0; sent < bytes; sent += mebibyte) yield part;
}

async function putManifest(side: Side): Promise<void> {
  const config = await upload(side, () => [Buffer.from("{}")]);
  const manifest = JSON.stringify({
    ...{ schemaVersion: 2, mediaType: manifestType },
    config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: config, size: 2 },
    layers: [],
  });
  const url = `http://${side.host}/v2/bench/manifests/latest`;
  const { status } = await fetch(url, {
    method: "PUT",
    body: manifest,
    headers: { "Content-Type": manifestType },
  });
  if (status !== 201) throw new Error(`${side.name}: ${status}`);
}

function peakMebibytes({ pid }: Side): number {
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0) / 1024;
}

const seconds = (beganMs: number) => (performance.now() - beganMs) / 1000;
const median = (samples: readonly number[]) => [...samples].sort((a, b) => a - b)[samples.length >> 1] ?? 0;

/** Each gives more of what is good, or less of `isLess`. */
const figures: readonly {
  readonly name: string;
  readonly prepare?: (side: Side) => Promise<string>;
  readonly run: (side: Side, prepared: string) => Promise<number>;
}[] = [
  {
    name: "upload 256 MiB, MiB/s",
    run: async (side) => {
      const beganMs = performance.now();
      await upload(side, () => repeated(blobBytes));
      return blobBytes / mebibyte / seconds(beganMs);
    },
  },
  {
    name: `download 256 MiB by ${clients}, MiB/s`,
    prepare: async (side) => await upload(side, () => repeated(blobBytes)),
    run: async ({ host }, digest) => {
      const beganMs = performance.now();
      const get = async () => await getAgain(host, `/v2/bench/blobs/${digest}`, () => false);
      await Promise.all(Array.from({ length: clients }, get));
      return (clients * blobBytes) / mebibyte / seconds(beganMs);
    },
  },
  {
    name: `manifest GET by ${clients}, 1/s`,
    prepare: async (side) => {
      await putManifest(side);
      return "";
    },
    run: async ({ host }) => {
      const untilMs = performance.now() + manifestMs;
      const get = async () =>
        await getAgain(host, "/v2/bench/manifests/latest", () => performance.now() < untilMs);
      const counts = await Promise.all(Array.from({ length: clients }, get));
      return counts.reduce((sum, count) => sum + count, 0) / (manifestMs / 1000);
    },
  },
];

function row(name: string, own: number, other: number, ratio: number): void {
  const cells = [
    name.padEnd(36),
    own.toFixed(0).padStart(9),
    other.toFixed(0).padStart(16),
    ratio.toFixed(2).padStart(7),
  ];
  process.stdout.write(`${cells.join(" ")}\n`);
}

async function measure(sides: readonly [Side, Side]): Promise<void> {
  for (const figure of figures) {
    if (values.only !== undefined && !figure.name.includes(values.only)) continue;
    const prepared = [await figure.prepare?.(sides[0]), await figure.prepare?.(sides[1])];
    const samples: [number[], number[]] = [[], []];
    for (let run = 0; run < runs; run++)
      for (const at of [0, 1] as const) samples[at].push(await figure.run(sides[at], prepared[at] ?? ""));
    const ratios = samples[0].map((value, at) => value / (samples[1][at] ?? 1));
    row(figure.name, median(samples[0]), median(samples[1]), median(ratios));
  }
}

/** Of servers that did nothing else. */
async function measureMemory(sides: readonly [Side, Side]): Promise<void> {
  const peaks: number[] = [];
  for (const side of sides) {
    const digest = await upload(side, () => repeated(largeBytes));
    await getAgain(side.host, `/v2/bench/blobs/${digest}`, () => false);
    peaks.push(peakMebibytes(side));
  }
  const [own = 0, other = 0] = peaks;
  row("most memory, 2 GiB in and out, MiB", own, other, other / own);
}

try {
  if (registryProgram === null) throw new Error("docker-registry is missing: run 'scripts/setup --tests'");
  mkdirSync(directory, { recursive: true });
  process.stdout.write(
    `${"medians".padEnd(36)} ${"wherry".padStart(9)} ${"docker-registry".padStart(16)}   ratio\n`,
  );
  {
    await using own = await ours();
    await using other = await debians(15_801);
    await measure([own, other]);
  }
  if (values.only === undefined || "memory".includes(values.only)) {
    await using own = await ours();
    await using other = await debians(15_802);
    await measureMemory([own, other]);
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
