/** Pulls that are refused at once: what is no image, and registries whose certificate nobody vouches for. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createServer } from "node:tls";
import { addAddress } from "#kernel/network/addresses.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { inNamespace } from "#kernel/network/netns.ts";
import { ScriptedRegistry } from "#registry/scripted-registry.ts";
import { mediaType } from "#spec/image.ts";
import { EngineUnderTest } from "./engine-under-test.ts";
import { authority, serverCertificate, serverKey } from "./tls-certificates.ts";

/** Not loopback, which needs no certificate. */
const address = "192.0.2.9";
let engine: EngineUnderTest;

beforeAll(async () => {
  engine = await EngineUnderTest.start();
  inNamespace(engine.netns, () => {
    using netlink = new Netlink();
    addAddress(netlink, 1, { address, prefixLength: 32 });
  });
});
afterAll(async () => await engine[Symbol.asyncDispose]());

const pull = async (name: string) => await engine.cli("wherry", ["pull", name]);

test("artifacts, by the name of their type, as Docker does; nothing of them is fetched", async () => {
  await using registry = await ScriptedRegistry.start({ within: (open) => inNamespace(engine.netns, open) });
  const blob = (text: string, type: string) => {
    const bytes = Buffer.from(text);
    return { mediaType: type, digest: registry.addBlob(bytes), size: bytes.length };
  };
  const empty = blob("{}", "application/vnd.oci.empty.v1+json");
  const helm = blob('{"name":"x"}', "application/vnd.cncf.helm.config.v1+json");
  const chart = blob("abc", "application/vnd.cncf.helm.chart.content.v1.tar+gzip");
  const config = blob("{}", mediaType.ociConfig);
  for (const [tag, manifest, type] of [
    ["helm", { config: helm, layers: [chart] }, helm.mediaType],
    ["any", { artifactType: "application/x", config: empty, layers: [empty] }, empty.mediaType],
    ["odd", { config, layers: [chart] }, chart.mediaType],
  ] as const) {
    const document = { schemaVersion: 2, mediaType: mediaType.ociManifest, ...manifest };
    registry.addManifest("app", tag, document, mediaType.ociManifest);
    const { code, stderr } = await pull(`${registry.host}/app:${tag}`);
    expect([code, stderr]).toEqual([1, expect.stringContaining(`unsupported media type ${type}`)]);
  }
  expect(registry.count("GET", /blobs/)).toBe(0);
}, 30_000);

test("certificates that cannot be checked, with what to do, and asked once", async () => {
  let connections = 0;
  const server = createServer({ cert: serverCertificate, key: serverKey }, (socket) => socket.destroy());
  server.on("connection", () => connections++).on("tlsClientError", (_, socket) => socket.destroy());
  inNamespace(engine.netns, () => void server.listen(0, address));
  if (!server.listening) await once(server, "listening");
  const host = `${address}:${(server.address() as AddressInfo).port}`;
  try {
    const unknown = await pull(`${host}/app:1`);
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toContain("x509: certificate signed by unknown authority");
    expect(unknown.stderr).toContain(`/etc/docker/certs.d/${host}/ca.crt`);
    expect(connections).toBe(1);
    // Known now, but it is another's.
    const certificates = join(engine.directory, "certs.d");
    mkdirSync(join(certificates, host), { recursive: true });
    writeFileSync(join(certificates, host, "ca.crt"), authority);
    await engine.stop();
    await engine.start("--registry-certs-dir", certificates);
    expect((await pull(`${host}/app:1`)).stderr).toContain("x509: certificate is valid for other names");
    expect(connections).toBe(2);
  } finally {
    server.close();
  }
}, 30_000);
