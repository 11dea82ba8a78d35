import { expect, test } from "bun:test";
import type { ContainerConfig, HostConfig } from "#spec/container.ts";
import * as bounds from "./create-bounds.ts";

const many = (count: number) => Array.from({ length: count }, (_, index) => `v${index}`);
const map = (count: number) => Object.fromEntries(many(count).map((key) => [key, ""]));
const long = (bytes: number) => "x".repeat(bytes);

const cases: [string, ContainerConfig, HostConfig, string][] = [
  ["variables", { Env: many(bounds.variablesMax + 1) }, {}, "Env has 4097 entries; at most 4096 are allowed"],
  ["a variable", { Env: [long(bounds.argumentBytesMax + 1)] }, {}, "an entry of Env has 131073 bytes"],
  [
    "all variables",
    { Env: Array(20).fill(long(bounds.argumentBytesMax)) },
    {},
    "at most 2097152 are allowed",
  ],
  ["a NUL", { Env: ["A=\0"] }, {}, "Env must not hold a NUL"],
  ["words", { Cmd: many(bounds.argumentsMax + 1) }, {}, "Cmd has 4097 entries"],
  [
    "a word",
    { Entrypoint: [long(bounds.argumentBytesMax + 1)] },
    {},
    "an entry of Entrypoint has 131073 bytes",
  ],
  ["labels", { Labels: map(bounds.labelsMax + 1) }, {}, "Labels has 1025 entries; at most 1024 are allowed"],
  ["a label", { Labels: { a: long(bounds.labelBytesMax) } }, {}, "an entry of Labels has 65538 bytes"],
  ["a host name", { Hostname: long(65) }, {}, "is too long (maximum 64 bytes)"],
  ["a name of three bytes a letter", { Hostname: "€".repeat(22) }, {}, "is too long (maximum 64 bytes)"],
  ["a domain", { Domainname: long(65) }, {}, "is too long (maximum 64 bytes)"],
  ["a path", { WorkingDir: `/${long(bounds.pathBytesMax)}` }, {}, "WorkingDir has 4097 bytes; at most 4096"],
  ["mounts of all kinds", { Volumes: {} }, { Binds: many(300), Tmpfs: map(300) }, "mounts has 600 entries"],
  ["a mount", {}, { Binds: [long(9000)] }, "a mount has 9000 bytes"],
  [
    "rules for devices",
    {},
    { DeviceCgroupRules: many(1025) },
    "HostConfig.DeviceCgroupRules has 1025 entries",
  ],
  ["annotations", {}, { Annotations: map(1025) }, "HostConfig.Annotations has 1025 entries"],
];

test.each(cases)("too much: %s", (_what, config, host, message) => {
  expect(() => bounds.checkBounds("web", config, host)).toThrow(message);
});

test("a name", () => {
  expect(() => bounds.checkBounds(long(256), {}, {})).toThrow(
    "the name has 256 bytes; at most 255 are allowed",
  );
});

test("what real containers have is far below", () => {
  const config = { Env: many(500), Cmd: many(200), Labels: map(200), Hostname: long(64) };
  const host = { Binds: many(100), CapAdd: many(40), Ulimits: [{ Name: "nofile", Soft: 1, Hard: 1 }] };
  expect(() => bounds.checkBounds("web", config, host)).not.toThrow();
});
