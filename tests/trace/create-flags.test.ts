/**
 * `run`'s and `create`'s flags against what the docker CLI 28 sends for them: `create-flags.txt` has a command line behind
 * `$`, then each field of the body that differs from a plain `create busybox`, or the refusal behind `!`.
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createFlags } from "#cli/flags/create-flags.ts";
import { createRequest } from "#cli/flags/create-request.ts";
import { parseFlags } from "#cli/flags/flags.ts";
import { parseKeyValueFile } from "#cli/flags/key-value-file.ts";
import { securityOptions } from "#cli/flags/security-flags.ts";
import { Fault } from "#spec/fault.ts";

const env: Readonly<Record<string, string>> = { HOME: "/root" };
const files: Readonly<Record<string, string>> = {
  "e.env": "\ufeffA=1\n# not this\n  B=two words \nHOME\nNOPE\n\n",
  "l.lab": "l1=1\nl2\n",
  "bad.env": "A B=1\n",
  "sec.json": '{ "defaultAction" : "SCMP_ACT_ALLOW" }',
  "bad.json": "{",
};

/** Words as a shell takes them apart: quotes of both kinds. */
function words(line: string): string[] {
  return [...line.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map(([word]) =>
    word.replace(/"([^"]*)"|'([^']*)'/g, (_, double, single) => double ?? single),
  );
}

function fileOf(name: string): string {
  const text = files[name];
  if (text === undefined) throw Object.assign(new Error("missing"), { code: "ENOENT" });
  return text;
}

async function body(line: string): Promise<unknown> {
  const { flags, rest } = parseFlags(words(line), createFlags, { interspersed: false });
  const [image = "", ...command] = rest;
  const lines = (name: string, lookUp: (key: string) => string | undefined) =>
    flags.list(name).flatMap((file) => parseKeyValueFile(Buffer.from(fileOf(file)), file, lookUp));
  return createRequest(flags, {
    ...{ image, command, env, cwd: "/here", attach: ["stdout", "stderr"] },
    fileEnv: lines("env-file", (key) => env[key]),
    fileLabels: lines("label-file", () => undefined),
    security: await securityOptions(flags.list("security-opt"), async (path) => fileOf(path)),
  });
}

function isZero(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.values(value).every(isZero);
  return value === undefined || value === null || value === "" || value === 0 || value === false;
}

function flatten(value: unknown, path = "", into: Record<string, string> = {}): Record<string, string> {
  if (typeof value === "object" && value !== null && !Array.isArray(value))
    for (const [key, each] of Object.entries(value))
      flatten(each, path === "" ? key : `${path}.${key}`, into);
  else if (Array.isArray(value) || !isZero(value)) into[path] = JSON.stringify(value);
  return into;
}

async function observed(line: string, plain: Readonly<Record<string, string>>): Promise<string[]> {
  try {
    const fields = flatten(await body(line));
    return Object.entries(fields)
      .filter(([path, value]) => plain[path] !== value)
      .map(([path, value]) => `${path} = ${value}`)
      .sort();
  } catch (thrown) {
    return [`! ${Fault.from(thrown).message}`];
  }
}

const path = join(import.meta.dir, "create-flags.txt");
const cases = readFileSync(path, "utf8")
  .split(/^\$ /m)
  .slice(1)
  .map((each) => each.trimEnd().split("\n"));
const plain = flatten(await body("busybox"));

test("there are cases, each once", () => {
  expect(cases.length).toBeGreaterThan(90);
  expect(new Set(cases.map(([line]) => line)).size).toBe(cases.length);
});

for (const [line = "", ...wanted] of cases)
  test(`create ${line}`, async () => {
    const seen = (await observed(line, plain)).map((each) => each.trimEnd());
    expect(seen).toEqual(wanted.filter((each) => each !== ""));
  });
