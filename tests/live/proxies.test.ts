/** Registries behind a proxy: by the engine's environment, its flags and its configuration file. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { inNamespace } from "#kernel/network/netns.ts";
import { ScriptedRegistry } from "#registry/scripted-registry.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
/** The proxy, and what lies behind it: a name that nothing else here knows. */
let proxy: ScriptedRegistry;
const name = "registry.example/app";
const asked: { readonly url: string; readonly secret: string | undefined }[] = [];
const variables = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];
const before = Object.fromEntries(variables.map((each) => [each, process.env[each]]));

function setVariables(values: Record<string, string | undefined>): void {
  for (const each of variables) {
    const value = values[each];
    if (value === undefined) delete process.env[each];
    else process.env[each] = value;
  }
}

beforeAll(async () => {
  setVariables({});
  engine = await EngineUnderTest.start();
  await engine.stop();
  proxy = await ScriptedRegistry.start({ within: (open) => inNamespace(engine.netns, open) });
  const document = { schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json" };
  const blob = (text: string, mediaType: string) => {
    const bytes = Buffer.from(text);
    return { mediaType, digest: proxy.addBlob(bytes), size: bytes.length };
  };
  const config = blob(
    JSON.stringify({
      os: "linux",
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      rootfs: { type: "layers", diff_ids: [] },
    }),
    "application/vnd.oci.image.config.v1+json",
  );
  proxy.addManifest("app", "1", { ...document, config, layers: [] }, document.mediaType);
  // What a proxy is asked for is a whole address (RFC 9112, 3.2.2).
  proxy.scripts.push((request) => {
    const { url = "", headers } = request;
    asked.push({ url, secret: headers["proxy-authorization"] });
    request.url = url.replace(/^http:\/\/registry\.example/, "");
    return false;
  });
});
afterAll(async () => {
  setVariables(before);
  await engine[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
});

async function pull(...flags: string[]) {
  await engine.start("--insecure-registry", "registry.example", ...flags);
  asked.length = 0;
  const pulled = await engine.cli("wherry", ["pull", "-q", `${name}:1`]);
  const { HttpProxy, NoProxy } = await (await engine.client()).info();
  if (pulled.code === 0) await engine.cli("wherry", ["rmi", `${name}:1`]);
  await engine.stop();
  return { pulled, shown: [HttpProxy, NoProxy] };
}

test("by flags, with the proxy's own password, which is not shown", async () => {
  const { pulled, shown } = await pull("--http-proxy", `http://ann:secret@${proxy.host}`);
  expect(pulled).toEqual({ code: 0, stdout: `${name}:1\n`, stderr: "" });
  expect(asked.every(({ url }) => url.startsWith("http://registry.example/v2/"))).toBe(true);
  expect(asked.at(-1)?.secret).toBe(`Basic ${Buffer.from("ann:secret").toString("base64")}`);
  expect(shown).toEqual([`http://xxxxx:xxxxx@${proxy.host}`, ""]);
}, 30_000);

test("by the environment, where no flag and no file says otherwise; not for hosts that need none", async () => {
  setVariables({ HTTP_PROXY: `http://${proxy.host}` });
  expect((await pull()).pulled.code).toBe(0);
  setVariables({ http_proxy: `http://${proxy.host}`, NO_PROXY: "other.example,.example" });
  const direct = await pull();
  expect([direct.pulled.code, asked, direct.shown[1]]).toEqual([1, [], "other.example,.example"]);
  setVariables({ HTTP_PROXY: "http://127.0.0.1:1" });
  const file = join(engine.directory, "daemon.json");
  writeFileSync(file, JSON.stringify({ proxies: { "http-proxy": `http://${proxy.host}` } }));
  expect((await pull("--config-file", file)).pulled.code).toBe(0);
  expect(asked.length).toBeGreaterThan(0);
}, 60_000);
