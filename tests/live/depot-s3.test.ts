import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { depotContract } from "#registry/depot/depot-contract.ts";
import { S3Depot } from "#registry/depot/depot-s3.ts";
import { hasS3, S3UnderTest } from "./s3-under-test.ts";
import { digestOf, ServedRegistry } from "./served-registry.ts";

// Without the set-up of the tests there is no service to ask.
if (hasS3)
  depotContract("in a bucket", async () => {
    const service = await S3UnderTest.start();
    return {
      open: async () => await S3Depot.open(service.place, { settleMs: 0 }),
      close: async () => await service[Symbol.asyncDispose](),
    };
  });

test.skipIf(!hasS3)("a bucket that is not there or cannot be reached is named", async () => {
  await using service = await S3UnderTest.start();
  await expect(S3Depot.open({ ...service.place, bucket: "nosuch" })).rejects.toThrow(
    "the bucket nosuch cannot be used (NoSuchBucket)",
  );
  const nowhere = S3Depot.open({ ...service.place, endpoint: "http://127.0.0.1:1" });
  await expect(nowhere).rejects.toThrow("the bucket depot cannot be used");
});

test.skipIf(!hasS3)(
  "two registries serve one bucket; a killed one's upload goes on at the other, from its last part",
  async () => {
    await using service = await S3UnderTest.start();
    const { place } = service;
    const environment = {
      AWS_ACCESS_KEY_ID: place.accessKeyId,
      AWS_SECRET_ACCESS_KEY: place.secretAccessKey,
      AWS_ENDPOINT_URL_S3: place.endpoint ?? "",
      AWS_REGION: "us-east-1",
    };
    const serve = async () =>
      await ServedRegistry.start(["--root", "s3://depot/team/registry"], { environment });
    await using victim = await serve();
    await using one = await serve();
    const bytes = randomBytes(20 << 20);
    const begun = await fetch(`${victim.url}/v2/x/blobs/uploads/`, { method: "POST" });
    const upload = begun.headers.get("location") ?? "";
    const { hostname, port } = new URL(victim.url);
    const socket = connect(Number(port), hostname);
    socket.on("error", () => {});
    socket.write(`PATCH ${upload} HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes.length}\r\n\r\n`);
    socket.write(bytes.subarray(0, 18 << 20));
    const status = async () => (await fetch(`${one.url}${upload}`)).headers.get("range");
    for (let tries = 0; (await status()) !== `0-${(16 << 20) - 1}`; tries++) {
      if (tries > 2000) throw new Error(`the upload stays at ${await status()}`);
      await Bun.sleep(10);
    }
    await victim.end("SIGKILL");
    socket.destroy();
    const digest = digestOf(bytes);
    const rest = await fetch(`${one.url}${upload}?digest=${digest}`, {
      method: "PUT",
      body: bytes.subarray(16 << 20),
      headers: { "Content-Range": `${16 << 20}-${bytes.length - 1}` },
    });
    expect(rest.status).toBe(201);
    await using two = await serve();
    const image = await one.putImage("x", "latest", [bytes]);
    expect((await fetch(`${two.url}/v2/x/manifests/latest`)).headers.get("docker-content-digest")).toBe(
      image,
    );
    expect(digestOf(await (await fetch(`${two.url}/v2/x/blobs/${digest}`)).bytes())).toBe(digest);
    const part = await fetch(`${two.url}/v2/x/blobs/${digest}`, {
      headers: { Range: "bytes=8388600-8388700" },
    });
    expect(part.status).toBe(206);
    expect(Buffer.from(await part.bytes())).toEqual(bytes.subarray(8388600, 8388701));
    expect(await (await fetch(`${two.url}/v2/x/tags/list`)).json()).toEqual({ name: "x", tags: ["latest"] });
    expect(await (await fetch(`${two.url}/v2/_catalog`)).json()).toEqual({ repositories: ["x"] });
    expect((await fetch(`${two.url}/v2/x/manifests/${image}`, { method: "DELETE" })).status).toBe(202);
    expect((await fetch(`${one.url}/v2/x/manifests/latest`)).status).toBe(404);
  },
  60_000,
);
