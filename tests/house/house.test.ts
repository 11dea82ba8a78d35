/** The laws of the house. Each says what it keeps; a law that stands in the way is changed here, in a commit of its own. */
import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { root, type SourceFile, sourceFiles } from "./source.ts";

const parts = ["registry", "network", "volume", "runtime", "security", "telemetry"];
const table: Readonly<Record<string, readonly string[]>> = {
  spec: [],
  kernel: ["spec"],
  store: ["spec", "kernel"],
  ...Object.fromEntries(parts.map((part) => [part, ["spec", "kernel", "store"]])),
  engine: ["spec", "store", ...parts],
  build: ["spec", "store", "engine"],
  grpc: ["spec"],
  buildkit: ["spec", "kernel", "store", "build", "grpc"],
  api: ["spec", "engine", "build", "buildkit", "registry", "security", "telemetry"],
  client: ["spec", "grpc"],
  cli: ["spec", "grpc", "client"],
};
const files = sourceFiles();
const product = files.filter(({ isTest }) => !isTest);

function offenders(of: readonly SourceFile[], offence: (file: SourceFile) => string | undefined): string[] {
  return of.flatMap((file) => {
    const found = offence(file);
    return found === undefined ? [] : [`${file.path}: ${found}`];
  });
}

/** Ways that lead from a place back to itself, each once. */
function cycles(places: readonly string[], needs: (place: string) => readonly string[]): string[] {
  const done = new Set<string>();
  const visit = (place: string, trail: readonly string[]): string[] => {
    if (trail.includes(place)) return [[...trail.slice(trail.indexOf(place)), place].join(" > ")];
    if (done.has(place)) return [];
    const found = needs(place).flatMap((each) => visit(each, [...trail, place]));
    done.add(place);
    return found;
  };
  return places.flatMap((place) => visit(place, []));
}

describe("rooms", () => {
  test("are those of the plan", () => {
    const rooms = readdirSync(join(root, "src")).sort();
    expect(rooms.filter((room) => table[room] === undefined && room !== "bin")).toEqual([]);
  });

  test("import only what the table grants", () => {
    const found = offenders(product, ({ room, imports }) => {
      const granted = table[room];
      return imports.find((path) => {
        const other = path.split("/")[1] ?? "";
        return granted !== undefined && other !== room && !granted.includes(other);
      });
    });
    expect(found).toEqual([]);
  });

  test("are reached by their names, not by climbing, and every import leads to a file", () => {
    expect(offenders(files, ({ text }) => /from "\.\.\/[^"]*"/.exec(text)?.[0])).toEqual([]);
    expect(offenders(files, ({ imports }) => imports.find((path) => !existsSync(join(root, path))))).toEqual(
      [],
    );
  });

  test("have floors that lean one way", () => {
    const floorOf = (path: string) =>
      path
        .split("/")
        .slice(0, path.split("/").length > 3 ? 3 : 4)
        .join("/");
    const needs = new Map<string, Set<string>>();
    for (const { path, room, imports } of product)
      for (const other of imports)
        if (other.split("/")[1] === room && floorOf(other) !== floorOf(path))
          needs.set(floorOf(path), (needs.get(floorOf(path)) ?? new Set()).add(floorOf(other)));
    expect(needs.size).toBeGreaterThan(100);
    expect(cycles([...needs.keys()], (floor) => [...(needs.get(floor) ?? [])])).toEqual([]);
  });

  test("have no import cycles", () => {
    const byPath = new Map(files.map((file) => [file.path, file]));
    expect(cycles([...byPath.keys()], (path) => byPath.get(path)?.imports ?? [])).toEqual([]);
  });
});

describe("what belongs in one place stays there", () => {
  const only = (what: RegExp, rooms: readonly string[], of = product) =>
    offenders(of, ({ room, text }) => (rooms.includes(room) ? undefined : what.exec(text)?.[0]));

  test("foreign functions in kernel", () => {
    expect(
      offenders(files, ({ room, packages }) =>
        room === "kernel" ? undefined : packages.find((each) => each === "bun:ffi"),
      ),
    ).toEqual([]);
  });

  test("arguments and environment in bin", () => {
    expect(only(/\bprocess\.(?:env|argv)\b|\bBun\.(?:env|argv)\b/, ["bin"])).toEqual([]);
  });

  test("ending the process in bin", () => {
    expect(only(/\bprocess\.exit\(/, ["bin"])).toEqual([]);
  });

  test("SQLite in store", () => {
    expect(
      offenders(product, ({ room, packages }) =>
        room === "store" ? undefined : packages.find((each) => each === "bun:sqlite"),
      ),
    ).toEqual([]);
  });

  test("spec, client and what calls itself pure do no input and output", () => {
    const outward = /^(?:node:(?:fs|net|http|child_process|dgram|tls|os)|bun:)/;
    const pure = product.filter(({ room, text }) => room === "spec" || /^\/\*\*\s*\*?\s*Pure\./.test(text));
    expect(pure.length).toBeGreaterThan(30);
    expect(offenders(pure, ({ packages }) => packages.find((each) => outward.test(each)))).toEqual([]);
  });

  test("children are never waited for synchronously", () => {
    expect(
      offenders(product, ({ text }) => /\b(?:spawnSync|execSync|execFileSync)\b/.exec(text)?.[0]),
    ).toEqual([]);
  });
});

describe("files", () => {
  test("say in their name what they hold", () => {
    const vague = /^(?:utils?|helpers?|common|shared|misc|types|index|stuff|manager)\.ts$/;
    expect(files.map(({ path }) => path).filter((path) => vague.test(basename(path)))).toEqual([]);
    expect(files.map(({ path }) => path).filter((path) => !/^[a-z0-9.-]+$/.test(basename(path)))).toEqual([]);
  });

  test("have at most 500 lines", () => {
    expect(
      offenders([...files, ...sourceFiles("tests")], ({ text }) =>
        text.split("\n").length > 501 ? `${text.split("\n").length} lines` : undefined,
      ),
    ).toEqual([]);
  });

  test("say what they are before they export anything", () => {
    const found = offenders(product, ({ text }) => {
      const [before = ""] = text.split(/^export /m, 1);
      return before.includes("/**") ? undefined : "no word of what it is";
    });
    expect(found).toEqual([]);
  });

  test("hold no skipped or lonely tests", () => {
    const marks = /\b(?:test|describe)\.(?:only|todo)\b/;
    expect(
      offenders(
        [...files, ...sourceFiles("tests")].filter(({ path }) => !path.startsWith("tests/house/")),
        ({ text }) => marks.exec(text)?.[0],
      ),
    ).toEqual([]);
  });

  test("name no machine and no package host", () => {
    for (const place of ["package-lock.json", "tests/sdk/package-lock.json"])
      expect(readFileSync(join(root, place), "utf8")).not.toContain('"resolved"');
  });

  test("leave nothing behind that is not text", () => {
    const empty = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
      .map((name) => join(root, "src", name))
      .filter((path) => statSync(path).isFile() && (statSync(path).size === 0 || !path.endsWith(".ts")));
    expect(empty).toEqual([]);
  });
});
