import { describe, expect, test } from "bun:test";
import type { ContainerRecord } from "#spec/container.ts";
import { linkNames, linkVariables, parseLink } from "./links.ts";

const record = {
  id: "79fe898b763c".padEnd(64, "0") as ContainerRecord["id"],
  name: "my-db",
  config: {
    Hostname: "79fe898b763c",
    ExposedPorts: { "5432/tcp": {}, "80/udp": {}, "100-101/tcp": {} },
    Env: ["PW=x", "PATH=/bin", "LANG=C", "UNSET"],
  },
};

test.each([
  ["db:alias", { reference: "db", alias: "alias" }],
  ["db", { reference: "db", alias: "db" }],
  ["/db:/web/alias", { reference: "db", alias: "alias" }],
])("%s", (text, link) => expect(parseLink(text)).toEqual(link));

test.each([
  ["", "empty string specified for links"],
  ["a:b:c", "bad format for links: a:b:c"],
])("%j is refused", (text, message) => expect(() => parseLink(text)).toThrow(message));

describe("what docker 26 writes", () => {
  test("variables", () => {
    expect(linkVariables("web", { alias: "my-db", record, address: "172.17.0.2" })).toEqual([
      "MY_DB_NAME=/web/my-db",
      "MY_DB_PORT=udp://172.17.0.2:80",
      "MY_DB_PORT_100_TCP_START=tcp://172.17.0.2:100",
      "MY_DB_PORT_100_TCP_PORT_START=100",
      "MY_DB_PORT_100_TCP_END=tcp://172.17.0.2:101",
      "MY_DB_PORT_100_TCP_PORT_END=101",
      "MY_DB_PORT_80_UDP=udp://172.17.0.2:80",
      "MY_DB_PORT_80_UDP_ADDR=172.17.0.2",
      "MY_DB_PORT_80_UDP_PORT=80",
      "MY_DB_PORT_80_UDP_PROTO=udp",
      ...[100, 101, 5432].flatMap((port) => [
        `MY_DB_PORT_${port}_TCP=tcp://172.17.0.2:${port}`,
        `MY_DB_PORT_${port}_TCP_ADDR=172.17.0.2`,
        `MY_DB_PORT_${port}_TCP_PORT=${port}`,
        `MY_DB_PORT_${port}_TCP_PROTO=tcp`,
      ]),
      "MY_DB_ENV_PW=x",
      "MY_DB_ENV_LANG=C",
    ]);
  });

  test("names in the hosts file, each once", () => {
    expect(linkNames({ alias: "db", record })).toBe("db 79fe898b763c my-db");
    expect(linkNames({ alias: "my-db", record })).toBe("my-db 79fe898b763c");
  });
});
