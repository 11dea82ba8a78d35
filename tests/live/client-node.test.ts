/** The client in Node, over TLS and over a unix socket: its requests, streams and upgraded connections are Node's own there. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EngineUnderTest } from "./engine-under-test.ts";
import * as pem from "./tls-certificates.ts";

const node = Bun.which("node");
const host = "tcp://127.0.0.1:12378";
let engine: EngineUnderTest;

/** Prints one line of JSON: what it saw. */
const script = `
import { readFileSync } from "node:fs";
import { Client } from "./client.js";
const [host, tls] = JSON.parse(process.argv[2]);
const client = await Client.connect({ host, ...(tls && { tls }) });
const seen = {};
seen.os = (await client.version()).Os;
seen.missing = await client.images.inspect("nothing-here").then(() => "", (fault) => fault.kind);
const parts = [];
for await (const part of await client.images.save(["busybox"])) parts.push(Buffer.from(part));
const archive = Buffer.concat(parts);
async function* inParts() {
  for (let at = 0; at < archive.length; at += 50_000) yield archive.subarray(at, at + 50_000);
}
for await (const { stream } of client.images.load(inParts(), { quiet: true })) seen.loaded = stream.trim();
const { Id } = await client.containers.create({ Image: "busybox", Cmd: ["cat"], OpenStdin: true, StdinOnce: true, HostConfig: { NetworkMode: "none" } }, {});
const attached = await client.containers.attach(Id, { stdin: true, stdout: true, stderr: true, stream: true });
await client.containers.start(Id);
await attached.write(Buffer.from("x".repeat(200_000)));
attached.end();
let bytes = 0;
for await (const part of attached.output) bytes += part.length;
seen.echoed = bytes >= 200_000;
seen.code = (await (await client.containers.wait(Id)).exit).StatusCode;
await client.containers.remove(Id, {});
const leaving = new AbortController();
const events = client.events({ signal: leaving.signal });
const first = events.next();
// Told only to who listens by then: tags come until one is seen.
const timer = setInterval(() => void client.images.tag("busybox", "tagged", "1").catch(() => undefined), 50);
seen.event = (await first).value.Action;
clearInterval(timer);
leaving.abort();
console.log(JSON.stringify(seen));
`;

beforeAll(async () => {
  engine = await EngineUnderTest.start();
  const files = join(engine.directory, "server");
  mkdirSync(files);
  for (const [name, text] of [
    ["ca", pem.authority],
    ["cert", pem.serverCertificate],
    ["key", pem.serverKey],
  ] as const)
    writeFileSync(join(files, `${name}.pem`), text);
  await engine.stop();
  await engine.start(
    ...["--tlsverify", `--tlscacert=${files}/ca.pem`, `--tlscert=${files}/cert.pem`],
    ...[`--tlskey=${files}/key.pem`, "--host", host],
  );
  await engine.importBusybox();
  const built = await Bun.build({
    entrypoints: [join(import.meta.dir, "../../src/client/client.ts")],
    target: "node",
    format: "esm",
    outdir: engine.directory,
    splitting: true,
  });
  if (!built.success) throw new Error(built.logs.join("\n"));
  writeFileSync(join(engine.directory, "package.json"), '{"type":"module"}');
  writeFileSync(join(engine.directory, "script.js"), script);
}, 60_000);
afterAll(async () => await engine[Symbol.asyncDispose]());

async function inNode(...place: unknown[]) {
  const words = [join(engine.directory, "script.js"), JSON.stringify(place)];
  return await engine.cli(node ?? "node", words);
}
const expected = {
  os: "linux",
  missing: "not-found",
  loaded: "Loaded image: busybox:latest",
  echoed: true,
  code: 0,
  event: "tag",
};

test.skipIf(node === null)(
  "over TLS, and not without its certificate (skipped without node)",
  async () => {
    const tls = {
      verify: true,
      authority: pem.authority,
      certificate: pem.clientCertificate,
      key: pem.clientKey,
    };
    const { stdout, stderr } = await inNode(host, tls);
    expect([stderr, JSON.parse(stdout || "{}")]).toEqual(["", expected]);
    const { verify, authority } = tls;
    expect((await inNode(host, { verify, authority })).code).not.toBe(0);
    const strangers = { ...tls, certificate: pem.strangerCertificate, key: pem.strangerKey };
    expect((await inNode(host, strangers)).code).not.toBe(0);
    // Who answers shows a certificate that this client was not told to trust.
    const { authority: _, ...trusting } = tls;
    const distrusted = await inNode(host, trusting);
    expect([distrusted.code, distrusted.stderr]).toEqual([1, expect.stringMatching(/x509/)]);
  },
  60_000,
);

test.skipIf(node === null)(
  "over a unix socket (skipped without node)",
  async () => {
    const { stdout, stderr } = await inNode(engine.host);
    expect([stderr, JSON.parse(stdout || "{}")]).toEqual(["", expected]);
  },
  60_000,
);
