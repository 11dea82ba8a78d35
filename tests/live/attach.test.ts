/** Attached clients: several at once, early, late, slow, gone; over hijacked connections and WebSockets. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import websocket from "websocket-driver";
import type { Client } from "#client/client.ts";
import type { CreateBody } from "#client/containers.ts";
import { FrameDecoder } from "#spec/frames.ts";
import { dockerCli, EngineUnderTest } from "./engine-under-test.ts";
import { until } from "./told.ts";

let engine: EngineUnderTest;
let client: Client;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  client = await engine.client();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

async function made(script: string, more: Partial<CreateBody> = {}): Promise<string> {
  const body = { Image: "busybox", Cmd: ["sh", "-c", script], HostConfig: {}, ...more };
  const { Id } = await client.containers.create(body);
  return Id;
}

async function opened(): Promise<Socket> {
  const socket = connect({ path: engine.host.slice("unix://".length), allowHalfOpen: true });
  await once(socket, "connect");
  return socket;
}

/** An attached client as bytes; resolves when the head of the answer is there. */
async function attached(id: string, query = "stream=1&stdin=1&stdout=1&stderr=1"): Promise<Socket> {
  const socket = await opened();
  socket.write(
    `POST /v1.50/containers/${id}/attach?${query} HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n`,
  );
  let head = "";
  while (!head.includes("\r\n\r\n")) {
    const [part] = (await once(socket, "data")) as [Buffer];
    head += part.toString("latin1");
  }
  socket.pause();
  expect(head).toStartWith("HTTP/1.1 101 UPGRADED\r\n");
  socket.unshift(Buffer.from(head.slice(head.indexOf("\r\n\r\n") + 4), "latin1"));
  return socket;
}

async function framesOf(socket: Socket): Promise<{ stdout: string; stderr: string }> {
  const decoder = new FrameDecoder();
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const bytes of socket)
    for (const frame of decoder.push(bytes as Buffer)) parts[frame.stream].push(frame.bytes);
  return { stdout: Buffer.concat(parts.stdout).toString(), stderr: Buffer.concat(parts.stderr).toString() };
}

async function told(id: string, since: number): Promise<string[]> {
  const seen: string[] = [];
  const until = String(Math.ceil(Date.now() / 1000));
  for await (const event of client.events({ since: String(since), until, filters: { container: [id] } }))
    seen.push(event.Action);
  return seen;
}

const memory = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${engine.pid}/status`, "latin1"))?.[1]);
const descriptors = () => readdirSync(`/proc/${engine.pid}/fd`).length;

describe("over a hijacked connection", () => {
  test("before the start: every client gets everything, stdin waits and is closed once", async () => {
    const id = await made("echo begin; echo e >&2; cat; echo end", { OpenStdin: true, StdinOnce: true });
    const clients = await Promise.all([
      attached(id),
      attached(id, "stream=1&stdout=1"),
      attached(id, "stream=1&stderr=1"),
    ]);
    const [first] = clients;
    first?.write("early ");
    await client.containers.start(id);
    first?.end("late\n");
    const seen = await Promise.all(clients.map(framesOf));
    const stdout = "begin\nearly late\nend\n";
    expect(seen).toEqual([
      { stdout, stderr: "e\n" },
      { stdout, stderr: "" },
      { stdout: "", stderr: "e\n" },
    ]);
    await client.containers.remove(id);
  });

  test("what was before comes with logs=1, and alone without stream", async () => {
    const id = await made("echo before; sleep 600");
    await client.containers.start(id);
    await until(async () => (await framesOf(await attached(id, "logs=1&stdout=1"))).stdout === "before\n");
    const socket = await attached(id, "logs=1&stream=1&stdout=1");
    const seen = framesOf(socket);
    await client.containers.kill(id, "KILL");
    expect((await seen).stdout).toBe("before\n");
    await client.containers.remove(id, { force: true });
  });

  test("one that never reads holds up neither the container, nor others, nor the engine's memory", async () => {
    const bytes = 40_000_000;
    const id = await made(`head -c ${bytes} /dev/zero; exit 3`, {
      HostConfig: { LogConfig: { Type: "json-file" } },
    });
    const [stuck, reading] = [
      await attached(id, "stream=1&stdout=1"),
      await attached(id, "stream=1&stdout=1"),
    ];
    const before = memory();
    const { exit } = await client.containers.wait(id, "next-exit");
    await client.containers.start(id);
    expect((await framesOf(reading)).stdout.length).toBe(bytes);
    expect((await exit).StatusCode).toBe(3);
    expect(memory() - before).toBeLessThan(64 << 10);
    stuck.destroy();
    await client.containers.remove(id);
  }, 60_000);

  test("the keys to detach leave a terminal, which goes on, and its size is told", async () => {
    const id = await made("while :; do read x || exit; echo got-$x; stty size; done", {
      Tty: true,
      OpenStdin: true,
    });
    const since = Math.floor(Date.now() / 1000) - 1;
    await client.containers.start(id);
    const socket = await attached(id, "stream=1&stdin=1&stdout=1&detachKeys=ctrl-a,x");
    let text = "";
    socket.on("data", (part: Buffer) => {
      text += part.toString();
    });
    socket.resume();
    await until(async () => {
      await client.containers.resize(id, { height: 31, width: 41 });
      socket.write("a\n");
      await Bun.sleep(20);
      return text.includes("got-a\r\n31 41\r\n");
    });
    socket.write("\x01x");
    await once(socket, "end");
    expect((await client.containers.inspect(id)).State.Running).toBe(true);
    await client.containers.kill(id, "KILL");
    const actions = await told(id, since);
    for (const action of ["attach", "resize", "detach"]) expect(actions).toContain(action);
    await client.containers.remove(id, { force: true });
  });

  test("100 that come and go, in every way, leave no descriptor", async () => {
    const id = await made("cat", { OpenStdin: true });
    await client.containers.start(id);
    const round = async (each: number) => {
      const socket = await attached(id);
      if (each % 3 === 0) socket.destroy();
      else {
        socket.write("x\n");
        if (each % 3 === 1) socket.end();
        else {
          await once(socket.resume(), "data");
          socket.destroy();
        }
        socket.resume();
        if (each % 3 === 1) await once(socket, "close");
      }
    };
    for (let each = 0; each < 10; each++) await round(each);
    await Bun.sleep(50);
    const before = descriptors();
    for (let each = 0; each < 100; each++) await round(each);
    await until(() => descriptors() <= before + 2);
    expect((await client.containers.inspect(id)).State.Running).toBe(true);
    await client.containers.remove(id, { force: true });
  }, 60_000);
});

describe("over a WebSocket", () => {
  async function socketTo(id: string, query: string, version = "v1.50") {
    const socket = await opened();
    const driver = websocket.client(`ws://x/${version}/containers/${id}/attach/ws?${query}`);
    const messages: (string | Buffer)[] = [];
    driver.on("message", ({ data }: { data: string | Buffer }) => messages.push(data));
    const closed = Promise.withResolvers<void>();
    driver.on("close", () => closed.resolve());
    driver.on("error", () => closed.resolve());
    driver.io.on("data", (bytes: Buffer) => socket.write(bytes));
    socket.on("data", (bytes: Buffer) => driver.io.write(bytes));
    socket.on("close", () => closed.resolve());
    const open = once(driver, "open");
    driver.start();
    await open;
    const text = () => Buffer.concat(messages.map((each) => Buffer.from(each))).toString();
    return { driver, socket, messages, text, closed: closed.promise };
  }

  test("messages are bytes, both outputs in one; its end closes the connection", async () => {
    const id = await made("read x; echo out-$x; echo err >&2; head -c 100000 /dev/zero", { OpenStdin: true });
    await client.containers.start(id);
    const { driver, messages, text, closed } = await socketTo(id, "stream=1&stdin=1&stdout=1&stderr=1");
    driver.text("typed\n");
    await closed;
    expect(messages.every((each) => Buffer.isBuffer(each))).toBe(true);
    expect(text().replaceAll("\0", "")).toContain("out-typed\n");
    expect(text()).toContain("err\n");
    expect(text().length).toBe(100_000 + "out-typed\nerr\n".length);
    await client.containers.remove(id);
  });

  test("streams are chosen from 1.42 on; before 1.28 messages are texts", async () => {
    const script = "read x; echo out; echo err >&2";
    const outputs: Record<string, [string, boolean]> = {};
    for (const version of ["v1.24", "v1.41", "v1.42"]) {
      const id = await made(script, { OpenStdin: true });
      await client.containers.start(id);
      const flags = version === "v1.42" ? "stream=1&stdin=1&stderr=1" : "stream=1";
      const { driver, messages, text, closed } = await socketTo(id, flags, version);
      driver.binary(Buffer.from("go\n"));
      await closed;
      outputs[version] = [
        text().split("\n").sort().join(),
        messages.every((each) => typeof each === "string"),
      ];
      await client.containers.remove(id);
    }
    expect(outputs).toEqual({
      "v1.24": [",err,out", true],
      "v1.41": [",err,out", false],
      "v1.42": [",err", false],
    });
  });

  test("a client that closes leaves the container running; a ping is answered", async () => {
    const id = await made("sleep 600");
    await client.containers.start(id);
    const { driver, closed } = await socketTo(id, "stream=1&stdout=1");
    const pong = once(driver, "pong");
    (driver as unknown as { ping(text: string): void }).ping("hello");
    await pong;
    driver.close();
    await closed;
    expect((await client.containers.inspect(id)).State.Running).toBe(true);
    await client.containers.remove(id, { force: true });
  });

  test("what is refused: no WebSocket, an unknown version of it, no container, a paused one", async () => {
    const id = await made("sleep 600");
    await client.containers.start(id);
    const ask = async (path: string, headers = "") => {
      const socket = await opened();
      socket.end(`GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);
      let answer = "";
      for await (const part of socket) answer += String(part);
      return answer;
    };
    const upgrade = (version: number) =>
      `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: ${version}\r\n`;
    const path = `/v1.50/containers/${id}/attach/ws?stream=1`;
    expect(await ask(path)).toMatch(/^HTTP\/1.1 400 .*"not websocket protocol"/s);
    expect(await ask(path, upgrade(12))).toStartWith("HTTP/1.1 400 ");
    expect(await ask("/containers/nosuch/attach/ws", upgrade(13))).toStartWith("HTTP/1.1 404 ");
    await client.containers.pause(id);
    expect(await ask(path, upgrade(13))).toStartWith("HTTP/1.1 409 ");
    await client.containers.remove(id, { force: true });
  });
});

test.skipIf(dockerCli === null)(
  "docker attach passes signals and input on, and has the exit code",
  async () => {
    const id = await made("trap 'echo caught; exit 9' USR1; while :; do echo .; sleep 0.02; done");
    await client.containers.start(id);
    const child = engine.spawn("docker", ["attach", id]);
    let text = "";
    child.stdout?.on("data", (part: Buffer) => {
      text += part.toString();
    });
    await until(() => text.includes("."));
    // Not SIGINT, at which this client may also end itself.
    child.kill("SIGUSR1");
    const [code] = (await once(child, "close")) as [number];
    expect([code, text.replaceAll(".\n", "")]).toEqual([9, "caught\n"]);
    await client.containers.remove(id);
    const stopped = await made("true");
    expect((await engine.cli("docker", ["attach", stopped])).stderr).toContain(
      "cannot attach to a stopped container",
    );
    const input = await engine.cli("docker", ["run", "-i", "--rm", "busybox", "cat"], {
      input: "q".repeat(300_000),
    });
    expect(input.stdout.length).toBe(300_000);
    await client.containers.remove(stopped);
  },
);
