/** Credential helpers: what docker's command line stores is found here, and the other way round. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inNamespace } from "#kernel/network/netns.ts";
import { ScriptedRegistry } from "#registry/scripted-registry.ts";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
let registry: ScriptedRegistry;
let store: string;
let env: Record<string, string>;
const right = `Basic ${Buffer.from("ann:secret").toString("base64")}`;

beforeAll(async () => {
  engine = await EngineUnderTest.start();
  registry = await ScriptedRegistry.start({ within: (open) => inNamespace(engine.netns, open) });
  registry.scripts.push(({ headers }, response) => {
    if (headers.authorization === right) return false;
    response.writeHead(401, { "WWW-Authenticate": 'Basic realm="here"' }).end();
    return true;
  });
  const [bin, config] = [join(engine.directory, "bin"), join(engine.directory, "config")];
  store = join(engine.directory, "store");
  for (const path of [bin, config, store]) mkdirSync(path);
  // A file for each server, as the protocol of docker-credential-helpers has it.
  const helper = `#!/bin/sh
input=$(cat)
place() { echo "${store}/$(printf %s "$1" | tr /: __)"; }
case $1 in
  store) printf %s "$input" > "$(place "$(printf %s "$input" | sed 's/.*"ServerURL":"\\([^"]*\\)".*/\\1/')")" ;;
  get) cat "$(place "$input")" 2> /dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
  erase) rm -f "$(place "$input")" ;;
  list) echo '{}' ;;
esac
`;
  writeFileSync(join(bin, "docker-credential-kept"), helper, { mode: 0o755 });
  writeFileSync(join(config, "config.json"), JSON.stringify({ credsStore: "kept" }));
  env = { DOCKER_CONFIG: config, PATH: `${bin}:${process.env["PATH"]}` };
});
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

const run = async (program: string, args: readonly string[], input = "") =>
  await engine.cli(program, args, { env, input });

for (const [first, second] of [
  ["wherry", "wherry"],
  ["docker", "wherry"],
  ["wherry", "docker"],
] as const)
  test.skipIf(dockerCli === null && [first, second].includes("docker"))(
    `${first} signs in, ${second} uses it and signs out (docker's part is skipped without its CLI)`,
    async () => {
      const login = ["login", "-u", "ann", "--password-stdin", registry.host];
      const wrong = await run(first, login, "wrong");
      expect([wrong.code, readdirSync(store)]).toEqual([1, []]);
      expect((await run(first, login, "secret\n")).code).toBe(0);
      expect(readdirSync(store).length).toBe(1);
      const config = readFileSync(join(env["DOCKER_CONFIG"] ?? "", "config.json"), "utf8");
      expect(JSON.parse(config)).toMatchObject({ credsStore: "kept", auths: { [registry.host]: {} } });
      expect(config).not.toContain("secret");
      const missing = await run(second, ["pull", `${registry.host}/none:1`]);
      expect(missing.stderr).toMatch(/manifest|not found/);
      expect(missing.stderr).not.toMatch(/unauthorized|no basic auth/);
      expect((await run(second, ["logout", registry.host])).code).toBe(0);
      expect(readdirSync(store)).toEqual([]);
      const after = await run(first, ["pull", `${registry.host}/none:1`]);
      expect(after.stderr).toMatch(/unauthorized|no basic auth|authentication required/);
    },
    30_000,
  );

test("a helper that is not there, or fails, is named", async () => {
  const config = join(engine.directory, "broken");
  mkdirSync(config);
  writeFileSync(join(config, "config.json"), JSON.stringify({ credHelpers: { [registry.host]: "absent" } }));
  const pulled = await engine.cli("wherry", ["pull", `${registry.host}/none:1`], {
    env: { ...env, DOCKER_CONFIG: config },
  });
  expect([pulled.code, pulled.stderr]).toEqual([1, expect.stringContaining("docker-credential-absent")]);
  expect(existsSync(join(config, "config.json"))).toBe(true);
}, 30_000);
