import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault } from "#spec/fault.ts";
import { PluginDriver } from "./plugin-driver.ts";
import { pluginVolumes } from "./plugin-volumes.ts";
import { Plugins } from "./plugins.ts";

let directory: string;
let stack: DisposableStack;
const { signal } = new AbortController();
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wherry-plugins-"));
  stack = new DisposableStack();
});
afterEach(() => {
  stack.dispose();
  rmSync(directory, { recursive: true, force: true });
});

const activated = { "Plugin.Activate": { Implements: ["VolumeDriver"] }, "VolumeDriver.Capabilities": {} };

/** Answers what it has an answer to; everything else hangs. */
function plugin(name: string, answers: Readonly<Record<string, object>>): string {
  const unix = join(directory, `${name}.sock`);
  const server = Bun.serve({
    unix,
    fetch: async (request) => {
      const answer = answers[new URL(request.url).pathname.slice(1)];
      if (answer === undefined) await new Promise(() => undefined);
      return Response.json(answer);
    },
  });
  stack.defer(() => void server.stop(true));
  return unix;
}

async function faultOf(work: Promise<unknown>): Promise<string> {
  const { kind, message } = Fault.from(
    await work.then(
      () => "no fault",
      (thrown: unknown) => thrown,
    ),
  );
  return `${kind}: ${message}`;
}

test("a plugin that hangs is waited for no longer than a bound, whatever it was asked", async () => {
  const said = (method: string) =>
    `timeout: ${method}: plugin slow: no answer within 1 s, look whether it runs`;
  const mute = { name: "slow", at: { unix: plugin("mute", {}) } };
  expect(await faultOf(PluginDriver.open(mute, { bound: 1000 }))).toBe(said("Plugin.Activate"));
  const unix = plugin("slow", activated);
  const driver = await PluginDriver.open({ name: "slow", at: { unix } }, { bound: 1000 });
  const volume = { name: "v", mountpoint: "", options: {} };
  const answers = await Promise.all([
    faultOf(driver.create("v", {})),
    faultOf(driver.mount(volume, "c", signal)),
    faultOf(driver.unmount(volume, "c")),
    faultOf(driver.remove("v")),
  ]);
  expect(answers).toEqual([
    said("VolumeDriver.Create"),
    said("VolumeDriver.Mount"),
    said("VolumeDriver.Unmount"),
    said("VolumeDriver.Remove"),
  ]);
});

test("who does not want to wait any more does not", async () => {
  const driver = await PluginDriver.open({ name: "slow", at: { unix: plugin("slow", activated) } });
  const abort = new AbortController();
  const mounting = faultOf(driver.mount({ name: "v", mountpoint: "", options: {} }, "c", abort.signal));
  abort.abort();
  expect(await mounting).toStartWith("cancelled: ");
});

test("lists have what plugins keep, and a warning for each that does not answer", async () => {
  const listed = { Volumes: [{ Name: "theirs", Mountpoint: "/m" }, { Name: "ours" }] };
  plugin("good", { ...activated, "VolumeDriver.List": listed });
  plugin("hangs", activated);
  plugin("mute", {});
  plugin("network", { "Plugin.Activate": { Implements: ["NetworkDriver"] } });
  writeFileSync(join(directory, "away.spec"), `unix://${directory}/nothing.sock`);
  const plugins = new Plugins({ sockets: [directory, join(directory, "missing")], files: [directory] });
  expect(plugins.names()).toEqual(["away", "good", "hangs", "mute", "network"]);
  const { volumes, warnings } = await pluginVolumes(plugins, new Set(["ours"]), signal, 1500);
  expect(volumes).toEqual([
    { name: "theirs", driver: "good", mountpoint: "/m", created: "", options: {}, labels: {} },
  ]);
  expect(warnings.map((text) => text.replace(/^volumes of plugin (\w+) are left out: .*$/, "$1"))).toEqual([
    "away",
    "hangs",
    "mute",
  ]);
  expect(warnings[1]).toContain("no answer within 1.5 s, look whether it runs");
});
