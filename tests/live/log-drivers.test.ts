/** Log drivers that send output away: real receivers, their absence, the engine's, and what `logs` still shows. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { Client } from "#client/client.ts";
import { EngineUnderTest } from "./engine-under-test.ts";
import { receiveForward, receiveStream, receiveUdp } from "./log-receivers.ts";
import { until } from "./told.ts";

let engine: EngineUnderTest;
let client: Client;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
  client = await engine.client();
});
afterAll(async () => await engine[Symbol.asyncDispose]());
afterEach(async () => {
  client = await engine.client();
  await engine.removeContainers();
});

async function create(driver: string, options: Record<string, string>, script: string, more = {}) {
  const { Id } = await client.containers.create(
    {
      Image: "busybox",
      Cmd: ["sh", "-c", script],
      HostConfig: { LogConfig: { Type: driver, Config: options } },
      ...more,
    },
    { name: "shipped" },
  );
  return Id;
}

async function ran(driver: string, options: Record<string, string>, script: string, more = {}) {
  const id = await create(driver, options, script, more);
  const { exit } = await client.containers.wait(id, "next-exit");
  await client.containers.start(id);
  await exit;
  return id;
}

async function shown(id: string): Promise<string> {
  const { body } = await client.containers.logs(id, {});
  const parts: Uint8Array[] = [];
  for await (const part of body) parts.push(Uint8Array.from(part));
  return Buffer.concat(parts).toString();
}

test("syslog over TCP, in RFC 5424; logs show it as well", async () => {
  using receiver = receiveStream(engine.netns);
  const id = await ran(
    "syslog",
    {
      "syslog-address": `tcp://127.0.0.1:${receiver.port}`,
      "syslog-format": "rfc5424micro",
      "syslog-facility": "local0",
      tag: "{{.Name}}",
    },
    "echo one; echo two >&2; printf three",
  );
  await until(() => receiver.text().includes("three\n"), "three lines came");
  const lines = receiver.text().trimEnd().split("\n").sort();
  expect(lines).toHaveLength(3);
  expect(lines.map((line) => line.slice(0, 6))).toEqual(["<131>1", "<134>1", "<134>1"]);
  expect(lines[1]).toMatch(/^<134>1 \d{4}-\d\d-\d\dT\S+\.\d{6}\S+ \S+ shipped \d+ shipped - one$/);
  expect(await shown(id)).toContain("one\n");
  await client.containers.remove(id);
  expect(receiver.text().split("\n")).toHaveLength(4);
});

test("syslog over UDP and over unix sockets", async () => {
  using udp = await receiveUdp(engine.netns);
  await ran("syslog", { "syslog-address": `udp://127.0.0.1:${udp.port}` }, "echo one; echo two");
  await until(() => udp.datagrams.length === 2, "both came");
  expect(udp.datagrams[0]?.toString()).toMatch(
    /^<30>\w{3} [ \d]\d \d\d:\d\d:\d\d [0-9a-f]{12}\[\d+\]: one\n$/,
  );
  await client.containers.remove("shipped");
  const path = join(engine.directory, "syslog.sock");
  using unix = receiveStream(engine.netns, { unix: path });
  await ran("syslog", { "syslog-address": `unix://${path}`, "syslog-format": "rfc3164" }, "echo one");
  await until(() => /: one\n$/.test(unix.text()), "it came");
});

test.skipIf(Bun.which("openssl") === null)(
  "syslog over TLS frames its messages, and trusts whom it was told to",
  async () => {
    const [cert, key] = [join(engine.directory, "cert.pem"), join(engine.directory, "key.pem")];
    spawnSync("openssl", [
      ...[
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
      ],
      ...["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
    ]);
    const tls = { cert: await Bun.file(cert).text(), key: await Bun.file(key).text() };
    using receiver = receiveStream(engine.netns, { tls });
    const address = { "syslog-address": `tcp+tls://127.0.0.1:${receiver.port}`, "syslog-format": "rfc5424" };
    const distrusted = await create("syslog", address, "echo one");
    expect(client.containers.start(distrusted)).rejects.toThrow("failed to initialize logging driver");
    await client.containers.remove(distrusted);
    await ran("syslog", { ...address, "syslog-tls-ca-cert": cert }, "echo one");
    await until(() => receiver.text().endsWith("one\n"), "it came");
    const [length = "", text = ""] = [receiver.text().split(" ", 1)[0], receiver.text().replace(/^\d+ /, "")];
    expect(Number(length)).toBe(Buffer.byteLength(text));
  },
);

test("fluentd gets messages in the forward protocol, with what was chosen to stand beside them", async () => {
  using receiver = receiveForward(engine.netns);
  const id = await ran(
    "fluentd",
    {
      "fluentd-address": `127.0.0.1:${receiver.port}`,
      "fluentd-request-ack": "true",
      tag: "docker.{{.Name}}",
      labels: "team",
      env: "MODE",
    },
    "echo one; echo two >&2; head -c 40000 /dev/zero | tr '\\0' x; echo",
    { Labels: { team: "blue" }, Env: ["MODE=fast"] },
  );
  await until(() => receiver.messages.length >= 5, "all came");
  const [first] = receiver.messages;
  expect(first?.[0]).toBe("docker.shipped");
  const records = receiver.messages.map(([, , record]) => record);
  expect(records.find(({ log }) => log === "one")).toEqual({
    container_id: id,
    container_name: "/shipped",
    source: "stdout",
    log: "one",
    team: "blue",
    MODE: "fast",
  });
  expect(records.find(({ log }) => log === "two")).toMatchObject({ source: "stderr" });
  const parts = records.filter(({ partial_message }) => partial_message === "true");
  expect(
    parts.map(({ log, partial_ordinal, partial_last }) => [log?.length, partial_ordinal, partial_last]),
  ).toEqual([
    [16_384, "1", "false"],
    [16_384, "2", "false"],
    [7232, "3", "true"],
  ]);
});

test("a receiver that is away misses nothing, and neither does one whose engine is killed", async () => {
  using receiver = receiveForward(engine.netns);
  const options = {
    "fluentd-address": `tcp://127.0.0.1:${receiver.port}`,
    "fluentd-retry-wait": "50ms",
    "fluentd-request-ack": "true",
    "cache-max-size": "20k",
    "cache-max-file": "50",
    "cache-compress": "false",
  };
  const id = await create(
    "fluentd",
    options,
    "for part in 1 2 3; do read x; seq ${part}0001 ${part}2000; done",
    {
      OpenStdin: true,
    },
  );
  await client.containers.start(id);
  const say = async () => {
    await using stream = await client.containers.attach(id, { stdin: true });
    await stream.write(Buffer.from("go\n"));
  };
  const logs = () => receiver.messages.map(([, , { log }]) => log);
  await say();
  await until(() => logs().includes("12000"), "the first part came");
  receiver.stop();
  await say();
  await until(() => engine.log.includes("waits for its receiver"), "the second part is written");
  receiver.listen();
  await until(() => logs().includes("22000"), "the second part came");
  receiver.stop();
  await say();
  const log = join(engine.directory, "data/containers", id, "container.log");
  await until(() => readFileSync(log, "latin1").endsWith(" 32000\n"), "the third part is written");
  await engine.stop("SIGKILL");
  await engine.start();
  client = await engine.client();
  receiver.listen();
  await until(() => logs().includes("32000"), "the third part came");
  const wanted = [1, 2, 3].flatMap((part) =>
    Array.from({ length: 2000 }, (_, index) => String(part * 10_000 + index + 1)),
  );
  // In order, each at least once.
  expect([...new Set(logs())]).toEqual(wanted);
  // A few may come twice; not everything does.
  expect(logs().length).toBeLessThan(wanted.length * 2);
});

test("GELF over UDP: compressed, in chunks; over TCP: null-terminated", async () => {
  using udp = await receiveUdp(engine.netns);
  const long = "head -c 9000 /dev/urandom | hexdump -ve '1/1 \"%02x\"'";
  await ran(
    "gelf",
    { "gelf-address": `udp://127.0.0.1:${udp.port}`, tag: "t" },
    `echo one; ${long} | head -c 9000; echo`,
  );
  const whole = () => udp.datagrams.filter(([magic]) => magic === 0x1f);
  const chunks = () => udp.datagrams.filter(([magic]) => magic === 0x1e);
  await until(
    () => whole().length >= 1 && chunks().length > 0 && chunks().length === chunks()[0]?.[11],
    "all came",
  );
  expect(JSON.parse(gunzipSync(whole()[0] ?? Buffer.alloc(0)).toString())).toMatchObject({
    version: "1.1",
    short_message: "one",
    level: 6,
    _container_name: "shipped",
    _image_name: "busybox",
    _tag: "t",
  });
  const body = Buffer.concat(
    chunks()
      .sort((a, b) => (a[10] ?? 0) - (b[10] ?? 0))
      .map((chunk) => chunk.subarray(12)),
  );
  expect(JSON.parse(gunzipSync(body).toString()).short_message).toHaveLength(9000);
  await client.containers.remove("shipped");
  using tcp = receiveStream(engine.netns);
  await ran("gelf", { "gelf-address": `tcp://127.0.0.1:${tcp.port}` }, "echo one; echo two >&2");
  await until(() => tcp.text().split("\0").length === 3, "both came");
  expect(
    tcp
      .text()
      .split("\0")
      .slice(0, 2)
      .map((each) => JSON.parse(each).level)
      .sort(),
  ).toEqual([3, 6]);
});

test("a container does not start without its receiver, in dockerd's words; fluentd-async waits for it", async () => {
  const starts = async (driver: string, options: Record<string, string>): Promise<string> => {
    const id = await create(driver, options, "echo one");
    try {
      await client.containers.start(id);
      return "started";
    } catch (thrown) {
      return (thrown as Error).message;
    } finally {
      await client.containers.remove(id, { force: true });
    }
  };
  const failed = "failed to create task for container: failed to initialize logging driver: ";
  const refused = "dial tcp 127.0.0.1:1: connect: connection refused";
  expect(await starts("fluentd", { "fluentd-address": "127.0.0.1:1" })).toBe(failed + refused);
  expect(await starts("syslog", { "syslog-address": "tcp://127.0.0.1:1" })).toBe(failed + refused);
  expect(await starts("gelf", { "gelf-address": "tcp://127.0.0.1:1" })).toBe(
    `${failed}gelf: cannot connect to GELF endpoint: 127.0.0.1:1 ${refused}`,
  );
  expect(await starts("fluentd", { "fluentd-address": "127.0.0.1:1", "fluentd-async": "true" })).toBe(
    "started",
  );
  if (!existsSync("/run/systemd/journal/socket"))
    expect(await starts("journald", {})).toBe(`${failed}journald is not enabled on this host`);
});

test("what is not kept, and what is not to be read, is not shown", async () => {
  using receiver = receiveStream(engine.netns);
  const options = { "syslog-address": `tcp://127.0.0.1:${receiver.port}`, "cache-disabled": "true" };
  const id = await ran("syslog", options, "echo one");
  expect(client.containers.logs(id, {})).rejects.toThrow(
    "configured logging driver does not support reading",
  );
  await client.containers.remove(id);
  const none = await ran("none", {}, "echo one");
  expect(client.containers.logs(none, {})).rejects.toThrow(
    "configured logging driver does not support reading",
  );
  const inspected = await client.containers.inspect(none);
  expect(inspected.HostConfig.LogConfig).toEqual({ Type: "none", Config: {} });
  expect(inspected.LogPath).toBe("");
  const kept = readdirSync(join(engine.directory, "data/containers", none));
  expect(
    kept.filter(
      (name) => /log/.test(name) && statSync(join(engine.directory, "data/containers", none, name)).size > 0,
    ),
  ).toEqual([]);
  const attached = await engine.cli("wherry", [
    "run",
    "--rm",
    "--log-driver",
    "none",
    "busybox",
    "seq",
    "1",
    "100000",
  ]);
  expect(attached.stdout.length).toBe(588_895);
});

test("a container that is removed at its end has its last lines shipped", async () => {
  using receiver = receiveStream(engine.netns);
  const { code } = await engine.cli("wherry", [
    ...[
      "run",
      "--rm",
      "--log-driver",
      "syslog",
      "--log-opt",
      `syslog-address=tcp://127.0.0.1:${receiver.port}`,
    ],
    ...["busybox", "seq", "1", "5000"],
  ]);
  expect(code).toBe(0);
  await until(() => receiver.text().endsWith(": 5000\n"), "the last came");
  expect(receiver.text().split("\n").length).toBe(5001);
});
