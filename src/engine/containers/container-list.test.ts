import { expect, test } from "bun:test";
import type { ContainerRecord } from "#spec/container.ts";
import type { Filters } from "#spec/filters.ts";
import { listContainers } from "./container-list.ts";

const web = container("web", { status: "running", created: "2026-01-03", labels: { tier: "front" } });
const db = container("db", { status: "exited", created: "2026-01-02", exitCode: 3 });
const fresh = container("fresh", { status: "created", created: "2026-01-01", run: 0 });
const step = {
  ...container("step", { status: "running", created: "2026-01-04" }),
  purpose: "build" as const,
};

function container(
  name: string,
  o: { status: string; created: string; exitCode?: number; labels?: Record<string, string>; run?: number },
): ContainerRecord {
  return {
    id: `${name}0000`,
    name,
    created: o.created,
    image: { reference: "i", id: "sha256:1" },
    config: { Labels: o.labels ?? {}, ExposedPorts: { "80/tcp": {} } },
    host: {},
    mounts: [{ type: "volume", name: "data", destination: "/data", source: "/x" }],
    observed: { status: o.status, exitCode: o.exitCode ?? 0 },
    run: o.run ?? 1,
  } as unknown as ContainerRecord;
}

const look = {
  container: (name: string) => [web, db, fresh].find((each) => each.name === name) ?? web,
  lineage: (reference: string) => (reference === "i" ? ["sha256:1"] : []),
  imageLineage: () => ["sha256:1", "sha256:0"],
  networks: () => [{ id: "abc", name: "bridge" }],
  ports: () => [{ protocol: "tcp" as const, containerPort: 80, hostIp: "0.0.0.0", hostPort: 8080 }],
};

function names(filters: Filters, o: { all?: boolean; limit?: number } = {}): string[] {
  const options = { all: o.all ?? true, limit: o.limit, filters };
  return listContainers([step, web, db, fresh], options, look).map(({ name }) => name);
}

test("lists only what is up, unless asked for more, and never a build's step", () => {
  expect(names({}, { all: false })).toEqual(["web"]);
  expect(names({})).toEqual(["web", "db", "fresh"]);
  expect(names({}, { all: false, limit: 2 })).toEqual(["web", "db"]);
});

const cases: [Filters, string[]][] = [
  [{ status: ["exited", "created"] }, ["db", "fresh"]],
  [{ exited: ["0"] }, []],
  [{ exited: ["3"] }, ["db"]],
  [{ name: ["^/we"] }, ["web"]],
  [{ id: ["db"] }, ["db"]],
  [{ label: ["tier=front"] }, ["web"]],
  [{ before: ["web"] }, ["db", "fresh"]],
  [{ since: ["fresh"] }, ["web", "db"]],
  [{ ancestor: ["i"] }, ["web", "db", "fresh"]],
  [{ ancestor: ["nothing"] }, []],
  [{ volume: ["/data"], name: ["db"] }, ["db"]],
  [{ network: ["host"] }, []],
  [{ publish: ["8000-9000"], name: ["web"] }, ["web"]],
  [{ publish: ["8080/udp"] }, []],
  [{ expose: ["80"], name: ["web"] }, ["web"]],
];
for (const [filters, expected] of cases)
  test(`${JSON.stringify(filters)} shows ${expected.join(", ") || "nothing"}`, () => {
    expect(names(filters)).toEqual(expected);
  });

test("a value that cannot be is refused by name", () => {
  expect(() => names({ status: ["asleep"] })).toThrow("asleep");
  expect(() => names({ exited: ["x"] })).toThrow("exited=x");
  expect(() => names({ publish: ["http"] })).toThrow("http");
});
