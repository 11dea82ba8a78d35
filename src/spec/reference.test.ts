import { describe, expect, test } from "bun:test";
import {
  familiarName,
  familiarReference,
  formatReference,
  parseReference,
  parseTag,
  repositoryName,
  withDefaultTag,
} from "./reference.ts";

const hex64 = "6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";
const sha = `sha256:${hex64}`;

describe("parseReference()", () => {
  const good: [string, string, string][] = [
    ["alpine", "docker.io/library/alpine", "alpine"],
    ["alpine:3", "docker.io/library/alpine:3", "alpine:3"],
    ["library/alpine:3", "docker.io/library/alpine:3", "alpine:3"],
    ["docker.io/alpine", "docker.io/library/alpine", "alpine"],
    ["docker.io/library/alpine", "docker.io/library/alpine", "alpine"],
    ["index.docker.io/alpine", "docker.io/library/alpine", "alpine"],
    ["me/tool", "docker.io/me/tool", "me/tool"],
    ["library/a/b", "docker.io/library/a/b", "library/a/b"],
    ["localhost/tool", "localhost/tool", "localhost/tool"],
    ["localhost:5000/tool:1", "localhost:5000/tool:1", "localhost:5000/tool:1"],
    ["localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"],
    ["registry.test/a/b-c__d.e:1", "registry.test/a/b-c__d.e:1", "registry.test/a/b-c__d.e:1"],
    ["[fd00::1]:5000/tool", "[fd00::1]:5000/tool", "[fd00::1]:5000/tool"],
    ["Host/tool", "Host/tool", "Host/tool"],
    [`alpine@${sha}`, `docker.io/library/alpine@${sha}`, `alpine@${sha}`],
    [`alpine:3@${sha}`, `docker.io/library/alpine:3@${sha}`, `alpine:3@${sha}`],
    ["a--b/c", "docker.io/a--b/c", "a--b/c"],
  ];
  for (const [text, full, familiar] of good)
    test(`normalises ${text}`, () => {
      const reference = parseReference(text);
      expect(formatReference(reference)).toBe(full);
      expect(familiarReference(reference)).toBe(familiar);
      expect(parseReference(full)).toEqual(reference);
    });

  const bad: [string, string][] = [
    ["", "invalid reference format"],
    [":3", "invalid reference format"],
    ["alpine:", "invalid reference format"],
    ["alpine:a b", "invalid reference format"],
    ["-alpine", "invalid reference format"],
    ["a//b", "invalid reference format"],
    ["a_/b", "invalid reference format"],
    ["a..b", "invalid reference format"],
    ["https://registry.test/a", "invalid reference format"],
    [`alpine:${"t".repeat(129)}`, "invalid reference format"],
    ["Alpine", "invalid reference format: repository name (library/Alpine) must be lowercase"],
    ["me/Tool:1", "invalid reference format: repository name (me/Tool) must be lowercase"],
    [hex64, `invalid repository name (${hex64}), cannot specify 64-byte hexadecimal strings`],
    [`alpine@sha256:${"a".repeat(40)}`, "invalid reference format: invalid checksum digest length"],
    [`alpine@md9:${"a".repeat(40)}`, "invalid reference format: unsupported digest algorithm"],
    ["a".repeat(250), "repository name must not be more than 255 characters"],
  ];
  for (const [text, message] of bad)
    test(`refuses ${JSON.stringify(text.slice(0, 60))}`, () => {
      expect(() => parseReference(text)).toThrow(expect.objectContaining({ kind: "invalid", message }));
    });

  test("takes no quadratic time on a hostile name", () => {
    const before = process.cpuUsage().user;
    expect(() => parseReference(`${"a-".repeat(50_000)}!`)).toThrow();
    expect(() => parseReference(`x.y/${"a".repeat(50_000)}!`)).toThrow();
    expect(process.cpuUsage().user - before).toBeLessThan(1_000_000);
  });
});

test("withDefaultTag() adds latest only where neither tag nor digest is given", () => {
  expect(withDefaultTag(parseReference("alpine")).tag).toBe("latest");
  expect(withDefaultTag(parseReference("alpine:3")).tag).toBe("3");
  expect(withDefaultTag(parseReference(`alpine@${sha}`)).tag).toBeUndefined();
});

test("names leave tag and digest out", () => {
  const reference = parseReference(`alpine:3@${sha}`);
  expect(repositoryName(reference)).toBe("docker.io/library/alpine");
  expect(familiarName(reference)).toBe("alpine");
});

test("a familiar name keeps its domain where its path begins like another one", () => {
  for (const name of ["docker.io/a.b/c", "docker.io/localhost/c"])
    expect(familiarName(parseReference(name))).toBe(name);
});

test("parseTag() refuses what cannot be a tag", () => {
  expect(parseTag("v1.0-rc_2")).toBe("v1.0-rc_2");
  for (const text of ["", ".x", "a b", "a:b", "t".repeat(129)])
    expect(() => parseTag(text)).toThrow("invalid tag format");
});
