/** Contexts: engines by name, in files that docker's own command line writes and reads as well. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";
import * as pem from "./tls-certificates.ts";

const tlsHost = "tcp://127.0.0.1:12377";
let engine: EngineUnderTest;
let config: string;
let files: string;
const file = (name: string) => join(engine.directory, name);
const idOf = (name: string) => createHash("sha256").update(name).digest("hex");

beforeAll(async () => {
  engine = await EngineUnderTest.start();
  config = file("config");
  files = file("client");
  mkdirSync(files);
  for (const [name, text] of [
    ["ca", pem.authority],
    ["cert", pem.clientCertificate],
    ["key", pem.clientKey],
    ["server-cert", pem.serverCertificate],
    ["server-key", pem.serverKey],
  ] as const)
    writeFileSync(join(files, `${name}.pem`), text);
  await engine.stop();
  const tls = ["cacert=ca", "cert=server-cert", "key=server-key"].map((each) => {
    const [flag, name] = each.split("=");
    return `--tls${flag}=${files}/${name}.pem`;
  });
  await engine.start("--tlsverify", ...tls, "--host", tlsHost);
}, 30_000);
afterEach(() => rmSync(config, { recursive: true, force: true }));
afterAll(async () => await engine[Symbol.asyncDispose]());

type Program = "wherry" | "docker";
async function run(program: Program, words: string, env: Record<string, string> = {}) {
  const clean = { DOCKER_HOST: "", WHERRY_HOST: "", DOCKER_CONTEXT: "", DOCKER_CONFIG: config };
  return await engine.cli(program, words.split(" "), { env: { ...clean, ...env } });
}
const wherry = async (words: string, env?: Record<string, string>) => await run("wherry", words, env);
async function ok(program: Program, words: string, env?: Record<string, string>): Promise<string> {
  const { code, stdout, stderr } = await run(program, words, env);
  if (code !== 0) throw new Error(`${program} ${words}: exit ${code}: ${stdout}${stderr}`);
  return stdout;
}
const endpoint = () => `host=${tlsHost},ca=${files}/ca.pem,cert=${files}/cert.pem,key=${files}/key.pem`;
const asks = "version --format {{.Server.Os}}";

describe("which engine is asked", () => {
  test("flag, variables, DOCKER_CONTEXT, the one in use, in this order", async () => {
    await ok("wherry", `context create here --docker host=${engine.host}`);
    await ok("wherry", "context create nowhere --docker host=unix:///nowhere.sock");
    await ok("wherry", "context use nowhere");
    const nobody = { code: 1, stderr: expect.stringContaining("unix:///nowhere.sock") };
    expect(await wherry(asks)).toMatchObject(nobody);
    expect(await ok("wherry", asks, { DOCKER_CONTEXT: "here" })).toBe("linux\n");
    expect(await ok("wherry", asks, { DOCKER_HOST: engine.host })).toBe("linux\n");
    const first = { WHERRY_HOST: "unix:///nowhere.sock", DOCKER_HOST: engine.host, DOCKER_CONTEXT: "here" };
    expect(await wherry(asks, first)).toMatchObject(nobody);
    expect(await ok("wherry", `-c here ${asks}`, first)).toBe("linux\n");
    expect(await ok("wherry", `-H ${engine.host} ${asks}`)).toBe("linux\n");
    expect(await wherry(`-H ${engine.host} --context here ${asks}`)).toMatchObject({
      code: 1,
      stderr: "conflicting options: cannot specify both --host and --context\n",
    });
    expect(await wherry(asks, { DOCKER_CONTEXT: "gone" })).toMatchObject({
      code: 1,
      stderr: `Failed to initialize: unable to resolve docker endpoint: context "gone": context not found: open ${config}/contexts/meta/${idOf("gone")}/meta.json: no such file or directory\n`,
    });
  }, 30_000);

  test("over TLS, with what the context keeps, whatever became of the files it was made from", async () => {
    writeFileSync(join(files, "passing.pem"), pem.clientCertificate);
    await ok("wherry", `context create far --docker ${endpoint().replace("/cert.pem", "/passing.pem")}`);
    rmSync(join(files, "passing.pem"));
    expect(await ok("wherry", `-c far ${asks}`)).toBe("linux\n");
    await ok("wherry", `context create stranger --docker host=${tlsHost},ca=${files}/ca.pem`);
    expect((await wherry(`-c stranger ${asks}`)).code).toBe(1);
    await ok("wherry", `context create plain --docker host=${tlsHost}`);
    expect((await wherry(`-c plain ${asks}`)).code).toBe(1);
    await ok("wherry", "context update plain --docker from=far");
    expect(await ok("wherry", `-c plain ${asks}`)).toBe("linux\n");
    const { mode } = statSync(join(config, "contexts/tls", idOf("far"), "docker/key.pem"));
    expect(mode & 0o777).toBe(0o600);
  }, 30_000);
});

describe("their words", () => {
  test("what cannot be is refused as docker does", async () => {
    await ok("wherry", "context create one --docker host=unix:///one");
    const refusals: [string, string][] = [
      ["create one", 'context "one" already exists'],
      ["create default", '"default" is a reserved context name'],
      [
        "create a/b",
        'context name "a/b" is invalid, names are validated against regexp "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"',
      ],
      [
        "create two --docker hots=x",
        "unable to create docker endpoint config: unrecognized config key: hots",
      ],
      [
        "create two --docker host=foo",
        "unable to create docker endpoint config: unable to apply docker endpoint options: unable to parse docker host `foo`",
      ],
      [
        "create two --docker ca=/nope",
        "unable to create docker endpoint config: open /nope: no such file or directory",
      ],
      ["create two --from one --docker host=unix:///x", "cannot use --docker flag when --from is set"],
      ["rm gone", 'context "gone" does not exist'],
      ["rm default", 'context "default" cannot be removed'],
    ];
    for (const [words, message] of refusals) {
      const { code, stderr } = await wherry(`context ${words}`);
      expect([words, code, stderr.split("\n")[0]?.split(":  want")[0]]).toEqual([
        words,
        1,
        expect.stringContaining(message),
      ]);
    }
    expect(existsSync(join(config, "contexts/meta", idOf("two")))).toBe(false);
  }, 30_000);

  test("in use, not there, removed; what else config.json has stays", async () => {
    mkdirSync(config);
    writeFileSync(join(config, "config.json"), '{"auths":{"a.example":{}},"psFormat":"x"}');
    await ok("wherry", "context create one --description first --docker host=unix:///one");
    const used = await wherry("context use one", { DOCKER_HOST: "unix:///q" });
    expect(used.stderr).toContain(
      'DOCKER_HOST environment variable overrides the active context. To use "one"',
    );
    expect(JSON.parse(readFileSync(join(config, "config.json"), "utf8"))).toEqual({
      auths: { "a.example": {} },
      psFormat: "x",
      currentContext: "one",
    });
    expect(await ok("wherry", "context show")).toBe("one\n");
    expect(await wherry("context rm one")).toMatchObject({
      code: 1,
      stderr: 'context "one" is in use, set -f flag to force remove\n',
    });
    expect(await ok("wherry", "context rm -f one gone")).toBe("one\ngone\n");
    expect(await ok("wherry", "context show")).toBe("default\n");
    expect(await ok("wherry", "context ls", { DOCKER_CONTEXT: "gone" })).toContain(
      'context "gone": context not found: open /tmp…',
    );
  }, 30_000);

  test("what is no context is not imported, and nothing is left of it", async () => {
    for (const [name, text, message] of [
      ["none.tar", "x", "the archive is no tar"],
      ["cut.zip", "PK\x03\x04xx", "no zip that can be read"],
    ] as const) {
      writeFileSync(file(name), text);
      expect(await wherry(`context import bad ${file(name)}`)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(message),
      });
    }
    mkdirSync(file("odd/tls/docker"), { recursive: true });
    writeFileSync(file("odd/meta.json"), '{"Name":"x"}');
    writeFileSync(file("odd/passwd"), "x");
    for (const [words, message] of [
      [["passwd", "meta.json"], "passwd: unexpected context file"],
      [["tls"], "invalid context: no metadata found"],
      [["-P", "--transform", "s,passwd,tls/docker/../../../escape,", "passwd"], "unexpected context file"],
    ] as const) {
      await Bun.$`tar -C ${file("odd")} -cf ${file("odd.tar")} ${words}`.quiet();
      expect(await wherry(`context import bad ${file("odd.tar")}`)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(message),
      });
    }
    expect(await ok("wherry", "context ls -q")).toBe("default\n");
  }, 30_000);
});

describe.skipIf(dockerCli === null)("shared with docker (skipped without docker's CLI)", () => {
  for (const [maker, other] of [
    ["docker", "wherry"],
    ["wherry", "docker"],
  ] as const)
    test(`what ${maker} made works in ${other}, changed there and back`, async () => {
      await ok(maker, `context create far --description away --docker ${endpoint()}`);
      await ok(maker, `context create near --docker host=${engine.host}`);
      await ok(maker, "context use far");
      for (const format of ["{{json .}}", "table", "{{.Name}}\t{{.Current}}\t{{.DockerEndpoint}}"]) {
        const words = ["context", "ls", "--format", format];
        const env = { DOCKER_HOST: "", WHERRY_HOST: "", DOCKER_CONFIG: config };
        const lines = async (program: Program) =>
          (await engine.cli(program, words, { env })).stdout
            .split("\n")
            .filter((line) => !line.includes("default"));
        expect(await lines(other)).toEqual(await lines(maker));
      }
      expect(JSON.parse(await ok(other, "context inspect"))).toEqual(
        JSON.parse(await ok(maker, "context inspect")),
      );
      expect(await ok(other, asks)).toBe("linux\n");
      await ok(other, "context update near --description changed");
      await ok(other, "context use near");
      const [near] = JSON.parse(await ok(maker, "context inspect near"));
      expect(near.Metadata).toEqual({ Description: "changed" });
      expect(await ok(maker, asks)).toBe("linux\n");
      await ok(other, `context export far ${file("far.tar")}`);
      const taken = await run(other, `context export far ${file("far.tar")}`);
      expect([taken.code, taken.stderr]).toEqual([1, `open ${file("far.tar")}: file exists\n`]);
      await ok(other, "context rm far");
      expect((await run(maker, "context inspect far")).code).toBe(1);
      await ok(maker, `context import again ${file("far.tar")}`);
      expect(await ok(maker, `--context again ${asks}`)).toBe("linux\n");
      rmSync(file("far.tar"));
    }, 60_000);

  test("a zip is imported, and what was cut off is not", async () => {
    await ok("docker", `context create far --docker ${endpoint()}`);
    // wherry's: docker's own leaves out the end, which tar(1) wants.
    await ok("wherry", `context export far ${file("zip.tar")}`);
    mkdirSync(file("zip"));
    await Bun.$`tar -C ${file("zip")} -xmf ${file("zip.tar")}`.quiet();
    await Bun.$`python3 -m zipfile -c ${file("far.zip")} meta.json tls/`.cwd(file("zip")).quiet();
    expect((await wherry(`context import zipped ${file("far.zip")}`)).stderr).toContain("Successfully");
    expect(await ok("wherry", `-c zipped ${asks}`)).toBe("linux\n");
    await ok("docker", `context export far ${file("cut.tar")}`);
    truncateSync(file("cut.tar"), statSync(file("cut.tar")).size - 100);
    expect((await wherry(`context import cut ${file("cut.tar")}`)).stderr).toBe("the archive is cut off\n");
  }, 30_000);
});
