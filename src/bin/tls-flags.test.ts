import { expect, test } from "bun:test";
import { decideOptions, parseCommandLine, parseConfigFile } from "./daemon-options.ts";

const environment = { HOME: "/home/me" };
const decided = (args: readonly string[], file: object = {}, env: Record<string, string> = environment) =>
  decideOptions(parseCommandLine(args), parseConfigFile(JSON.stringify(file), "daemon.json"), env).tls;
const given = ["--tlscert=/c", "--tlskey=/k", "--tlscacert", "/ca"];

test.each([
  ["nothing said", [], {}, undefined],
  ["files alone are no TLS", given, {}, undefined],
  ["anybody", ["--tls", ...given], {}, { cert: "/c", key: "/k", authority: undefined }],
  ["verified", ["--tlsverify", ...given], {}, { cert: "/c", key: "/k", authority: "/ca" }],
  ["switched off", ["--tlsverify=false"], { tls: false }, undefined],
  [
    "in the file",
    [],
    { tlsverify: true, tlscert: "/c", tlskey: "/k", tlscacert: "/ca" },
    { cert: "/c", key: "/k", authority: "/ca" },
  ],
  [
    "the usual places",
    ["--tlsverify"],
    {},
    {
      cert: "/home/me/.docker/cert.pem",
      key: "/home/me/.docker/key.pem",
      authority: "/home/me/.docker/ca.pem",
    },
  ],
])("%s", (_name, args, file, expected) => {
  expect(decided(args, file)).toEqual(expected);
});

test("the environment says where, and whether clients are verified", () => {
  const env = { DOCKER_CERT_PATH: "/certs", DOCKER_TLS_VERIFY: "1" };
  expect(decided([], {}, env)?.authority).toBe("/certs/ca.pem");
});

test("what is said in both places is refused", () => {
  expect(() => decided(["--tlscert=/c"], { tlscert: "/d" })).toThrow("both as a flag and in");
});
