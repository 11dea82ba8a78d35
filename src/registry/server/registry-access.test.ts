import { describe, expect, test } from "bun:test";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseHtpasswd } from "./htpasswd.ts";
import { RegistryAccess } from "./registry-access.ts";
import { RegistryRefusal } from "./serve-fault.ts";

const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
const bcrypt = async (password: string) =>
  (await Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 })).replace(/^\$2b/, "$2y");

async function refusal(work: () => unknown): Promise<RegistryRefusal> {
  try {
    await work();
  } catch (error) {
    if (error instanceof RegistryRefusal) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("htpasswd", () => {
  test("lets in who knows the password, for what the rules say, and follows the file", async () => {
    const directory = await mkdtemp(join(tmpdir(), "wherry-htpasswd-"));
    try {
      const htpasswd = join(directory, "users");
      await writeFile(htpasswd, `# people\nann:${await bcrypt("secret")}\nbob:${await bcrypt("b:b")}\n`);
      const access = new RegistryAccess({
        htpasswd,
        anonymousPull: false,
        rights: [
          { users: ["ann"], repositories: ["team/*"], actions: ["pull", "push"] },
          { users: ["*"], repositories: ["public"], actions: ["pull"] },
        ],
      });
      const ann = await access.principal(basic("ann:secret"));
      access.require(ann, "push", "team/x");
      expect((await refusal(() => access.require(ann, "delete", "team/x"))).code).toBe("DENIED");
      expect((await refusal(() => access.require(ann, "push", "teamster"))).code).toBe("DENIED");
      const bob = await access.principal(basic("bob:b:b"));
      expect([bob.may("pull", "public"), bob.may("pull", "team/x")]).toEqual([true, false]);
      for (const wrong of ["ann:Secret", "nobody:x", "ann", "ann:", ":secret", ""]) {
        const { status, headers } = await refusal(() => access.principal(basic(wrong)));
        expect([status, headers["WWW-Authenticate"]]).toEqual([401, 'Basic realm="wherry registry"']);
      }
      const nobody = await access.principal(null);
      expect((await refusal(() => access.require(nobody, "pull", "public"))).status).toBe(401);
      await writeFile(htpasswd, `ann:${await bcrypt("new")}\n`);
      await utimes(htpasswd, 1, 1);
      expect((await refusal(() => access.principal(basic("ann:secret")))).status).toBe(401);
      expect((await access.principal(basic("ann:new"))).user).toBe("ann");
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test("has no other hashes than bcrypt's", () => {
    expect(() => parseHtpasswd("ann:{SHA}abc", "users")).toThrow("not bcrypt's");
    expect(() => parseHtpasswd("ann:plain", "users")).toThrow('"ann"');
  });
});

describe("tokens", () => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const access = new RegistryAccess({
    anonymousPull: false,
    token: {
      key: publicKey.export({ type: "spki", format: "pem" }).toString(),
      issuer: "issuer",
      service: "here",
      realm: "https://auth/token",
    },
  });
  const claims = () => ({
    iss: "issuer",
    aud: "here",
    sub: "ann",
    exp: Date.now() / 1000 + 60,
    access: [{ type: "repository", name: "team/x", actions: ["pull", "push"] }],
  });
  const token = (o: { head?: object; claims?: object; key?: KeyObject; hash?: string } = {}) => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const text = `${part({ alg: "ES256", ...o.head })}.${part({ ...claims(), ...o.claims })}`;
    const key = { key: o.key ?? privateKey, dsaEncoding: "ieee-p1363" as const };
    return `Bearer ${text}.${sign(o.hash ?? "sha256", Buffer.from(text), key).toString("base64url")}`;
  };

  test("grant what they claim and no more", async () => {
    const ann = await access.principal(token());
    access.require(ann, "push", "team/x");
    const refused = await refusal(() => access.require(ann, "delete", "team/x"));
    expect(refused.headers["WWW-Authenticate"]).toBe(
      'Bearer realm="https://auth/token",service="here",scope="repository:team/x:delete"',
    );
    expect([ann.may("pull", "team"), ann.mayList]).toEqual([false, false]);
  });

  const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const jwk = stranger.publicKey.export({ format: "jwk" });
  test.each([
    ["another issuer", { claims: { iss: "x" } }],
    ["another service", { claims: { aud: ["x"] } }],
    ["the past", { claims: { exp: 1 } }],
    ["the future", { claims: { nbf: Date.now() / 1000 + 3600 } }],
    ["no end", { claims: { exp: undefined } }],
    ["no algorithm", { head: { alg: "none" } }],
    ["another algorithm", { head: { alg: "HS256" } }],
    ["a stranger's key", { key: stranger.privateKey }],
    ["a key they bring along", { key: stranger.privateKey, head: { jwk } }],
    ["a chain they bring along", { key: stranger.privateKey, head: { x5c: ["AAAA"] } }],
    ["a place they name", { key: stranger.privateKey, head: { jku: "http://127.0.0.1:1/" } }],
  ])("of %s are none", async (_, o) => {
    expect((await refusal(() => access.principal(token(o)))).status).toBe(401);
  });

  test("and passwords go together, each with its own rights", async () => {
    const directory = await mkdtemp(join(tmpdir(), "wherry-both-"));
    const htpasswd = join(directory, "users");
    await writeFile(htpasswd, `bob:${await bcrypt("secret")}\n`);
    const both = new RegistryAccess({
      ...{ anonymousPull: false, htpasswd },
      rights: [{ users: ["bob"], repositories: ["open/*"], actions: ["pull", "push"] }],
      token: {
        key: publicKey.export({ type: "spki", format: "pem" }).toString(),
        ...{ issuer: "issuer", service: "here", realm: "https://auth/token" },
      },
    });
    const ann = await both.principal(token());
    const bob = await both.principal(basic("bob:secret"));
    both.require(ann, "push", "team/x");
    both.require(bob, "push", "open/x");
    expect((await refusal(() => both.require(ann, "push", "open/x"))).status).toBe(401);
    expect((await refusal(() => both.require(bob, "push", "team/x"))).status).toBe(403);
    const nobody = await both.principal(null);
    expect((await refusal(() => both.require(nobody, "pull", "open/x"))).headers["WWW-Authenticate"]).toBe(
      'Bearer realm="https://auth/token",service="here",scope="repository:open/x:pull", Basic realm="wherry registry"',
    );
    await rm(directory, { recursive: true });
  });

  test("that were changed are none", async () => {
    const [head, , signature] = token().split(".");
    const body = Buffer.from(JSON.stringify({ ...claims(), sub: "root" })).toString("base64url");
    for (const wrong of [
      `${head}.${body}.${signature}`,
      "Bearer x",
      "Bearer a.b.c",
      `${token()}.x`,
      "Basic eDp5",
    ])
      expect((await refusal(() => access.principal(wrong))).status).toBe(401);
  });
});
