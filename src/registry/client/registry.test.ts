import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { digestOf, first, refuse, reply, ScriptedRegistry } from "#registry/scripted-registry.ts";
import type { Credentials } from "#spec/credentials.ts";
import type { Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { Descriptor } from "#spec/image.ts";
import { parseReference } from "#spec/reference.ts";
import { Arrivals } from "#store/arrivals.ts";
import type { Received } from "./download.ts";
import { Registry } from "./registry.ts";
import { defaultRegistryOptions, type RegistryOptions } from "./registry-options.ts";

const signal = new AbortController().signal;
const manifest = { schemaVersion: 2, config: {}, layers: [] };
const tooMany = /limits how often you may ask/;
let root: string;
let remote: ScriptedRegistry;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  root = mkdtempSync(join(tmpdir(), "wherry-registry-"));
  stack.defer(() => rmSync(root, { recursive: true }));
  remote = stack.use(await ScriptedRegistry.start());
});
afterEach(() => stack.disposeAsync());

async function client(options: Partial<RegistryOptions> = {}): Promise<Registry> {
  return new Registry({
    options: { ...defaultRegistryOptions, certificates: [], retryDelayMs: 1, ...options },
    arrivals: await Arrivals.open(join(root, "arrivals")),
  });
}

const reference = (host = remote.host) => parseReference(`${host}/team/app:1`);

async function sourceOf(o: { options?: Partial<RegistryOptions>; credentials?: Credentials } = {}) {
  return (await client(o.options)).source(reference(), { signal, credentials: o.credentials });
}

const layer = (digest: Digest, size: number): Descriptor => ({ mediaType: "layer", digest, size });

/** What came, and what was told of it. */
async function fetched(
  source: Awaited<ReturnType<typeof sourceOf>>,
  blob: Descriptor,
  o: { signal?: AbortSignal; tell?: (news: Received) => void } = {},
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  await using got = await source.fetch(blob, {
    signal: o.signal ?? signal,
    tell: o.tell ?? (() => undefined),
  });
  for await (const part of got.read()) parts.push(Buffer.from(part));
  got.spend();
  return Buffer.concat(parts);
}

async function failure(work: Promise<unknown>): Promise<Fault> {
  return await work.then(
    () => {
      throw new Error("it did not fail");
    },
    (thrown) => Fault.from(thrown),
  );
}

/** Sends half of a body and cuts the connection. */
const cut = (bytes: Buffer) =>
  first(
    1,
    ({ url }) => url?.includes("/blobs/") === true,
    (_, response) => {
      response.writeHead(200, { "Content-Length": bytes.length });
      response.write(bytes.subarray(0, bytes.length / 2), () => setTimeout(() => response.destroy(), 20));
      return true;
    },
  );

describe("manifests", () => {
  test("by tag and digest; unknown ones are told as Docker tells them", async () => {
    const digest = remote.addManifest("team/app", "1", manifest);
    const source = await sourceOf();
    expect((await source.manifest("1", signal)).digest).toBe(digest);
    expect((await source.manifest(digest, signal)).contentType).toContain("docker");
    expect(await source.digestOf("1", signal)).toBe(digest);
    expect(await source.tags(signal)).toEqual(["1"]);
    expect(await failure(source.manifest("2", signal))).toMatchObject({
      kind: "not-found",
      message: `manifest for ${remote.host}/team/app:1 not found: manifest unknown: manifest unknown`,
    });
  });

  test("with another digest, or without end, are refused", async () => {
    const digest = digestOf(Buffer.from("asked for"));
    remote.scripts.push((request, response) => {
      if (request.url?.endsWith("endless") !== true) return false;
      response.writeHead(200);
      const more = () =>
        void (response.destroyed || response.write(Buffer.alloc(1 << 20), () => setImmediate(more)));
      more();
      return true;
    });
    remote.manifests.set(`team/app:${digest}`, { bytes: Buffer.from("another"), type: "x/y" });
    const source = await sourceOf();
    expect((await failure(source.manifest(digest, signal))).message).toContain(
      "manifest verification failed",
    );
    expect((await failure(source.manifest("endless", signal))).message).toContain(
      "larger than 4194304 bytes",
    );
  });

  test("a web page in place of an answer is shown as one", async () => {
    remote.scripts.push((_, response) => {
      reply(response, 404, "<html>nothing here</html>");
      return true;
    });
    const fault = await failure((await sourceOf()).manifest("1", signal));
    expect(fault.message).toContain("received unexpected HTTP status: 404");
    expect(fault.message).not.toContain("html");
  });

  test("nobody there", async () => {
    const gone = remote.host;
    await remote[Symbol.asyncDispose]();
    const source = (await client()).source(reference(gone), { signal });
    expect((await failure(source.manifest("1", signal))).message).toMatch(
      /^Get "http:\/\/127\.0\.0\.1:\d+\/v2\/": connect: connection refused$/,
    );
  });
});

describe("a blob", () => {
  const bytes = randomBytes(3 << 20);

  test("goes on where a cut connection stopped", async () => {
    const digest = remote.addBlob(bytes);
    remote.scripts.push(cut(bytes));
    const news: Received[] = [];
    const got = await fetched(await sourceOf(), layer(digest, bytes.length), {
      tell: (each) => news.push(each),
    });
    expect(got.equals(bytes)).toBe(true);
    const [, again] = remote.asked.filter(({ path }) => path.includes("/blobs/"));
    expect(again?.headers["range"]).toMatch(/^bytes=[1-9]\d+-$/);
    expect(news.map(({ kind }) => kind)).toContain("waiting");
    expect(readdirSync(join(root, "arrivals"))).toEqual([]);
  });

  test("goes on where a cancelled pull stopped, also in another process", async () => {
    const digest = remote.addBlob(bytes);
    const stop = new AbortController();
    remote.scripts.push(
      first(
        1,
        ({ url }) => url?.includes("/blobs/") === true,
        (_, response) => {
          response.writeHead(200, { "Content-Length": bytes.length });
          response.write(bytes.subarray(0, 2 << 20));
          return true;
        },
      ),
    );
    const tell = (news: Received) => {
      if (news.kind === "receiving" && news.receivedBytes >= 1 << 20) stop.abort();
    };
    const broken = fetched(await sourceOf(), layer(digest, bytes.length), { signal: stop.signal, tell });
    expect((await failure(broken)).kind).toBe("cancelled");
    const got = await fetched(await sourceOf(), layer(digest, bytes.length));
    expect(got.equals(bytes)).toBe(true);
    expect(remote.asked.at(-1)?.headers["range"]).toMatch(/^bytes=1\d{6,}-$/);
  });

  test("is fetched anew from a registry that knows no ranges", async () => {
    const digest = remote.addBlob(bytes);
    remote.scripts.push(cut(bytes), (request, response) => {
      if (request.headers.range === undefined) return false;
      reply(response, 200, bytes);
      return true;
    });
    expect((await fetched(await sourceOf(), layer(digest, bytes.length))).equals(bytes)).toBe(true);
  });

  test.each([
    ["wrong bytes", (all: Buffer) => Buffer.alloc(all.length, 1), "filesystem layer verification failed"],
    ["one byte too many", (all: Buffer) => Buffer.concat([all, Buffer.alloc(1)]), "more than the"],
    ["too few bytes", (all: Buffer) => all.subarray(1), "unexpected EOF"],
  ])("with %s leaves nothing", async (_, spoil, message) => {
    const digest = digestOf(bytes);
    remote.blobs.set(digest, spoil(bytes));
    const fault = await failure(
      fetched(await sourceOf({ options: { maxAttempts: 2 } }), layer(digest, bytes.length)),
    );
    expect(fault.message).toContain(message);
    remote.blobs.set(digest, bytes);
    expect((await fetched(await sourceOf(), layer(digest, bytes.length))).equals(bytes)).toBe(true);
  });

  test("wanted twice is fetched once", async () => {
    const digest = remote.addBlob(bytes);
    const registry = await client();
    const take = async () =>
      await fetched(registry.source(reference(), { signal }), layer(digest, bytes.length));
    const both = await Promise.all([take(), take()]);
    expect(both.map((each) => each.equals(bytes))).toEqual([true, true]);
    expect(remote.count("GET", /blobs/)).toBe(1);
    expect(readdirSync(join(root, "arrivals"))).toEqual([]);
  });

  test("goes on for one who waits when another leaves", async () => {
    const digest = remote.addBlob(bytes);
    remote.scripts.push(async ({ url }) => {
      if (url?.includes("/blobs/") === true) await Bun.sleep(30);
      return false;
    });
    const [registry, stop] = [await client(), new AbortController()];
    const take = async (each: AbortSignal) =>
      await fetched(registry.source(reference(), { signal: each }), layer(digest, bytes.length), {
        signal: each,
      });
    const [left, stayed] = [failure(take(stop.signal)), take(signal)];
    setTimeout(() => stop.abort(), 10);
    expect((await left).kind).toBe("cancelled");
    await stayed;
    expect(remote.count("GET", /blobs/)).toBe(1);
  });

  test("no more at once than allowed", async () => {
    let [now, most] = [0, 0];
    const digests = Array.from({ length: 8 }, (_, index) => remote.addBlob(Buffer.alloc(10, index)));
    remote.scripts.push(async ({ url }) => {
      if (url?.includes("/blobs/") !== true) return false;
      most = Math.max(most, ++now);
      await Bun.sleep(5);
      now--;
      return false;
    });
    const source = await sourceOf({ options: { maxDownloads: 2 } });
    await Promise.all(digests.map(async (digest) => await fetched(source, layer(digest, 10))));
    expect(most).toBe(2);
  });
});

describe("a registry in trouble", () => {
  const limited = first(
    2,
    ({ url }) => url?.includes("/manifests/") === true,
    (_, response) => {
      reply(response, 429, '{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}', {
        "Retry-After": "1",
      });
      return true;
    },
  );

  test("is asked again when it says so", async () => {
    remote.addManifest("team/app", "1", manifest);
    remote.scripts.push(limited);
    const begin = performance.now();
    await (await sourceOf()).manifest("1", signal);
    expect(performance.now() - begin).toBeGreaterThan(1900);
    expect(remote.count("GET", /manifests/)).toBe(3);
  });

  test("that is not asked again that late, its limit is explained", async () => {
    remote.scripts.push((request, response) => {
      if (request.url?.includes("/manifests/") !== true) return false;
      reply(response, 429, '{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}', {
        "Retry-After": "3600",
      });
      return true;
    });
    const fault = await failure((await sourceOf()).manifest("1", signal));
    expect(fault.message).toMatch(tooMany);
    expect(fault.message).toContain("try again in 3600 seconds");
    expect(remote.count("GET", /manifests/)).toBe(1);
  });

  test("server errors are tried again, a bounded number of times", async () => {
    remote.addManifest("team/app", "1", manifest);
    const trouble = (times: number) =>
      first(
        times,
        ({ url }) => url?.includes("/manifests/") === true,
        (_, response) => {
          refuse(response, 503, "UNAVAILABLE", "later");
          return true;
        },
      );
    remote.scripts.push(trouble(3));
    await (await sourceOf()).manifest("1", signal);
    remote.scripts.splice(0, 1, trouble(100));
    expect((await failure((await sourceOf()).manifest("1", signal))).message).toBe("unavailable: later");
    expect(remote.count("GET", /manifests/)).toBe(4 + 5);
  });

  test("a mirror that fails gives way to the registry, and is not shown its credentials", async () => {
    const [mirror, other] = [
      stack.use(await ScriptedRegistry.start()),
      stack.use(await ScriptedRegistry.start()),
    ];
    remote.addManifest("team/app", "1", manifest);
    mirror.scripts.push((_, response) => {
      reply(response, 401, "", { "WWW-Authenticate": 'Basic realm="x"' });
      return true;
    });
    other.addManifest("team/app", "1", manifest);
    const domain = remote.host;
    const source = (
      await client({ mirrors: [`${domain}=http://${mirror.host}`, `${domain}=http://${other.host}/`] })
    ).source(reference(), { signal, credentials: { username: "u", password: "p" } });
    await source.manifest("1", signal);
    expect([mirror.asked.length, other.asked.length, remote.asked.length]).toEqual([1, 1, 0]);
    expect(mirror.asked[0]?.headers["authorization"]).toBeUndefined();
  });
});

describe("redirects", () => {
  const redirect =
    (to: () => string) => (request: { url?: string | undefined }, response: Parameters<typeof reply>[0]) => {
      if (request.url?.includes("/blobs/") !== true) return false;
      reply(response, 307, "", { Location: to() });
      return true;
    };

  test("to another host are followed without credentials (CVE-2020-15157)", async () => {
    const bytes = randomBytes(1000);
    const other = stack.use(await ScriptedRegistry.start());
    const digest = other.addBlob(bytes);
    other.scripts.push((request, response) => {
      if (request.headers.authorization === undefined) return false;
      reply(response, 500, "");
      return true;
    });
    remote.scripts.push(
      basic,
      redirect(() => `http://${other.host}/v2/x/blobs/${digest}`),
    );
    const source = await sourceOf({ credentials: { username: "u", password: "p" } });
    expect((await fetched(source, layer(digest, bytes.length))).equals(bytes)).toBe(true);
    expect(remote.asked.at(-1)?.headers["authorization"]).toStartWith("Basic ");
    expect(other.asked.map(({ headers }) => headers["authorization"])).toEqual([undefined]);
  });

  test("a challenge of the other host is not answered (CVE-2020-15157)", async () => {
    const other = stack.use(await ScriptedRegistry.start());
    other.scripts.push(basic);
    const digest = digestOf(Buffer.from("x"));
    remote.scripts.push(redirect(() => `http://${other.host}/stolen`));
    const source = await sourceOf({
      credentials: { username: "u", password: "p" },
      options: { maxAttempts: 1 },
    });
    expect((await failure(fetched(source, layer(digest, 1)))).kind).toBe("unauthorized");
    expect(other.asked.map(({ headers }) => headers["authorization"])).toEqual([undefined]);
  });

  test("in circles end", async () => {
    const digest = digestOf(Buffer.from("x"));
    remote.scripts.push(redirect(() => `/v2/team/app/blobs/${digest}`));
    expect((await failure(fetched(await sourceOf(), layer(digest, 1)))).message).toContain(
      "redirects in circles",
    );
  });
});

const basic = (request: { headers: Record<string, unknown> }, response: Parameters<typeof reply>[0]) => {
  if (request.headers["authorization"] === `Basic ${btoa("u:p")}`) return false;
  reply(response, 401, "", { "WWW-Authenticate": 'Basic realm="here"' });
  return true;
};

describe("signing in", () => {
  /** Asks for a token of `realm`. */
  const bearer = (realm: () => string, token = "t0ken") =>
    ((request, response) => {
      if (request.headers["authorization"] === `Bearer ${token}`) return false;
      reply(response, 401, "", {
        "WWW-Authenticate": `Bearer realm="${realm()}",service="reg",scope="repository:team/app:pull"`,
      });
      return true;
    }) satisfies typeof basic;

  async function tokenServer(hostname = "127.0.0.1"): Promise<ScriptedRegistry> {
    const server = stack.use(await ScriptedRegistry.start({ hostname }));
    server.scripts.push((_, response) => {
      reply(response, 200, '{"token":"t0ken","expires_in":60}');
      return true;
    });
    return server;
  }

  test("with a name and a password", async () => {
    remote.scripts.push(basic);
    remote.addManifest("team/app", "1", manifest);
    await (await sourceOf({ credentials: { username: "u", password: "p" } })).manifest("1", signal);
    expect((await failure((await sourceOf()).manifest("1", signal))).message).toContain(
      "no basic auth credentials",
    );
    const registry = await client();
    await registry.signIn(remote.host, { signal, credentials: { username: "u", password: "p" } });
    const wrong = { username: "u", password: "wrong" };
    expect(await failure(registry.signIn(remote.host, { signal, credentials: wrong }))).toMatchObject({
      kind: "unauthorized",
      message: `login attempt to http://${remote.host}/v2/ failed with status: 401 Unauthorized`,
    });
  });

  test("with a token, asked for once by many requests", async () => {
    const tokens = await tokenServer();
    remote.scripts.push(bearer(() => `http://${tokens.host}/token`));
    remote.addManifest("team/app", "1", manifest);
    const source = await sourceOf({ credentials: { username: "u", password: "p" } });
    await Promise.all(Array.from({ length: 5 }, async () => await source.manifest("1", signal)));
    expect(tokens.asked).toHaveLength(1);
    expect(tokens.asked[0]).toMatchObject({
      path: "/token?service=reg&scope=repository%3Ateam%2Fapp%3Apull&account=u",
      headers: { authorization: `Basic ${btoa("u:p")}` },
    });
  });

  test("anonymously, and with an identity token", async () => {
    const tokens = await tokenServer();
    remote.scripts.push(bearer(() => `http://${tokens.host}/token`));
    remote.addManifest("team/app", "1", manifest);
    await (await sourceOf()).manifest("1", signal);
    await (await sourceOf({ credentials: { identityToken: "secret" } })).manifest("1", signal);
    expect(tokens.asked.map(({ method, headers }) => [method, headers["authorization"]])).toEqual([
      ["GET", undefined],
      ["POST", undefined],
    ]);
    await (await sourceOf({ credentials: { registryToken: "t0ken" } })).manifest("1", signal);
    expect(tokens.asked).toHaveLength(2);
  });

  test("a realm that is not the registry's gets no credentials, unless it is named (CVE-2020-15157)", async () => {
    const tokens = await tokenServer("127.0.0.2");
    remote.scripts.push(bearer(() => `http://${tokens.host}/token`));
    remote.addManifest("team/app", "1", manifest);
    const credentials = { username: "u", password: "p" };
    await (await sourceOf({ credentials })).manifest("1", signal);
    await (await sourceOf({ credentials: { identityToken: "secret" } })).manifest("1", signal);
    expect(tokens.asked.map(({ method, headers }) => [method, headers["authorization"]])).toEqual([
      ["GET", undefined],
      ["GET", undefined],
    ]);
    await (await sourceOf({ credentials, options: { authRealms: ["127.0.0.2"] } })).manifest("1", signal);
    expect(tokens.asked.at(-1)?.headers["authorization"]).toStartWith("Basic ");
  });

  test("a refusal says what Docker says", async () => {
    remote.scripts.push((request, response) => {
      if (request.url?.includes("/manifests/") !== true) return false;
      refuse(response, 401, "UNAUTHORIZED", "authentication required");
      return true;
    });
    const source = (await client()).source(reference(), { signal });
    expect(await failure(source.manifest("1", signal))).toMatchObject({
      kind: "not-found",
      message: `pull access denied for ${remote.host}/team/app, repository does not exist or may require 'docker login': unauthorized: authentication required`,
    });
  });
});
