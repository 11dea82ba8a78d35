import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ApiFixture } from "#api/doubles/api-fixture.ts";
import { containerRecord, FakeAttachment } from "#api/doubles/engine-double.ts";
import { RawClient } from "#api/doubles/test-client.ts";
import { Fault } from "#spec/fault.ts";

let api: ApiFixture;

beforeAll(async () => {
  api = await ApiFixture.open();
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(() => api.reset());

describe("streams", () => {
  const upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n";

  beforeEach(() => {
    api.engine.records = [containerRecord(1, { config: { StdinOnce: true, OpenStdin: true } })];
  });

  test("wait says at once that it waits, then the exit code", async () => {
    using client = await RawClient.connect(api.socket);
    client.send("POST /v1.45/containers/c1/wait?condition=next-exit HTTP/1.1\r\n\r\n");
    expect(await client.take("\r\n\r\n")).toContain("Transfer-Encoding: chunked");
    expect(api.engine.asked).toEqual([["wait", "next-exit"]]);
    api.engine.exit.resolve({ exitCode: 3 });
    expect(await client.take("\r\n0\r\n\r\n")).toContain('{"StatusCode":3}\n');
  });

  test("wait before 1.30 answers when it is over, with a length", async () => {
    api.engine.exit.resolve({ exitCode: 0 });
    const { headers, json } = await api.post("/v1.29/containers/c1/wait?condition=removed");
    expect(headers.get("content-length")).toBe("17");
    expect(json).toEqual({ StatusCode: 0 });
    expect(api.engine.asked).toEqual([["wait", "not-running"]]);
  });

  test("a wait that fails says so in the answer", async () => {
    const answer = api.post("/containers/c1/wait");
    while (api.engine.asked.length === 0) await Bun.sleep(1);
    api.engine.exit.reject(new Fault("internal", "lost it"));
    expect((await answer).json).toEqual({
      StatusCode: -1,
      Error: { Message: "lost it" },
    });
  });

  test("logs are framed, or bare from a terminal", async () => {
    const frames = "\x01\0\0\0\0\0\0\x04out\n\x02\0\0\0\0\0\0\x04err\n";
    api.engine.logLines = [{ stream: "stdout", timeNano: 0n, bytes: Buffer.from(frames) }];
    const framed = await api.get("/containers/c1/logs?stdout=1&stderr=1&tail=5&since=10.5");
    expect(framed.headers.get("content-type")).toBe("application/vnd.docker.multiplexed-stream");
    expect(framed.body).toBe(frames);
    expect(api.engine.asked[0]![1]).toMatchObject({
      joined: "multiplexed",
      stdout: true,
      follow: false,
      tail: 5,
      since: 10_500_000_000n,
    });
    api.engine.logLines = [
      { stream: "stdout", timeNano: 1_700_000_000_000_000_001n, bytes: Buffer.from("out\n") },
      { stream: "stderr", timeNano: 1_700_000_001_000_000_000n, bytes: Buffer.from("err\n") },
    ];
    const dated = await api.get("/v1.41/containers/c1/logs?stdout=1&timestamps=1&tail=all");
    expect(dated.headers.get("content-type")).toBe("application/vnd.docker.raw-stream");
    expect(dated.body).toContain("\0\0\0\x232023-11-14T22:13:20.000000001Z out\n");
    api.engine.records = [containerRecord(1, { config: { Tty: true } })];
    const bare = await api.get("/containers/c1/logs?stdout=1&timestamps=1");
    expect(bare.headers.get("content-type")).toBe("application/vnd.docker.raw-stream");
    expect(bare.body).toStartWith("2023-11-14T22:13:20.000000001Z out\n");
  });

  test("attach carries both ways; the end of input closes stdin, the end of output closes the connection", async () => {
    using client = await RawClient.connect(api.socket);
    client.send(
      `POST /v1.45/containers/c1/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\n${upgrade}\r\nearly`,
    );
    const head = await client.take("\r\n\r\n");
    expect(head).toStartWith(
      "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n",
    );
    api.engine.attachment.push("stdout", "hello");
    await client.take("\x01\0\0\0\0\0\0\x05hello");
    client.send(" and late").finish();
    while (!api.engine.attachment.inputEnded) await Bun.sleep(1);
    expect(api.engine.attachment.received.join("")).toBe("early and late");
    api.engine.attachment.push("stderr", "bye");
    api.engine.attachment.finish();
    expect(await client.all()).toBe("\x02\0\0\0\0\0\0\x03bye");
    expect(api.engine.attachment.disposed).toBe(true);
  });

  test("attach without Upgrade and before 1.42 is a raw stream by name, still in frames", async () => {
    using client = await RawClient.connect(api.socket);
    client.send("POST /v1.41/containers/c1/attach?stream=1&stdout=1 HTTP/1.1\r\n\r\n");
    expect(await client.take("\r\n\r\n")).toStartWith(
      "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n",
    );
    api.engine.attachment.push("stdout", "x");
    await client.take("\x01\0\0\0\0\0\0\x01x");
  });

  test("a client that gives no input may close its half and still sees all output", async () => {
    api.engine.records = [containerRecord(1)];
    using client = await RawClient.connect(api.socket);
    client.send(`POST /containers/c1/attach?stream=1&stdout=1 HTTP/1.1\r\n${upgrade}\r\n`).finish();
    await client.take("\r\n\r\n");
    await Bun.sleep(10);
    api.engine.attachment.push("stdout", "x");
    api.engine.attachment.finish();
    expect(await client.all()).toBe("\x01\0\0\0\0\0\0\x01x");
  });

  test("input that ends leaves a container whose stdin stays open for others", async () => {
    api.engine.records = [containerRecord(1, { config: { OpenStdin: true } })];
    using client = await RawClient.connect(api.socket);
    client.send(`POST /containers/c1/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n${upgrade}\r\nhi`).finish();
    await client.all();
    expect(api.engine.attachment).toMatchObject({ received: ["hi"], inputEnded: false, disposed: true });
  });

  test("a client that disappears is detached", async () => {
    const client = await RawClient.connect(api.socket);
    client.send(`POST /containers/c1/attach?stream=1&stdout=1 HTTP/1.1\r\n${upgrade}\r\n`);
    await client.take("\r\n\r\n");
    client.socket.destroy();
    await Bun.sleep(5);
    for (let tries = 0; tries < 100 && !api.engine.attachment.disposed; tries++) {
      api.engine.attachment.push("stdout", "x".repeat(1000));
      await Bun.sleep(5);
    }
    expect(api.engine.attachment.disposed).toBe(true);
    expect(api.logged).toEqual([]);
  });

  test("the detach keys leave a terminal; what looked like them is passed on", async () => {
    api.engine.records = [containerRecord(1, { config: { Tty: true, OpenStdin: true } })];
    api.engine.attachment = new FakeAttachment(true);
    using client = await RawClient.connect(api.socket);
    client.send(`POST /containers/c1/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n${upgrade}\r\n`);
    expect(await client.take("\r\n\r\n")).toContain("vnd.docker.raw-stream");
    client.send("ab\x10c\x10");
    await Bun.sleep(5);
    client.send("\x11ignored");
    expect(await client.all()).toBe("");
    expect(api.engine.attachment.received.join("")).toBe("ab\x10c");
    expect(api.engine.attachment.left).toBe(true);
    expect(api.engine.attachment.disposed).toBe(true);
  });

  test("exec: create, start, inspect, resize", async () => {
    const body = {
      Cmd: ["sh", "-c", "x"],
      AttachStdin: true,
      AttachStdout: true,
      Tty: false,
      Env: ["A=b"],
      User: "1",
    };
    expect((await api.post("/containers/c1/exec", body)).json).toEqual({ Id: "e1" });
    using client = await RawClient.connect(api.socket);
    const start = '{"Detach":false,"Tty":false}';
    client.send(
      `POST /v1.45/exec/e1/start HTTP/1.1\r\n${upgrade}Content-Type: application/json\r\nContent-Length: ${start.length}\r\n\r\n${start}input`,
    );
    expect(await client.take("\r\n\r\n")).toStartWith("HTTP/1.1 101 UPGRADED");
    api.engine.attachment.push("stdout", "out");
    await client.take("out");
    client.finish();
    while (!api.engine.attachment.inputEnded) await Bun.sleep(1);
    expect(api.engine.attachment.received).toEqual(["input"]);
    api.engine.attachment.finish();
    await client.all();
    expect((await api.post("/exec/e1/resize?h=24&w=80")).status).toBe(200);
    expect(api.engine.asked).toEqual([
      ["startExec", "e1", { detach: false, consoleSize: undefined }],
      ["resizeExec", "e1", { height: 24, width: 80 }],
    ]);
    expect((await api.get("/exec/e1/json")).json).toMatchObject({
      ID: "e1",
      Running: false,
      ExitCode: null,
      ProcessConfig: { entrypoint: "sh", arguments: ["-c", "x"], user: "1" },
    });
  });

  test("a detached exec answers when it runs; one without a command is refused", async () => {
    await api.post("/containers/c1/exec", { Cmd: ["true"] });
    const { status, body } = await api.post("/exec/e1/start", { Detach: true });
    expect([status, body]).toEqual([200, ""]);
    expect((await api.post("/containers/c1/exec", {})).json.message).toBe("No exec command specified");
  });

  test("an exec that cannot start says so in its stream", async () => {
    await api.post("/containers/c1/exec", { Cmd: ["nosuch"] });
    api.engine.startExecFault = new Fault("invalid", "exec failed: nosuch: not found");
    using client = await RawClient.connect(api.socket);
    client.send(
      `POST /exec/e1/start HTTP/1.1\r\n${upgrade}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
    );
    await client.take("\r\n\r\n");
    expect(await client.all()).toBe("\x01\0\0\0\0\0\0\x20exec failed: nosuch: not found\r\n");
  });
});
