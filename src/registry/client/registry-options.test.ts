import { describe, expect, test } from "bun:test";
import { defaultRegistryOptions, endpointsOf, isInsecure, proxyFor } from "./registry-options.ts";

const options = (o: Partial<typeof defaultRegistryOptions>) => ({ ...defaultRegistryOptions, ...o });

describe("where a registry's repositories are", () => {
  test("Docker's registry answers elsewhere than it is called", () => {
    expect(endpointsOf("docker.io", defaultRegistryOptions)).toEqual([
      { host: "registry-1.docker.io", path: "", scheme: "https", insecure: false, isMirror: false },
    ]);
  });

  test("mirrors come first, each for its registry", () => {
    const mirrors = ["https://one.example/path/", "ghcr.io=http://two:5000"];
    const hosts = (domain: string) =>
      endpointsOf(domain, options({ mirrors })).map(({ host, path }) => host + path);
    expect(hosts("docker.io")).toEqual(["one.example/path", "registry-1.docker.io"]);
    expect(hosts("ghcr.io")).toEqual(["two:5000", "ghcr.io"]);
    expect(hosts("quay.io")).toEqual(["quay.io"]);
  });

  test.each(["ftp://x", "no url", "https://user:pass@x"])("%s is no mirror", (mirror) => {
    expect(() => endpointsOf("docker.io", options({ mirrors: [mirror] }))).toThrow("invalid mirror");
  });
});

test.each([
  ["127.0.0.1:5000", [], true],
  ["127.9.9.9", [], true],
  ["localhost:5000", [], true],
  ["[::1]:5000", [], true],
  ["10.1.2.3:5000", [], false],
  ["10.1.2.3:5000", ["10.0.0.0/8"], true],
  ["11.1.2.3:5000", ["10.0.0.0/8"], false],
  ["my.registry:5000", ["my.registry:5000"], true],
  ["my.registry:5001", ["my.registry:5000"], false],
  ["my.registry:5001", ["my.registry"], true],
  ["127.0.0.1.evil.example", [], false],
])("%s with %p is insecure: %p", (host, list, expected) => {
  expect(isInsecure(host, list)).toBe(expected);
});

test.each([
  ["https://r.example/", "", "http://p:1"],
  ["http://r.example/", "", undefined],
  ["https://r.example/", "example", undefined],
  ["https://r.example/", ".example", undefined],
  ["https://example.org/", "example", "http://p:1"],
  ["https://10.1.1.1/", "a, 10.0.0.0/8", undefined],
  ["https://r.example:444/", "r.example:443", "http://p:1"],
  ["https://r.example/", "*", undefined],
  ["https://127.0.0.1/", "", undefined],
])("%s without %p goes through %p", (url, none, expected) => {
  expect(proxyFor(new URL(url), { https: "p:1", none })).toBe(expected);
});
