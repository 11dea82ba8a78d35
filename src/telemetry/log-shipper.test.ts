import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatagramReceiver } from "#kernel/sockets/datagram-fixture.ts";
import type { ContainerRecord } from "#spec/container.ts";
import { until } from "#spec/until-fixture.ts";
import { logRoute } from "./log-drivers.ts";
import { makeLogFiles } from "./log-files.ts";
import type { LogMessage } from "./log-message.ts";
import { LogReader } from "./log-reader.ts";
import type { LogRoute } from "./log-receiver.ts";
import { LogShipper } from "./log-shipper.ts";
import { Logs } from "./logs.ts";
import { testLogs, testMachine } from "./logs-fixture.ts";

let directory: string;
let path: string;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "wherry-shipper-"));
  path = join(directory, "log");
  makeLogFiles(path);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const record = (text: string, tag = "F", stream = "stdout") =>
  `2026-01-01T00:00:01.000000007+00:00 ${stream} ${tag} ${text}\n`;

/** A receiver that can be told to fail; what it got, in order. */
class Receiver {
  readonly got: string[] = [];
  down = false;
  connects = 0;
  readonly route: LogRoute = {
    connectsAtStart: true,
    retryMs: 1,
    connect: async () => {
      this.connects++;
      if (this.down) throw new Error("down");
      return {
        send: async (messages: readonly LogMessage[]) => {
          if (this.down) throw new Error("down");
          this.got.push(...messages.map(({ line }) => Buffer.from(line).toString()));
        },
        [Symbol.dispose]: () => undefined,
      };
    },
  };
}

function shipper(receiver: Receiver, o: Partial<LogRoute> = {}, reported: string[] = []): LogShipper {
  return new LogShipper({
    path,
    route: { ...receiver.route, ...o },
    read: (read) => new LogReader(path, read),
    newId: () => "id",
    report: (fault) => reported.push(fault.message),
  });
}

test("lines go in order, once, over runs and restarts of the engine", async () => {
  const receiver = new Receiver();
  const first = shipper(receiver);
  await first.connect(new AbortController().signal);
  first.begin();
  appendFileSync(path, record("one") + record("tw", "P"));
  await until(() => receiver.got.length === 1);
  await first.stop();
  appendFileSync(path, record("o") + record("three"));
  const second = shipper(receiver);
  second.begin();
  await until(() => receiver.got.length === 3);
  second.finish();
  // A run that begins while the one before is on its way.
  second.begin();
  appendFileSync(path, record("four") + record("five", "P"));
  second.finish();
  await second.done;
  expect(receiver.got).toEqual(["one", "two", "three", "four", "five"]);
  const third = shipper(receiver);
  third.finish();
  await third.done;
  expect(receiver.got).toHaveLength(5);
});

test("while the receiver is away lines wait, also in files that are closed meanwhile", async () => {
  const receiver = new Receiver();
  receiver.down = true;
  const reported: string[] = [];
  const shipping = shipper(receiver, {}, reported);
  shipping.begin();
  appendFileSync(path, record("one"));
  await until(() => receiver.connects > 2);
  expect(shipping.isFailing).toBe(true);
  await shipping.stop();
  appendFileSync(path, record("two"));
  writeFileSync(`${path}.tmp`, "");
  renameSync(`${path}.tmp`, path);
  appendFileSync(path, record("three"));
  receiver.down = false;
  const again = shipper(receiver);
  again.finish();
  await again.done;
  expect(receiver.got).toEqual(["one", "two", "three"]);
  expect(reported).toHaveLength(1);
  expect(reported[0]).toContain("waits for its receiver: down");
});

test("after as many attempts as were asked for, lines are given up, and it is said", async () => {
  const receiver = new Receiver();
  receiver.down = true;
  const reported: string[] = [];
  const shipping = shipper(receiver, { attemptsMax: 3 }, reported);
  appendFileSync(path, record("one"));
  shipping.finish();
  await shipping.done;
  expect(receiver.connects).toBe(3);
  expect(reported.at(-1)).toContain("gave up 1 lines: down");
});

test("a receiver that takes nothing holds up nobody who wants to leave", async () => {
  const held: Socket[] = [];
  const server = createServer((socket) => void held.push(socket.pause()));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const container = {
    id: "0123456789abcdef".repeat(4),
    name: "web",
    image: { reference: "busybox", id: "sha256:x" },
    config: {},
    host: { LogConfig: { Type: "syslog", Config: { "syslog-address": `tcp://127.0.0.1:${port}` } } },
  } as unknown as ContainerRecord;
  appendFileSync(path, record("x".repeat(8000)).repeat(2000));
  const route = logRoute(container, testMachine);
  const shipping = shipper(new Receiver(), route);
  shipping.begin();
  await until(() => held.length > 0);
  await Bun.sleep(50);
  expect(shipping.isWorking).toBe(true);
  await shipping.stop();
  for (const socket of held) socket.destroy();
  server.close();
});

test("a log that cannot be brought within its limits is told of, and holds up nobody", async () => {
  const reported: string[] = [];
  await using logs = new Logs({ machine: testMachine, report: ({ message }) => void reported.push(message) });
  appendFileSync(path, record("one"));
  renameSync(`${path}.tmp`, path);
  const container = {
    host: { LogConfig: { Type: "json-file", Config: { "max-size": "1k", "max-file": "2" } } },
  };
  mkdirSync(`${path}.0`);
  await logs.settle(container as unknown as ContainerRecord, path);
  expect(reported).toHaveLength(1);
});

test("a place that cannot be read is none: everything kept is shipped", async () => {
  writeFileSync(`${path}.shipped`, "{broken");
  appendFileSync(path, record("one"));
  const receiver = new Receiver();
  const shipping = shipper(receiver);
  shipping.finish();
  await shipping.done;
  expect(receiver.got).toEqual(["one"]);
  expect(JSON.parse(readFileSync(`${path}.shipped`, "utf8"))).toEqual({
    number: 1,
    offset: record("one").length,
  });
});

test("journald gets entries in its own protocol", async () => {
  const socket = join(directory, "journal");
  const container = {
    id: "0123456789abcdef".repeat(4),
    name: "web",
    created: "",
    image: { reference: "busybox", id: "sha256:x" },
    config: { Labels: { "com.team": "blue", ___: "nameless", message: "not the line" } },
    host: { LogConfig: { Type: "journald", Config: { labels: "com.team,___,message", tag: "{{.Name}}" } } },
  } as unknown as ContainerRecord;
  const { signal } = new AbortController();
  await using logs = testLogs({ journalSocket: socket });
  expect(logs.open(container, path, signal)).rejects.toThrow(
    "failed to initialize logging driver: journald is not enabled on this host",
  );
  using receiver = new DatagramReceiver(socket);
  await logs.open(container, path, signal);
  logs.keep(container, path, async () => undefined);
  appendFileSync(path, record("one") + record("two", "F", "stderr") + record("x".repeat(20_000)));
  const entries: string[] = [];
  await until(() => {
    for (let entry = receiver.receive(); entry !== undefined; entry = receiver.receive())
      entries.push(entry.toString());
    return entries.length === 4;
  });
  const fields = entries.map((entry) =>
    Object.fromEntries(
      entry
        .trimEnd()
        .split("\n")
        .map((line) => [line.split("=", 1)[0], line.slice(line.indexOf("=") + 1)]),
    ),
  );
  expect(fields[0]).toMatchObject({
    PRIORITY: "6",
    MESSAGE: "one",
    CONTAINER_ID: "0123456789ab",
    CONTAINER_NAME: "web",
    CONTAINER_TAG: "web",
    SYSLOG_IDENTIFIER: "web",
    IMAGE_NAME: "busybox",
    COM_TEAM: "blue",
    SYSLOG_TIMESTAMP: "2026-01-01T00:00:01.000000007Z",
    CONTAINER_LOG_ORDINAL: "1",
  });
  expect(fields[1]).toMatchObject({ PRIORITY: "3", MESSAGE: "two" });
  expect(fields[2]).toMatchObject({ CONTAINER_PARTIAL_MESSAGE: "true", CONTAINER_PARTIAL_ORDINAL: "1" });
  expect(fields[3]).toMatchObject({ CONTAINER_PARTIAL_LAST: "true", CONTAINER_PARTIAL_ORDINAL: "2" });
  await logs.settle(container, path);
  await logs.forget(path);
});
