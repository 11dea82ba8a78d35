/** `wherry registry serve` as its users run it: a process of its own on loopback, seen by skopeo, two servers and a kill. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestOf, ServedRegistry } from "./served-registry.ts";

const program = join(import.meta.dir, "../../src/bin/wherry.ts");
const skopeo = Bun.which("skopeo");
const directory = mkdtempSync(join(tmpdir(), "wherry-registry-live-"));
const root = join(directory, "store");
const running: ServedRegistry[] = [];

async function serve(...flags: string[]): Promise<ServedRegistry> {
  const served = await ServedRegistry.start(["--root", root, ...flags]);
  running.push(served);
  return served;
}

let one: ServedRegistry;
beforeAll(async () => {
  mkdirSync(root);
  one = await serve();
});
afterAll(async () => {
  for (const each of running) await each.end("SIGKILL");
  rmSync(directory, { recursive: true });
});

async function begin({ url }: ServedRegistry, repository: string): Promise<string> {
  const answer = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: "POST" });
  expect(answer.status).toBe(202);
  return answer.headers.get("location") ?? "";
}

describe("two servers of one store", () => {
  test("share uploads, blobs and tags; a killed one's upload goes on at the other", async () => {
    const two = await serve();
    const victim = await serve();
    const bytes = randomBytes(6 << 20);
    const place = await begin(victim, "shared/x");
    const { hostname, port } = new URL(victim.url);
    const socket = connect(Number(port), hostname);
    socket.on("error", () => {});
    socket.write(`PATCH ${place} HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes.length}\r\n\r\n`);
    socket.write(bytes.subarray(0, 3 << 20));
    const status = async () => (await fetch(`${two.url}${place}`)).headers.get("range");
    for (let tries = 0; (await status()) !== `0-${(3 << 20) - 1}`; tries++) {
      if (tries > 2000) throw new Error(`the upload stays at ${await status()}`);
      await Bun.sleep(5);
    }
    await victim.end("SIGKILL");
    socket.destroy();
    const digest = digestOf(bytes);
    expect((await fetch(`${two.url}/v2/shared/x/blobs/${digest}`)).status).toBe(404);
    const rest = await fetch(`${two.url}${place}?digest=${digest}`, {
      method: "PUT",
      body: bytes.subarray(3 << 20),
      headers: { "Content-Range": `${3 << 20}-${bytes.length - 1}` },
    });
    expect(rest.status).toBe(201);
    const got = await fetch(`${one.url}/v2/shared/x/blobs/${digest}`);
    expect(digestOf(await got.bytes())).toBe(digest);
    const part = await fetch(`${one.url}/v2/shared/x/blobs/${digest}`, { headers: { Range: "bytes=5-9" } });
    expect([part.status, part.headers.get("content-range"), part.headers.get("content-length")]).toEqual([
      206,
      `bytes 5-9/${bytes.length}`,
      "5",
    ]);
    expect(Buffer.from(await part.bytes())).toEqual(bytes.subarray(5, 10));
    await two.end("SIGTERM");
    expect(two.process.exitCode).toBe(0);
  });

  test("tell of their health and work", async () => {
    expect(await (await fetch(`${one.url}/healthz`)).text()).toBe("ok\n");
    expect(await (await fetch(`${one.url}/metrics`)).text()).toContain("wherry_registry_requests_total{");
  });
});

test("a collector at work does not take what a push brings", async () => {
  const config = join(directory, "collect.json");
  writeFileSync(config, JSON.stringify({ "collect-every-seconds": 1, "grace-seconds": 30 }));
  const server = await serve("--config", config);
  const until = Date.now() + 2500;
  for (let count = 0; Date.now() < until; count++) {
    const bytes = `layer ${count}`;
    const put = (path: string, method: string, body: string, type = "application/octet-stream") =>
      fetch(`${server.url}/v2/busy/${path}`, { method, body, headers: { "Content-Type": type } });
    await put(`blobs/uploads/?digest=${digestOf(bytes)}`, "POST", bytes);
    await put(`blobs/uploads/?digest=${digestOf("{}")}`, "POST", "{}");
    const type = "application/vnd.oci.image.manifest.v1+json";
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: type,
      config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: digestOf("{}"), size: 2 },
      layers: [
        { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: digestOf(bytes), size: bytes.length },
      ],
    });
    expect((await put("manifests/latest", "PUT", manifest, type)).status).toBe(201);
    expect((await fetch(`${server.url}/v2/busy/blobs/${digestOf(bytes)}`)).status).toBe(200);
  }
  await server.end("SIGTERM");
});

// skopeo comes with the set-up; without it there is nobody else's client to ask.
test.skipIf(skopeo === null)("skopeo copies in and out, signed in, and is refused without", async () => {
  const users = join(directory, "users");
  const hash = await Bun.password.hash("secret", { algorithm: "bcrypt", cost: 4 });
  writeFileSync(users, `ann:${hash}\n`);
  const server = await serve("--htpasswd", users);
  const { host } = new URL(server.url);
  const layout = join(directory, "layout");
  const blobs = join(layout, "blobs/sha256");
  mkdirSync(blobs, { recursive: true });
  const keep = (text: string, mediaType: string) => {
    const digest = digestOf(text);
    writeFileSync(join(blobs, digest.slice(7)), text);
    return { mediaType, digest, size: Buffer.byteLength(text) };
  };
  const layer = keep("\0".repeat(10_240), "application/vnd.oci.image.layer.v1.tar");
  const image = {
    architecture: "amd64",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: [layer.digest] },
  };
  const config = keep(JSON.stringify(image), "application/vnd.oci.image.config.v1+json");
  const type = "application/vnd.oci.image.manifest.v1+json";
  const manifest = keep(JSON.stringify({ schemaVersion: 2, mediaType: type, config, layers: [layer] }), type);
  writeFileSync(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  writeFileSync(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
  const copy = async (...args: string[]) => {
    const child = Bun.spawn([skopeo ?? "", "copy", "--insecure-policy", ...args], { stderr: "pipe" });
    return { code: await child.exited, text: await new Response(child.stderr).text() };
  };
  const target = `docker://${host}/team/x:1`;
  const creds = ["--dest-creds", "ann:secret"];
  const refused = await copy("--dest-tls-verify=false", "--dest-creds", "ann:wrong", `oci:${layout}`, target);
  expect([refused.code, refused.text.includes("authentication required")]).toEqual([1, true]);
  const pushed = await copy(
    "--dest-tls-verify=false",
    ...creds,
    "--preserve-digests",
    `oci:${layout}`,
    target,
  );
  expect(pushed).toMatchObject({ code: 0 });
  const out = join(directory, "out");
  const pulled = await copy("--src-tls-verify=false", "--src-creds", "ann:secret", target, `oci:${out}`);
  expect(pulled).toMatchObject({ code: 0 });
  const got = await fetch(`${server.url}/v2/team/x/manifests/1`, {
    headers: { Authorization: `Basic ${Buffer.from("ann:secret").toString("base64")}` },
  });
  expect(got.headers.get("docker-content-digest")).toBe(manifest.digest);
  await server.end("SIGTERM");
});

test("what it cannot be told is refused, with the way out", async () => {
  for (const [flags, message] of [
    [["--nosuch"], "unknown argument --nosuch"],
    [["--root", root, "--addr", "x"], "want HOST:PORT"],
    [["--root", root, "--tls-cert", "x"], "--tls-cert and --tls-key go together"],
    [[], "--root DIR"],
  ] as const) {
    const child = Bun.spawn([process.execPath, program, "registry", "serve", ...flags], { stderr: "pipe" });
    expect(await new Response(child.stderr).text()).toContain(message);
    expect(await child.exited).toBe(1);
  }
});
