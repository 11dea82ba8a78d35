import { describe, expect, test } from "bun:test";
import { fuzz } from "#spec/fuzz-fixture.ts";
import { parseChallenges, realmFits } from "./challenge.ts";

describe("a challenge", () => {
  test("with quotes, escapes, several schemes", () => {
    const header =
      'Bearer realm="https://a/token?x=1,2",service=reg, scope="repository:a:pull \\"q\\"", Basic realm="b"';
    expect(parseChallenges(header)).toEqual([
      {
        scheme: "bearer",
        parameters: { realm: "https://a/token?x=1,2", service: "reg", scope: 'repository:a:pull "q"' },
      },
      { scheme: "basic", parameters: { realm: "b" } },
    ]);
  });

  test.each([
    "",
    ",,,",
    "=",
    '"',
    "Bearer",
    "Bearer realm",
    'Bearer realm="',
    "a=b",
    "Bearer __proto__=x,realm=y",
  ])("%p does no harm", (header) => {
    for (const { parameters } of parseChallenges(header))
      expect(Object.values(parameters).every((value) => typeof value === "string")).toBe(true);
  });

  test("made up, does no harm; what is meant comes back", () => {
    const words = [
      "Bearer",
      "Basic",
      " ",
      ",",
      "=",
      '"',
      "\\",
      "realm",
      "scope",
      "https://a/t",
      "a",
      "\t",
      "\n",
      "é",
    ];
    fuzz({
      sample: (dice) => dice.text(words, 40),
      check: (header) => {
        for (const { scheme, parameters } of parseChallenges(header)) {
          expect(scheme).toBe(scheme.toLowerCase());
          expect(Object.values(parameters).every((value) => typeof value === "string")).toBe(true);
        }
      },
    });
    fuzz({
      sample: (dice) => ({
        scheme: dice.pick(["bearer", "basic", "x"]),
        realm: dice.text(words, 12),
        scope: dice.text(words, 12),
      }),
      check: ({ scheme, ...parameters }) => {
        const quote = (value: string) => `"${value.replace(/[\\"]/g, "\\$&")}"`;
        const header = `${scheme} realm=${quote(parameters.realm)}, scope=${quote(parameters.scope)}`;
        expect(parseChallenges(header)).toEqual([{ scheme, parameters }]);
      },
    });
  });

  test("however long is read in no time", () => {
    const begin = process.cpuUsage().user;
    parseChallenges(`Bearer ${'a="\\'.repeat(100_000)}`);
    expect(process.cpuUsage().user - begin).toBeLessThan(1_000_000);
  });
});

describe("a realm", () => {
  test.each([
    ["https://auth.docker.io/token", "registry-1.docker.io", true],
    ["https://registry.example/token", "registry.example", true],
    ["https://registry.example:444/token", "registry.example:5000", true],
    ["https://gitlab.corp.example/jwt", "registry.corp.example", true],
    ["https://evil.example/token", "registry.corp.example", false],
    ["https://evil.test/token", "registry.corp.example", false],
    ["https://evil.co.uk/token", "registry.co.uk", false],
    ["https://sso.corp.co.uk/token", "registry.corp.co.uk", true],
    ["https://evil.azurecr.io/token", "mine.azurecr.io", false],
    ["http://registry.example/token", "registry.example", false],
    ["https://10.0.0.2/token", "10.0.0.1", false],
    ["https://10.0.0.1:1/token", "10.0.0.1:2", true],
    ["https://1.2.3.4/token", "9.9.3.4", false],
  ])("%s fits %s: %p", (realm, host, expected) => {
    expect(realmFits(new URL(realm), { host, isPlain: false }, [])).toBe(expected);
  });

  test("plain only for a plain registry, or named", () => {
    const realm = new URL("http://a.test/token");
    expect(realmFits(realm, { host: "a.test", isPlain: true }, [])).toBe(true);
    expect(realmFits(realm, { host: "b.other", isPlain: true }, ["a.test"])).toBe(true);
    expect(realmFits(realm, { host: "b.other", isPlain: false }, ["a.test"])).toBe(false);
  });
});
