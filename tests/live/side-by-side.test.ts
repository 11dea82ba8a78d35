/** Two engines on one network, and many clients of one engine: nobody meets what is another's, nobody waits for another. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import type { Client } from "#client/client.ts";
import { listLinks } from "#kernel/network/links.ts";
import { Netlink } from "#kernel/network/netlink.ts";
import { inNamespace } from "#kernel/network/netns.ts";
import { runNft } from "#kernel/network/nftables.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

let one: EngineUnderTest;
let two: EngineUnderTest;
beforeAll(async () => {
  one = await EngineUnderTest.start();
  two = await EngineUnderTest.startBeside(one);
  await Promise.all([one.importBusybox(), two.importBusybox()]);
});
afterAll(async () => {
  await two[Symbol.asyncDispose]();
  await one[Symbol.asyncDispose]();
});

async function running(client: Client, cmd: string[], name?: string, port?: string): Promise<string> {
  const ports = {
    ExposedPorts: { "80/tcp": {} },
    HostConfig: { PortBindings: { "80/tcp": [{ HostPort: port }] } },
  };
  const body = { Image: "busybox", Cmd: cmd, HostConfig: {}, ...(port !== undefined && ports) };
  const { Id } = await client.containers.create(body, { name });
  await client.containers.start(Id);
  return Id;
}

describe("two engines with roots of their own", () => {
  const links = () =>
    inNamespace(one.netns, () => {
      using netlink = new Netlink();
      return listLinks(netlink).map(({ name }) => name);
    });
  const tables = () => inNamespace(one.netns, () => runNft("list tables"));
  const web = ["sh", "-c", "mkdir -p /www; hostname > /www/index.html; exec httpd -f -h /www"];
  const page = async (port: number) => {
    const { stdout } = await one.cli("busybox", ["wget", "-qO-", `http://127.0.0.1:${port}/`]);
    return stdout.trim();
  };

  test("have bridges, tables and groups of their own, and serve the same names side by side", async () => {
    expect(links().filter((name) => /^wh[0-9a-f]{8}$/.test(name)).length).toBe(2);
    // One each, and its double.
    const names = tables().trim().split("\n");
    expect([names.length, new Set(names).size]).toEqual([4, 4]);
    const [first, second] = [await one.client(), await two.client()];
    const ids = await Promise.all([
      running(first, web, "web", "18181"),
      running(second, web, "web", "18282"),
    ]);
    const groups = await Promise.all(
      ids.map(async (id, index) => {
        const { State } = await [first, second][index]!.containers.inspect(id);
        return await Bun.file(`/proc/${State.Pid}/cgroup`).text();
      }),
    );
    expect(groups[0]?.replaceAll(ids[0] ?? "", "")).not.toBe(groups[1]?.replaceAll(ids[1] ?? "", ""));
    for (let tries = 0; (await page(18181)) === "" || (await page(18282)) === ""; tries++) {
      expect(tries).toBeLessThan(100);
      await Bun.sleep(20);
    }
    expect([await page(18181), await page(18282)]).toEqual(ids.map((id) => id.slice(0, 12)));
    expect((await first.containers.list({ all: true })).map(({ Id }) => Id)).toEqual([ids[0]!]);
    expect((await second.containers.list({ all: true })).map(({ Id }) => Id)).toEqual([ids[1]!]);
  });

  test("a port of one is refused to the other, in words that say so", async () => {
    const second = await two.client();
    const taken = running(second, ["true"], "thief", "18181");
    expect(String(await taken.catch((thrown: unknown) => thrown))).toMatch(/18181/);
    await second.containers.remove("thief", { force: true });
  });

  test("one that comes, goes or is killed leaves the other's work alone", async () => {
    const before = await page(18181);
    await two.stop("SIGKILL");
    expect(await page(18181)).toBe(before);
    await two.start();
    expect(await page(18181)).toBe(before);
    const second = await two.client();
    expect((await second.containers.inspect("web")).State.Running).toBe(true);
    await second.containers.remove("web", { force: true });
    expect(await page(18181)).toBe(before);
    await two.stop();
    expect(await page(18181)).toBe(before);
    expect((await (await one.client()).containers.inspect("web")).State.Running).toBe(true);
    await two.start();
  });
});

describe("clients of one engine", () => {
  test("ps answers while one container's stop, exec and attach are stuck", async () => {
    const client = await one.client();
    const id = await running(client, ["sh", "-c", "trap '' TERM; cat /dev/zero & while :; do sleep 1; done"]);
    const stuck = connect({ path: one.host.slice("unix://".length) });
    stuck.pause();
    stuck.write(
      `POST /containers/${id}/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\n\r\n`,
    );
    const exec = await client.containers.createExec(id, { Cmd: ["cat", "/dev/zero"], AttachStdout: true });
    const reading = connect({ path: one.host.slice("unix://".length) });
    reading.pause();
    const body = "{}";
    reading.write(
      `POST /exec/${exec}/start HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n${body}`,
    );
    const other = await one.client();
    let stopped = false;
    const stopping = client.containers.stop(id, { seconds: 25 }).finally(() => {
      stopped = true;
    });
    for (let round = 0; round < 20; round++) await other.containers.list({ all: true });
    const quick = await running(other, ["true"]);
    const { exit } = await other.containers.wait(quick);
    await exit;
    await other.containers.remove(quick, { force: true });
    // All of that while the stop still waits for its grace.
    expect(stopped).toBe(false);
    await other.containers.kill(id, "KILL");
    await stopping;
    expect((await client.containers.inspect(id)).State.ExitCode).toBe(137);
    stuck.destroy();
    reading.destroy();
    await client.containers.remove(id, { force: true });
  });

  test("creates at the same time share nothing, and a name is given once", async () => {
    const clients = await Promise.all(Array.from({ length: 8 }, async () => await one.client()));
    const body = (n: number) => ({
      Image: "busybox",
      Cmd: ["echo", String(n)],
      Env: [`N=${n}`],
      HostConfig: {},
    });
    const made = await Promise.all(
      clients.map(async (client, n) => (await client.containers.create(body(n), { name: `n${n}` })).Id),
    );
    expect(new Set(made).size).toBe(8);
    for (const [n, id] of made.entries()) {
      const { Config, Name } = await clients[7 - n]!.containers.inspect(id);
      expect([Name, Config.Cmd, Config.Env?.includes(`N=${n}`)]).toEqual([
        `/n${n}`,
        ["echo", String(n)],
        true,
      ]);
    }
    const racing = await Promise.allSettled(
      clients.map(async (client, n) => await client.containers.create(body(n), { name: "only" })),
    );
    expect(racing.filter(({ status }) => status === "fulfilled").length).toBe(1);
    const starts = await Promise.all(
      clients.map(async (client) => await client.containers.start(made[0] ?? "")),
    );
    expect(starts.filter(Boolean).length).toBeGreaterThan(0);
    for (const { Id } of await clients[0]!.containers.list({ all: true }))
      await clients[1]!.containers.remove(Id, { force: true });
  });
});
