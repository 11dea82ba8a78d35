/** A registry whose S3 service slows it down, breaks off, loses answers, is away. */
import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { FaultyS3, type S3Fault } from "./faulty-s3.ts";
import { hasS3, S3UnderTest } from "./s3-under-test.ts";
import { digestOf, ServedRegistry } from "./served-registry.ts";
import { until } from "./told.ts";

const faults: readonly S3Fault[] = [
  ...(["slow-down", "reset", "cut", "internal", "lost-answer", "bare", "wrong-tag"] as const),
];

function serve({ place }: FaultyS3): Promise<ServedRegistry> {
  const environment = {
    AWS_ACCESS_KEY_ID: place.accessKeyId,
    AWS_SECRET_ACCESS_KEY: place.secretAccessKey,
    AWS_ENDPOINT_URL_S3: place.endpoint ?? "",
    AWS_REGION: "us-east-1",
  };
  return ServedRegistry.start(["--root", "s3://depot/registry"], { environment });
}

async function blobOf(served: ServedRegistry, repository: string, digest: string): Promise<string> {
  const answer = await fetch(`${served.url}/v2/${repository}/blobs/${digest}`);
  return answer.status === 200 ? digestOf(await answer.bytes()) : String(answer.status);
}

test.skipIf(!hasS3)(
  "every third request fails in one way after another, and nobody notices",
  async () => {
    await using service = await S3UnderTest.start();
    await using faulty = await FaultyS3.before(service.place);
    let asked = 0;
    const failed = new Set<string>();
    faulty.faultOf = ({ method, url }) => {
      const what = `${method} ${url}`;
      // Not twice in a row: attempts have an end.
      if (failed.delete(what) || ++asked % 3 !== 0) return undefined;
      failed.add(what);
      return faults[(asked / 3) % faults.length];
    };
    await using served = await serve(faulty);
    const large = randomBytes(9 << 20);
    const image = await served.putImage("x", "latest", [large, "small"]);
    const again = await fetch(`${served.url}/v2/x/manifests/latest`);
    expect(again.headers.get("docker-content-digest")).toBe(image);
    expect(digestOf(await again.text())).toBe(image);
    expect(await blobOf(served, "x", digestOf(large))).toBe(digestOf(large));
    const mount = `mount=${digestOf(large)}&from=x`;
    const mounted = await fetch(`${served.url}/v2/y/blobs/uploads/?${mount}`, { method: "POST" });
    expect(mounted.status).toBe(201);
    expect(await blobOf(served, "y", digestOf(large))).toBe(digestOf(large));
    expect(await (await fetch(`${served.url}/v2/x/tags/list`)).json()).toEqual({
      name: "x",
      tags: ["latest"],
    });
    const gone = await fetch(`${served.url}/v2/x/manifests/${image}`, { method: "DELETE" });
    expect(gone.status).toBe(202);
    expect((await fetch(`${served.url}/v2/x/manifests/latest`)).status).toBe(404);
    expect([...faulty.happened.keys()].sort()).toEqual([...faults].sort());
  },
  120_000,
);

test.skipIf(!hasS3)(
  "a service that is away is told as that, and nothing is half there when it is back",
  async () => {
    await using service = await S3UnderTest.start();
    await using faulty = await FaultyS3.before(service.place);
    await using served = await serve(faulty);
    const image = await served.putImage("x", "kept", ["layer"]);
    const health = async () => (await fetch(`${served.url}/healthz`)).status;
    expect(await health()).toBe(200);
    faulty.faultOf = () => "slow-down";
    const refused = await fetch(`${served.url}/v2/x/manifests/kept`);
    expect(refused.status).toBe(503);
    expect(await refused.text()).toContain("store is full or away");
    await expect(served.putImage("x", "new", ["another layer"])).rejects.toThrow("503");
    await until(async () => (await health()) === 503);
    // Away in the middle of an upload: parts are written, and then no more.
    faulty.faultOf = ({ method, url }) =>
      method === "PUT" && url?.includes("/parts/") === true ? "reset" : undefined;
    await until(async () => (await health()) === 200);
    await expect(served.putBlob("x", randomBytes(9 << 20))).rejects.toThrow("503");
    faulty.faultOf = () => undefined;
    const kept = await fetch(`${served.url}/v2/x/manifests/kept`);
    expect(kept.headers.get("docker-content-digest")).toBe(image);
    expect(await (await fetch(`${served.url}/v2/x/tags/list`)).json()).toEqual({ name: "x", tags: ["kept"] });
    await served.putImage("x", "new", ["another layer"]);
    expect((await fetch(`${served.url}/v2/x/manifests/new`)).status).toBe(200);
  },
  120_000,
);
