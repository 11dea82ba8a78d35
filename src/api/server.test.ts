import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { BuildRequest } from "#build/builder.ts";
import type { BuildMessage } from "#build/messages.ts";
import { Fault } from "#spec/fault.ts";
import { containerRecord, EngineDouble, FakeAttachment, imageDetail } from "./engine-double.ts";
import { type ApiServer, serveApi } from "./server.ts";
import { RawClient, temporaryDirectory } from "./test-client.ts";

let directory: AsyncDisposable & { path: string };
let server: ApiServer;
let socket: string;
const engine = new EngineDouble();
let build: (request: BuildRequest) => AsyncIterable<BuildMessage>;
const logged: string[] = [];

beforeAll(async () => {
  directory = await temporaryDirectory();
  socket = join(directory.path, "api.sock");
  server = await serveApi({
    engine,
    builder: { build: (request) => build(request) },
    hosts: [`unix://${socket}`],
    version: "0.1.0",
    gitCommit: "abc",
    buildTime: "2026-11-24T00:00:00Z",
    log: (line) => logged.push(line),
  });
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

beforeEach(() => {
  engine.reset();
  logged.length = 0;
});

interface Answer {
  status: number;
  headers: Headers;
  body: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers of any shape
  json: any;
}

async function ask(
  method: string,
  target: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`http://engine${target}`, {
    unix: socket,
    method,
    redirect: "manual",
    headers: {
      ...(body !== undefined && typeof body !== "string" && { "Content-Type": "application/json" }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: response.status, headers: response.headers, body: text, json };
}

const get = (target: string): Promise<Answer> => ask("GET", target);
const post = (target: string, body?: unknown): Promise<Answer> => ask("POST", target, body);

describe("every answer", () => {
  test("a ping says who answers", async () => {
    for (const target of ["/_ping", "/v1.22/_ping", "/v1.50/_ping"]) {
      const { status, headers, body } = await get(target);
      expect([status, body]).toEqual([200, "OK"]);
      expect(headers.get("api-version")).toBe("1.50");
      expect(headers.get("ostype")).toBe("linux");
      expect(headers.get("docker-experimental")).toBe("false");
      expect(headers.get("builder-version")).toBe("1");
      expect(headers.get("swarm")).toBe("inactive");
      expect(headers.get("server")).toBe("Wherry/0.1.0 (linux)");
    }
    expect((await ask("HEAD", "/_ping")).headers.get("swarm")).toBe("inactive");
  });

  test.each([
    ["/v1.99/info", "client version 1.99 is too new. Maximum supported API version is 1.50"],
    ["/v2.0/info", "client version 2.0 is too new. Maximum supported API version is 1.50"],
    [
      "/v1.21/info",
      "client version 1.21 is too old. Minimum supported API version is 1.22, please upgrade your client to a newer version",
    ],
  ])("%s is refused", async (target, message) => {
    const { status, json } = await get(target);
    expect([status, json]).toEqual([400, { message }]);
  });

  test.each([
    ["GET", "/nope"],
    ["GET", "/v1.50/nope"],
    ["PUT", "/info"],
    ["POST", "/containers/json"],
    ["GET", "/"],
  ])("%s %s is not found", async (method, target) => {
    const { status, json } = await ask(method, target);
    expect([status, json]).toEqual([404, { message: "page not found" }]);
  });

  test("a path that is not clean is redirected", async () => {
    using client = await RawClient.connect(socket);
    client.send("GET /v1.45/../info?x=1 HTTP/1.1\r\n\r\n");
    const head = await client.take("\r\n\r\n");
    expect(head).toStartWith("HTTP/1.1 301 ");
    expect(head).toContain("Location: /info?x=1\r\n");
    client.send("GET /images//json HTTP/1.1\r\nConnection: close\r\n\r\n");
    expect(await client.all()).toContain("Location: /images/json\r\n");
  });

  test("a bad escape is refused", async () => {
    using client = await RawClient.connect(socket);
    client.send("GET /images/%zz/json HTTP/1.1\r\nConnection: close\r\n\r\n");
    expect(await client.all()).toStartWith("HTTP/1.1 400 ");
  });

  test.each([
    ["GET", "/containers/c1/stats", 501, "container statistics is not supported"],
    ["POST", "/networks/create", 501, "networks of your own"],
    ["POST", "/swarm/init", 501, "swarm init"],
    ["GET", "/services", 503, "This node is not a swarm manager."],
    ["GET", "/services/x", 503, "This node is not a swarm manager."],
    ["GET", "/plugins/x/json", 404, 'plugin "x" not found'],
    ["POST", "/auth", 501, "registry"],
  ])("%s %s: %p, by name", async (method, target, status, message) => {
    const answer = await ask(method, target);
    expect(answer.status).toBe(status);
    expect(answer.json.message).toContain(message);
  });

  test("a failure nobody foresaw is 500 without a stack, which goes to the log", async () => {
    engine.records = [containerRecord(1, { observed: { startedAt: "2026-11-24T10:00:00Z" } })];
    engine.sandboxes = { [containerRecord(1).id]: { ports: [], endpoints: undefined } as never };
    const { status, json } = await get("/containers/c1/json");
    expect(status).toBe(500);
    expect(json.message).not.toContain("at ");
    expect(logged.join()).toContain("GET /containers/c1/json");
    expect(logged.join()).toContain("at ");
  });

  test("version and info have what the docker CLI shows", async () => {
    const version = (await get("/version")).json;
    expect(version).toMatchObject({
      Version: "0.1.0",
      ApiVersion: "1.50",
      MinAPIVersion: "1.22",
      Arch: "amd64",
    });
    engine.records = [containerRecord(1), containerRecord(2, { observed: { status: "running" } })];
    const info = (await get("/info")).json;
    expect(info).toMatchObject({
      Containers: 2,
      ContainersRunning: 1,
      ContainersStopped: 1,
      Images: 1,
      NCPU: 2,
    });
    expect(info.FirewallBackend).toBeDefined();
    const old = (await get("/v1.40/info")).json;
    expect(old.FirewallBackend).toBeUndefined();
    expect(old.RuncCommit.Expected).toBe("1.8.1");
    expect(old.BridgeNfIptables).toBe(false);
  });
});

describe("create", () => {
  const create = (body: unknown, version = "v1.50", query = ""): Promise<Answer> =>
    post(`/${version}/containers/create${query}`, body);
  // biome-ignore lint/suspicious/noExplicitAny: what the double noted
  const created = (): any => engine.asked.find(([name]) => name === "create")?.[1];

  test("fills in what dockerd fills in", async () => {
    const { status, json } = await create(
      {
        Image: "busybox",
        Cmd: "ls",
        Tty: null,
        HostConfig: { Memory: 67108864, MemorySwappiness: -1, PidsLimit: 0 },
      },
      "v1.50",
      "?name=web&platform=linux/amd64",
    );
    expect([status, json]).toEqual([201, { Id: "new", Warnings: [] }]);
    expect(created()).toEqual({
      name: "web",
      platform: "linux/amd64",
      config: { Image: "busybox", Cmd: ["ls"] },
      endpoints: {},
      host: {
        Memory: 67108864,
        MemorySwap: 134217728,
        NetworkMode: "bridge",
        LogConfig: { Type: "json-file", Config: {} },
        RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
        CgroupnsMode: "private",
        IpcMode: "private",
        ShmSize: 67108864,
        PortBindings: {},
      },
    });
  });

  test("takes what the docker CLI sends when nothing is asked for", async () => {
    const { status } = await create({
      Hostname: "",
      Domainname: "",
      User: "",
      AttachStdin: false,
      AttachStdout: true,
      AttachStderr: true,
      Tty: false,
      OpenStdin: false,
      StdinOnce: false,
      Env: [],
      Cmd: ["true"],
      Image: "busybox",
      Volumes: {},
      WorkingDir: "",
      Entrypoint: null,
      OnBuild: null,
      Labels: {},
      HostConfig: {
        Binds: null,
        ContainerIDFile: "",
        LogConfig: { Type: "", Config: {} },
        NetworkMode: "default",
        PortBindings: {},
        RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
        AutoRemove: false,
        VolumeDriver: "",
        VolumesFrom: null,
        ConsoleSize: [24, 80],
        CapAdd: null,
        Dns: [],
        IpcMode: "",
        Cgroup: "",
        Links: null,
        PidMode: "",
        Privileged: false,
        UTSMode: "",
        UsernsMode: "",
        ShmSize: 0,
        Isolation: "",
        BlkioWeightDevice: [],
        BlkioDeviceReadBps: [],
        Devices: [],
        DeviceRequests: null,
        MemorySwappiness: -1,
        OomKillDisable: false,
        PidsLimit: 0,
        Ulimits: [],
        CpuCount: 0,
        CpuPercent: 0,
        IOMaximumIOps: 0,
        MaskedPaths: null,
        ReadonlyPaths: null,
        Init: null,
      },
      NetworkingConfig: { EndpointsConfig: {} },
    });
    expect(status).toBe(201);
    expect(created().host.NetworkMode).toBe("bridge");
  });

  test("an empty list of bindings publishes on a free port", async () => {
    await create({
      Image: "busybox",
      HostConfig: { PortBindings: { "80/tcp": [], "81/tcp": null, "82/tcp": [{ HostPort: "8082" }] } },
    });
    const { PortBindings } = created().host;
    expect(PortBindings).toEqual({
      "80/tcp": [{ HostIp: "", HostPort: "" }],
      "81/tcp": [{ HostIp: "", HostPort: "" }],
      "82/tcp": [{ HostIp: "", HostPort: "8082" }],
    });
  });

  test("a container-wide MAC address goes to the endpoint, with a warning since 1.44", async () => {
    const { json } = await create({ Image: "busybox", MacAddress: "02:42:ac:11:00:99" });
    expect(created().endpoints).toEqual({ bridge: { MacAddress: "02:42:ac:11:00:99" } });
    expect(json.Warnings[0]).toContain("MacAddress field is now deprecated");
    expect(
      (await create({ Image: "busybox", MacAddress: "02:42:ac:11:00:99" }, "v1.43")).json.Warnings,
    ).toEqual([]);
  });

  test("older versions know less and take more for granted", async () => {
    await create({ Image: "busybox", HostConfig: { Annotations: { a: "b" }, ConsoleSize: [1, 2] } }, "v1.39");
    expect(created().host.IpcMode).toBe("shareable");
    expect(created().host.Annotations).toBeUndefined();
    expect(created().host.ConsoleSize).toBeUndefined();
  });

  test.each([
    ["an empty body", {}, 400, "config cannot be empty in order to create a container"],
    ["a missing image", { Image: "nosuch" }, 404, "No such image: nosuch"],
    ["a wrong type", { Image: 1 }, 400, "Image must be string, not 1"],
    [
      "a wrong type inside",
      { Image: "x", HostConfig: { Memory: "1g" } },
      400,
      "HostConfig.Memory must be number",
    ],
    [
      "a wrong choice",
      { Image: "x", HostConfig: { RestartPolicy: { Name: "maybe" } } },
      400,
      "unless-stopped",
    ],
    ["a list", [], 400, "invalid JSON"],
    [
      "too little memory",
      { Image: "x", HostConfig: { Memory: 4096 } },
      400,
      "Minimum memory limit allowed is 6MB",
    ],
    [
      "too many CPUs",
      { Image: "x", HostConfig: { NanoCpus: 3e9 } },
      400,
      "range of CPUs is from 0.01 to 2.00",
    ],
    ["a relative directory", { Image: "x", WorkingDir: "a" }, 400, "needs to be an absolute path"],
    [
      "--rm with a restart policy",
      { Image: "x", HostConfig: { AutoRemove: true, RestartPolicy: { Name: "always" } } },
      400,
      "can't create 'AutoRemove' container with restart policy",
    ],
    [
      "stray mount options",
      { Image: "x", HostConfig: { Mounts: [{ Type: "tmpfs", Target: "/t", BindOptions: {} }] } },
      400,
      'BindOptions must not be specified on mount type "tmpfs"',
    ],
    [
      "a bind without a source",
      { Image: "x", HostConfig: { Mounts: [{ Type: "bind", Target: "/t" }] } },
      400,
      "Source must not be empty",
    ],
    ["--init", { Image: "x", HostConfig: { Init: true } }, 501, "HostConfig.Init cannot be honoured"],
    ["links", { Image: "x", HostConfig: { Links: ["a:b"] } }, 501, "HostConfig.Links cannot be honoured"],
    [
      "another log driver",
      { Image: "x", HostConfig: { LogConfig: { Type: "syslog" } } },
      501,
      "HostConfig.LogConfig",
    ],
    [
      "log options",
      { Image: "x", HostConfig: { LogConfig: { Config: { "max-size": "1m" } } } },
      501,
      "LogConfig",
    ],
    [
      "a health check",
      { Image: "x", Healthcheck: { Test: ["CMD", "true"] } },
      501,
      "Healthcheck cannot be honoured",
    ],
    ["an old field", { Image: "x", HostConfig: { KernelMemory: 1 } }, 501, "KernelMemory cannot be honoured"],
    ["volumes of another", { Image: "x", HostConfig: { VolumesFrom: ["a"] } }, 501, "VolumesFrom"],
    [
      "an address on the default bridge",
      {
        Image: "x",
        NetworkingConfig: { EndpointsConfig: { bridge: { IPAMConfig: { IPv4Address: "1.2.3.4" } } } },
      },
      501,
      "user defined networks only",
    ],
  ])("%s is refused", async (_name, body, status, message) => {
    const answer = await create(body);
    expect(answer.json.message).toContain(message);
    expect(answer.status).toBe(status);
    expect(engine.asked).toEqual([]);
  });

  test("no health check is not a health check", async () => {
    expect((await create({ Image: "busybox", Healthcheck: { Test: ["NONE"] } })).status).toBe(201);
  });

  test.each([
    ["bad JSON", "{bad", { "Content-Type": "application/json" }, "invalid JSON: "],
    ["text after JSON", '{"Image":"x"} {}', { "Content-Type": "application/json" }, "invalid JSON"],
    [
      "a form",
      "{}",
      { "Content-Type": "application/x-www-form-urlencoded" },
      "unsupported Content-Type header (application/x-www-form-urlencoded): must be 'application/json'",
    ],
    [
      "blanks",
      "  ",
      { "Content-Type": "application/json" },
      "invalid JSON: got EOF while reading request body",
    ],
  ])("%s is refused", async (_name, body, headers, message) => {
    const answer = await ask("POST", "/v1.50/containers/create", body, headers);
    expect(answer.status).toBe(400);
    expect(answer.json.message).toStartWith(message);
  });

  test("a huge body is refused", async () => {
    const answer = await create({ Image: "x", Env: [`A=${"x".repeat(5 * 1024 * 1024)}`] });
    expect([answer.status, answer.json.message]).toEqual([400, expect.stringContaining("larger than")]);
  });
});

describe("changes", () => {
  beforeEach(() => {
    engine.records = [containerRecord(1)];
  });

  test("start and stop say whether anything changed", async () => {
    expect((await post("/containers/c1/start")).status).toBe(204);
    expect((await post("/containers/c1/stop?t=3&signal=INT")).status).toBe(204);
    expect(engine.asked).toEqual([["stop", 3, "INT"]]);
    engine.changes = false;
    expect((await post("/containers/c1/start")).status).toBe(304);
    expect((await post("/v1.41/containers/c1/stop?signal=INT")).status).toBe(304);
    expect(engine.asked.at(-1)).toEqual(["stop", undefined, undefined]);
  });

  test("a host config with the start is refused", async () => {
    const { status, json } = await post("/v1.23/containers/c1/start", { Binds: ["/a:/b"] });
    expect([status, json.message]).toEqual([400, expect.stringContaining("removed in v1.24")]);
    expect((await post("/v1.23/containers/c1/start", {})).status).toBe(204);
  });

  test("kill, pause, unpause, restart, rename, remove", async () => {
    expect((await post("/containers/c1/kill?signal=HUP")).status).toBe(204);
    expect((await post("/containers/c1/pause")).status).toBe(204);
    expect((await post("/containers/c1/unpause")).status).toBe(204);
    expect((await post("/containers/c1/restart?t=1")).status).toBe(204);
    expect((await post("/containers/c1/rename?name=new")).status).toBe(204);
    expect((await ask("DELETE", "/containers/c1?force=1&v=true")).status).toBe(204);
    expect(engine.asked).toEqual([
      ["kill", "c1", "HUP"],
      ["pause", "c1"],
      ["unpause", "c1"],
      ["restart", "c1"],
      ["rename", "c1", "new"],
      ["remove", "c1", true, true],
    ]);
  });

  test.each([
    ["POST", "/containers/zz/start", "No such container: zz"],
    ["POST", "/containers/zz/kill", "cannot kill container: zz: No such container: zz"],
    ["GET", "/containers/zz/json", "No such container: zz"],
    ["GET", "/containers/zz/logs?stdout=1", "No such container: zz"],
    ["POST", "/containers/zz/wait", "No such container: zz"],
    ["POST", "/containers/zz/attach", "No such container: zz"],
    ["GET", "/exec/zz/json", "No such exec instance: zz"],
    ["GET", "/networks/zz", "network zz not found"],
    ["GET", "/volumes/zz", "get zz: no such volume"],
  ])("%s %s: not found", async (method, target, message) => {
    const { status, json } = await ask(method, target);
    expect([status, json]).toEqual([404, { message }]);
  });

  test.each([
    ["POST", "/containers/c1/stop?t=soon", "invalid value"],
    ["POST", "/containers/c1/wait?condition=zz", 'invalid condition: "zz"'],
    ["POST", "/containers/c1/resize?h=a&w=1", "invalid"],
    ["POST", "/containers/c1/resize", "invalid resize height"],
    ["GET", "/containers/c1/logs", "you must choose at least one stream"],
    ["GET", "/containers/c1/logs?stdout=1&since=x", 'invalid value for "since"'],
    ["GET", "/containers/json?limit=x", "invalid value"],
    ["GET", "/containers/json?filters=bad", "invalid filter"],
    ["GET", "/containers/json?filters=%7B%22zz%22:%5B%22x%22%5D%7D", "invalid filter 'zz'"],
    ["POST", "/containers/c1/attach?detachKeys=ctrl-%25", "Invalid detach keys"],
    ["GET", "/events?since=x", 'invalid value for "since"'],
  ])("%s %s: bad request", async (method, target, message) => {
    const { status, json } = await ask(method, target);
    expect(json.message).toContain(message);
    expect(status).toBe(400);
  });

  test("prune removes what does not run, by age and label", async () => {
    engine.records = [
      containerRecord(1, { observed: { status: "exited" }, config: { Labels: { keep: "1" } } }),
      containerRecord(2, { observed: { status: "running" } }),
      containerRecord(3, { observed: { status: "exited" } }),
    ];
    const all = { ContainersDeleted: [engine.records[0]!.id, engine.records[2]!.id], SpaceReclaimed: 20 };
    expect((await post("/containers/prune")).json).toEqual(all);
    const filters = (value: object): string => `?filters=${encodeURIComponent(JSON.stringify(value))}`;
    const kept = await post(`/containers/prune${filters({ "label!": ["keep"] })}`);
    expect(kept.json.ContainersDeleted).toEqual([engine.records[2]!.id]);
    const young = await post(`/containers/prune${filters({ until: ["2020-01-01T00:00:00Z"] })}`);
    expect(young.json.ContainersDeleted).toBeNull();
  });
});

describe("streams", () => {
  const upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n";

  beforeEach(() => {
    engine.records = [containerRecord(1, { config: { StdinOnce: true, OpenStdin: true } })];
  });

  test("wait says at once that it waits, then the exit code", async () => {
    using client = await RawClient.connect(socket);
    client.send("POST /v1.45/containers/c1/wait?condition=next-exit HTTP/1.1\r\n\r\n");
    expect(await client.take("\r\n\r\n")).toContain("Transfer-Encoding: chunked");
    expect(engine.asked).toEqual([["wait", "next-exit"]]);
    engine.exit.resolve({ exitCode: 3 });
    expect(await client.take("\r\n0\r\n\r\n")).toContain('{"StatusCode":3}\n');
  });

  test("wait before 1.30 answers when it is over, with a length", async () => {
    engine.exit.resolve({ exitCode: 0 });
    const { headers, json } = await post("/v1.29/containers/c1/wait?condition=removed");
    expect(headers.get("content-length")).toBe("17");
    expect(json).toEqual({ StatusCode: 0 });
    expect(engine.asked).toEqual([["wait", "not-running"]]);
  });

  test("a wait that fails says so in the answer", async () => {
    const answer = post("/containers/c1/wait");
    while (engine.asked.length === 0) await Bun.sleep(1);
    engine.exit.reject(new Fault("internal", "lost it"));
    expect((await answer).json).toEqual({
      StatusCode: -1,
      Error: { Message: "lost it" },
    });
  });

  test("logs are framed, or bare from a terminal", async () => {
    engine.logLines = [
      { stream: "stdout", timeNano: 1_700_000_000_000_000_001n, bytes: Buffer.from("out\n") },
      { stream: "stderr", timeNano: 1_700_000_001_000_000_000n, bytes: Buffer.from("err\n") },
    ];
    const framed = await get("/containers/c1/logs?stdout=1&stderr=1&tail=5&since=10.5");
    expect(framed.headers.get("content-type")).toBe("application/vnd.docker.multiplexed-stream");
    expect(framed.body).toBe("\x01\0\0\0\0\0\0\x04out\n\x02\0\0\0\0\0\0\x04err\n");
    expect(engine.asked[0]![1]).toMatchObject({
      stdout: true,
      follow: false,
      tail: 5,
      since: 10_500_000_000n,
    });
    const dated = await get("/v1.41/containers/c1/logs?stdout=1&timestamps=1&tail=all");
    expect(dated.headers.get("content-type")).toBe("application/vnd.docker.raw-stream");
    expect(dated.body).toContain("\0\0\0\x232023-11-14T22:13:20.000000001Z out\n");
    engine.records = [containerRecord(1, { config: { Tty: true } })];
    const bare = await get("/containers/c1/logs?stdout=1&timestamps=1");
    expect(bare.headers.get("content-type")).toBe("application/vnd.docker.raw-stream");
    expect(bare.body).toStartWith("2023-11-14T22:13:20.000000001Z out\n");
  });

  test("attach carries both ways; the end of input closes stdin, the end of output closes the connection", async () => {
    using client = await RawClient.connect(socket);
    client.send(
      `POST /v1.45/containers/c1/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\n${upgrade}\r\nearly`,
    );
    const head = await client.take("\r\n\r\n");
    expect(head).toStartWith(
      "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n",
    );
    engine.attachment.push("stdout", "hello");
    await client.take("\x01\0\0\0\0\0\0\x05hello");
    client.send(" and late").finish();
    while (!engine.attachment.inputEnded) await Bun.sleep(1);
    expect(engine.attachment.received.join("")).toBe("early and late");
    engine.attachment.push("stderr", "bye");
    engine.attachment.finish();
    expect(await client.all()).toBe("\x02\0\0\0\0\0\0\x03bye");
    expect(engine.attachment.disposed).toBe(true);
  });

  test("attach without Upgrade and before 1.42 is a raw stream by name, still in frames", async () => {
    using client = await RawClient.connect(socket);
    client.send("POST /v1.41/containers/c1/attach?stream=1&stdout=1 HTTP/1.1\r\n\r\n");
    expect(await client.take("\r\n\r\n")).toStartWith(
      "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n",
    );
    engine.attachment.push("stdout", "x");
    await client.take("\x01\0\0\0\0\0\0\x01x");
  });

  test("a client that disappears is detached", async () => {
    const client = await RawClient.connect(socket);
    client.send(`POST /containers/c1/attach?stream=1&stdout=1 HTTP/1.1\r\n${upgrade}\r\n`);
    await client.take("\r\n\r\n");
    client.socket.destroy();
    await Bun.sleep(5);
    for (let tries = 0; tries < 100 && !engine.attachment.disposed; tries++) {
      engine.attachment.push("stdout", "x".repeat(1000));
      await Bun.sleep(5);
    }
    expect(engine.attachment.disposed).toBe(true);
    expect(logged).toEqual([]);
  });

  test("the detach keys leave a terminal; what looked like them is passed on", async () => {
    engine.records = [containerRecord(1, { config: { Tty: true, OpenStdin: true } })];
    engine.attachment = new FakeAttachment(true);
    using client = await RawClient.connect(socket);
    client.send(`POST /containers/c1/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n${upgrade}\r\n`);
    expect(await client.take("\r\n\r\n")).toContain("vnd.docker.raw-stream");
    client.send("ab\x10c\x10");
    await Bun.sleep(5);
    client.send("\x11ignored");
    expect(await client.all()).toBe("");
    expect(engine.attachment.received.join("")).toBe("ab\x10c");
    expect(engine.attachment.disposed).toBe(true);
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
    expect((await post("/containers/c1/exec", body)).json).toEqual({ Id: "e1" });
    using client = await RawClient.connect(socket);
    const start = '{"Detach":false,"Tty":false}';
    client.send(
      `POST /v1.45/exec/e1/start HTTP/1.1\r\n${upgrade}Content-Type: application/json\r\nContent-Length: ${start.length}\r\n\r\n${start}input`,
    );
    expect(await client.take("\r\n\r\n")).toStartWith("HTTP/1.1 101 UPGRADED");
    engine.attachment.push("stdout", "out");
    await client.take("out");
    client.finish();
    while (!engine.attachment.inputEnded) await Bun.sleep(1);
    expect(engine.attachment.received).toEqual(["input"]);
    engine.attachment.finish();
    await client.all();
    expect((await post("/exec/e1/resize?h=24&w=80")).status).toBe(200);
    expect(engine.asked).toEqual([
      ["startExec", "e1", { detach: false, tty: false, consoleSize: undefined }],
      ["resizeExec", "e1", { height: 24, width: 80 }],
    ]);
    expect((await get("/exec/e1/json")).json).toMatchObject({
      ID: "e1",
      Running: false,
      ExitCode: null,
      ProcessConfig: { entrypoint: "sh", arguments: ["-c", "x"], user: "1" },
    });
  });

  test("a detached exec answers when it runs; one without a command is refused", async () => {
    await post("/containers/c1/exec", { Cmd: ["true"] });
    const { status, body } = await post("/exec/e1/start", { Detach: true });
    expect([status, body]).toEqual([200, ""]);
    expect((await post("/containers/c1/exec", {})).json.message).toBe("No exec command specified");
  });

  test("an exec that cannot start says so in its stream", async () => {
    await post("/containers/c1/exec", { Cmd: ["nosuch"] });
    engine.startExecFault = new Fault("invalid", "exec failed: nosuch: not found");
    using client = await RawClient.connect(socket);
    client.send(
      `POST /exec/e1/start HTTP/1.1\r\n${upgrade}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
    );
    await client.take("\r\n\r\n");
    expect(await client.all()).toBe("\x01\0\0\0\0\0\0\x20exec failed: nosuch: not found\r\n");
  });
});

describe("images", () => {
  test("names with slashes, ports and tags are one name", async () => {
    for (const name of ["a/b/c:1", "host:5000/a/b@sha256:0", "json/json", "history"])
      await get(`/images/${name}/json`);
    await get("/images/a%2Fb/json");
    expect(engine.asked.map(([, ref]) => ref)).toEqual([
      "a/b/c:1",
      "host:5000/a/b@sha256:0",
      "json/json",
      "history",
      "a/b",
    ]);
  });

  test("are listed and inspected for the version asked", async () => {
    const [entry] = (await get("/images/json")).json;
    expect(entry).toMatchObject({
      RepoTags: ["busybox:latest"],
      Created: 1795510800,
      Size: 1234,
      SharedSize: -1,
    });
    expect(entry.RepoDigests).toHaveLength(1);
    expect(entry.VirtualSize).toBeUndefined();
    expect((await get("/v1.43/images/json")).json[0].VirtualSize).toBe(1234);
    engine.images_ = [{ ...imageDetail, references: [] }];
    expect((await get("/v1.42/images/json")).json[0].RepoTags).toEqual(["<none>:<none>"]);
    expect((await get("/images/json")).json[0].RepoTags).toEqual([]);
    const inspect = (await get("/images/busybox/json")).json;
    expect(inspect.Config.Hostname).toBeUndefined();
    expect((await get("/v1.49/images/busybox/json")).json.Config.Hostname).toBe("");
    expect((await get("/v1.44/images/busybox/json")).json.ContainerConfig).toBeDefined();
  });

  test("history, tag, remove", async () => {
    expect((await get("/images/busybox/history")).json[1]).toMatchObject({
      Id: "<missing>",
      Tags: null,
      Size: 7,
    });
    expect((await post("/images/busybox/tag?repo=other/x&tag=v2")).status).toBe(201);
    expect((await post("/images/busybox/tag?repo=UPPER")).json.message).toContain("must be lowercase");
    expect((await ask("DELETE", "/images/a/b:c?force=1")).json).toEqual([
      { Untagged: "busybox:latest" },
      { Deleted: expect.any(String) },
    ]);
    expect(engine.asked).toEqual([
      ["tag", "busybox", "other/x:v2"],
      ["rmi", "a/b:c", { force: true, noPrune: false }],
    ]);
  });

  test("import streams its body to the engine", async () => {
    const target = "/images/create?fromSrc=-&repo=base&tag=1&changes=CMD%20sh&changes=ENV%20a%3Db";
    expect((await ask("POST", target, "x".repeat(500_000))).json).toEqual({ status: imageDetail.record.id });
    expect(engine.asked).toEqual([["import", 500_000, "base:1", ["CMD sh", "ENV a=b"], "Imported from -"]]);
  });

  test("a pull is refused with the way out", async () => {
    const { status, json } = await post("/images/create?fromImage=alpine&tag=3");
    expect([status, json.message]).toEqual([501, expect.stringContaining("cannot pull alpine")]);
  });

  test("prune spares what has a name or a container", async () => {
    expect((await post("/images/prune")).json.ImagesDeleted).toBeNull();
    const filters = encodeURIComponent('{"dangling":["false"]}');
    expect((await post(`/images/prune?filters=${filters}`)).json.SpaceReclaimed).toBe(2468);
    engine.records = [containerRecord(1)];
    expect((await post(`/images/prune?filters=${filters}`)).json.ImagesDeleted).toBeNull();
  });
});

describe("build", () => {
  test("parameters reach the builder, messages come as lines", async () => {
    let seen: BuildRequest | undefined;
    let context = 0;
    build = async function* (request) {
      seen = request;
      for await (const chunk of request.context) context += chunk.length;
      yield { stream: "Step 1/1 : FROM scratch\n" };
      yield { aux: { ID: "sha256:1" } };
      yield { errorDetail: { code: 3, message: "no" }, error: "no" };
    };
    const query = new URLSearchParams({
      dockerfile: "D",
      buildargs: '{"A":"1","B":null}',
      labels: '{"l":"v"}',
      nocache: "1",
      rm: "1",
      memory: "0",
      cpuquota: "5000",
      networkmode: "default",
      target: "t",
      ulimits: "null",
      cachefrom: "[]",
      version: "1",
    });
    query.append("t", "a:1");
    query.append("t", "b");
    const answer = await ask("POST", `/v1.45/build?${query}`, "tar".repeat(100_000), {
      "X-Registry-Config": "e30=",
      "Content-Type": "application/x-tar",
    });
    expect(answer.status).toBe(200);
    expect(answer.body.split("\r\n")).toEqual([
      '{"stream":"Step 1/1 : FROM scratch\\n"}',
      '{"aux":{"ID":"sha256:1"}}',
      '{"errorDetail":{"code":3,"message":"no"},"error":"no"}',
      "",
    ]);
    expect(context).toBe(300_000);
    expect(seen).toMatchObject({
      dockerfile: "D",
      tags: ["a:1", "b"],
      buildArgs: { A: "1", B: null },
      labels: { l: "v" },
      noCache: true,
      remove: true,
      target: "t",
      networkMode: undefined,
      host: { CpuQuota: 5000 },
    });
  });

  test("what is wrong before the first message is a status; what breaks later is a message", async () => {
    // biome-ignore lint/correctness/useYield: it fails first
    build = async function* () {
      throw new Fault("invalid", "Dockerfile parse error on line 2: unknown instruction: FORM");
    };
    const early = await post("/build");
    expect([early.status, early.json.message]).toEqual([400, expect.stringContaining("line 2")]);
    build = async function* () {
      yield { stream: "begun" };
      throw new Fault("internal", "the disk is full");
    };
    expect((await post("/build")).body).toContain(
      '{"errorDetail":{"message":"the disk is full"},"error":"the disk is full"}',
    );
  });

  test.each([
    ["?buildargs=x", 400, "error reading build args"],
    ["?labels=%7B%22a%22:1%7D", 400, "error reading labels"],
    ["?version=2", 501, "BuildKit"],
    ["?squash=1", 400, "experimental"],
    ["?securityopt=x", 400, "security options"],
    ["?memory=lots", 400, "invalid value"],
  ])("%s is refused", async (query, status, message) => {
    const answer = await post(`/build${query}`);
    expect([answer.status, answer.json.message]).toEqual([status, expect.stringContaining(message)]);
  });

  test("a client that leaves cancels its build", async () => {
    const cancelled = Promise.withResolvers<void>();
    build = async function* ({ signal }) {
      yield { stream: "begun" };
      signal.addEventListener("abort", () => cancelled.resolve());
      await cancelled.promise;
      throw new Fault("cancelled", "gone");
    };
    const client = await RawClient.connect(socket);
    client.send("POST /build HTTP/1.1\r\n\r\n");
    await client.take("begun");
    client.socket.destroy();
    await cancelled.promise;
  });
});

describe("networks and volumes", () => {
  test("networks are listed with filters, inspected with who is on them", async () => {
    const filters = (value: object): string => `?filters=${encodeURIComponent(JSON.stringify(value))}`;
    expect((await get("/networks")).json.map(({ Name }: { Name: string }) => Name)).toEqual(["bridge"]);
    expect((await get(`/networks${filters({ driver: ["host"] })}`)).json).toEqual([]);
    expect((await get(`/networks/${filters({ type: ["custom"] })}`)).json).toEqual([]);
    const record = containerRecord(1, { observed: { status: "running" } });
    engine.records = [record];
    const endpoint = {
      networkId: "n".repeat(64),
      networkName: "bridge",
      endpointId: "e",
      ipAddress: "172.17.0.2",
      prefixLength: 16,
      gateway: "172.17.0.1",
      macAddress: "02:42:ac:11:00:02",
      interfaceName: "eth0",
    };
    engine.sandboxes = { [record.id]: { endpoints: [endpoint], ports: [] } };
    expect((await get("/networks/bridge")).json.Containers).toEqual({
      [record.id]: {
        Name: "c1",
        EndpointID: "e",
        MacAddress: "02:42:ac:11:00:02",
        IPv4Address: "172.17.0.2/16",
        IPv6Address: "",
      },
    });
    expect((await ask("DELETE", "/networks/bridge")).status).toBe(403);
    expect((await post("/networks/prune")).json).toEqual({ NetworksDeleted: null });
  });

  test("volumes are made, shown, pruned", async () => {
    const made = await post("/volumes/create", { Name: "v", Labels: { a: "b" } });
    expect([made.status, made.json]).toEqual([
      201,
      expect.objectContaining({ Name: "v", Mountpoint: "/v/v", Options: null }),
    ]);
    expect((await post("/volumes/create", {})).json.Name).toBe("anonymous");
    expect((await get("/volumes")).json.Volumes).toHaveLength(2);
    expect((await get("/volumes/v")).json.Labels).toEqual({ a: "b" });
    expect((await post("/volumes/prune")).json.VolumesDeleted).toEqual([]);
    expect((await post("/v1.41/volumes/prune")).json.VolumesDeleted).toEqual(["v", "anonymous"]);
    expect((await ask("DELETE", "/volumes/v?force=1")).status).toBe(204);
  });
});

describe("events", () => {
  const event = (timeNano: bigint, action: string, type: "container" | "image" = "container") => ({
    type,
    action,
    actor: { id: "abc", attributes: { name: "c1", image: "busybox" } },
    timeNano,
  });

  test("of the past, with all digits of their time", async () => {
    engine.past = [event(1_700_000_000_123_456_789n, "create"), event(1_700_000_001_000_000_000n, "start")];
    const { body } = await get("/events?since=1&until=1700000002");
    const [first] = body.split("\n");
    expect(first).toBe(
      '{"status":"create","id":"abc","from":"busybox","Type":"container","Action":"create","Actor":{"ID":"abc","Attributes":{"name":"c1","image":"busybox"}},"scope":"local","time":1700000000,"timeNano":1700000000123456789}',
    );
    const filters = encodeURIComponent('{"event":["start"],"container":["c1"]}');
    expect((await get(`/events?since=1&until=1700000002&filters=${filters}`)).body).toContain(
      '"Action":"start"',
    );
    expect((await get(`/events?since=1&until=1700000002&filters=${filters}`)).body).not.toContain(
      '"Action":"create"',
    );
  });

  test("as they come, the head at once, until the client leaves", async () => {
    using client = await RawClient.connect(socket);
    client.send("GET /v1.45/events HTTP/1.1\r\n\r\n");
    await client.take("\r\n\r\n");
    engine.emit(event(5n, "die"));
    expect(await client.take('"timeNano":5}')).toContain('"Action":"die"');
  });

  test("old clients are not told of images being made", async () => {
    engine.past = [event(1_700_000_000_000_000_000n, "create", "image")];
    expect((await get("/v1.45/events?since=1&until=1700000002")).body).toBe("");
    expect((await get("/v1.46/events?since=1&until=1700000002")).body).not.toBe("");
  });

  test("until a moment to come", async () => {
    const until = Date.now() / 1000 + 0.1;
    expect((await get(`/events?until=${until.toFixed(3)}`)).body).toBe("");
  });
});
