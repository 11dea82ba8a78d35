import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ApiFixture, filterQuery } from "#api/doubles/api-fixture.ts";
import { containerRecord } from "#api/doubles/engine-double.ts";

let api: ApiFixture;

beforeAll(async () => {
  api = await ApiFixture.open();
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(() => api.reset());

describe("create", () => {
  const create = (body: unknown, version = "v1.50", query = "") =>
    api.post(`/${version}/containers/create${query}`, body);
  // biome-ignore lint/suspicious/noExplicitAny: what the double noted
  const created = (): any => api.engine.asked.find(([name]) => name === "create")?.[1];

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
        Runtime: "crun",
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

  test("an empty list of bindings stays one: it publishes nothing", async () => {
    await create({
      Image: "busybox",
      HostConfig: { PortBindings: { "80/tcp": [], "81/tcp": null, "82/tcp": [{ HostPort: "8082" }] } },
    });
    const { PortBindings } = created().host;
    expect(PortBindings).toEqual({
      "80/tcp": [],
      "81/tcp": null,
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
      "Range of CPUs is from 0.01 to 2.00",
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
    [
      "a link in another's network",
      { Image: "x", HostConfig: { Links: ["a:b"], NetworkMode: "container:a" } },
      400,
      "container type networking can't be used with links",
    ],
    [
      "another log driver",
      { Image: "x", HostConfig: { LogConfig: { Type: "nosuch" } } },
      400,
      'plugin "nosuch" not found',
    ],
    [
      "log options",
      { Image: "x", HostConfig: { LogConfig: { Config: { nosuch: "1m" } } } },
      400,
      "unknown log opt 'nosuch' for json-file log driver",
    ],
    [
      "a size of the root",
      { Image: "x", HostConfig: { StorageOpt: { size: "1g" } } },
      501,
      "--storage-opt is supported only for overlay over xfs with 'pquota' mount option",
    ],
    [
      "a link in the host's network",
      { Image: "x", HostConfig: { Links: ["db"], NetworkMode: "host" } },
      400,
      "host type networking can't be used with links",
    ],
  ])("%s is refused", async (_name, body, status, message) => {
    const answer = await create(body);
    expect(answer.json.message).toContain(message);
    expect(answer.status).toBe(status);
    expect(api.engine.asked).toEqual([]);
  });

  test("a start interval is kept since API 1.44, and dropped before", async () => {
    const Healthcheck = { Test: ["CMD", "true"], StartInterval: 2e9 };
    await api.post("/v1.44/containers/create", { Image: "busybox", Healthcheck });
    expect(created().config.Healthcheck).toEqual(Healthcheck);
    api.engine.asked.length = 0;
    await api.post("/v1.43/containers/create", { Image: "busybox", Healthcheck });
    expect(created().config.Healthcheck).toEqual({ Test: ["CMD", "true"] });
  });

  test.each([
    ["Interval", 5, "Interval in Healthcheck cannot be less than 1ms"],
    ["StartInterval", -1, "StartInterval in Healthcheck cannot be less than 1ms"],
    ["Retries", -1, "Retries in Healthcheck cannot be negative"],
  ])("a health check's %s of %p is refused in Docker's words", async (name, value, message) => {
    const answer = await create({ Image: "busybox", Healthcheck: { Test: ["CMD", "true"], [name]: value } });
    expect([answer.status, answer.json.message]).toEqual([400, message]);
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
    const answer = await api.ask("POST", "/v1.50/containers/create", body, headers);
    expect(answer.status).toBe(400);
    expect(answer.json.message).toStartWith(message);
  });

  test("a huge body is refused", async () => {
    const answer = await create({ Image: "x", Env: [`A=${"x".repeat(5 * 1024 * 1024)}`] });
    expect([answer.status, answer.json.message]).toEqual([413, expect.stringContaining("larger than")]);
  });
});

describe("changes", () => {
  beforeEach(() => {
    api.engine.records = [containerRecord(1)];
  });

  test("start and stop say whether anything changed", async () => {
    expect((await api.post("/containers/c1/start")).status).toBe(204);
    expect((await api.post("/containers/c1/stop?t=3&signal=INT")).status).toBe(204);
    expect(api.engine.asked).toEqual([["stop", 3, "INT"]]);
    api.engine.changes = false;
    expect((await api.post("/containers/c1/start")).status).toBe(304);
    expect((await api.post("/v1.41/containers/c1/stop?signal=INT")).status).toBe(304);
    expect(api.engine.asked.at(-1)).toEqual(["stop", undefined, undefined]);
  });

  test("a host config with the start is refused", async () => {
    const { status, json } = await api.post("/v1.23/containers/c1/start", { Binds: ["/a:/b"] });
    expect([status, json.message]).toEqual([400, expect.stringContaining("removed in v1.24")]);
    expect((await api.post("/v1.23/containers/c1/start", {})).status).toBe(204);
  });

  test("kill, pause, unpause, restart, rename, remove", async () => {
    expect((await api.post("/containers/c1/kill?signal=HUP")).status).toBe(204);
    expect((await api.post("/containers/c1/pause")).status).toBe(204);
    expect((await api.post("/containers/c1/unpause")).status).toBe(204);
    expect((await api.post("/containers/c1/restart?t=1")).status).toBe(204);
    expect((await api.post("/containers/c1/rename?name=new")).status).toBe(204);
    expect((await api.ask("DELETE", "/containers/c1?force=1&v=true")).status).toBe(204);
    expect(api.engine.asked).toEqual([
      ["kill", "c1", "HUP"],
      ["pause", "c1"],
      ["unpause", "c1"],
      ["restart", "c1"],
      ["rename", "c1", "new"],
      ["remove", "c1", true, { now: false }],
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
    const { status, json } = await api.ask(method, target);
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
    const { status, json } = await api.ask(method, target);
    expect(json.message).toContain(message);
    expect(status).toBe(400);
  });

  test("prune removes what does not run, by age and label", async () => {
    api.engine.records = [
      containerRecord(1, { observed: { status: "exited" }, config: { Labels: { keep: "1" } } }),
      containerRecord(2, { observed: { status: "running" } }),
      containerRecord(3, { observed: { status: "exited" } }),
    ];
    const all = {
      ContainersDeleted: [api.engine.records[0]!.id, api.engine.records[2]!.id],
      SpaceReclaimed: 20,
    };
    expect((await api.post("/containers/prune")).json).toEqual(all);
    const kept = await api.post(`/containers/prune${filterQuery({ "label!": ["keep"] })}`);
    expect(kept.json.ContainersDeleted).toEqual([api.engine.records[2]!.id]);
    const young = await api.post(`/containers/prune${filterQuery({ until: ["2020-01-01T00:00:00Z"] })}`);
    expect(young.json.ContainersDeleted).toBeNull();
  });
});
