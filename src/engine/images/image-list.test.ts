import { describe, expect, test } from "bun:test";
import { parseDigest } from "#spec/digest.ts";
import type { Filters } from "#spec/filters.ts";
import { type ImageDetail, listImages } from "./image-list.ts";

const hex = `sha256:${"a".repeat(64)}`;

function image(number: number, references: readonly string[], labels: Record<string, string>): ImageDetail {
  const created = `2026-01-0${number}T00:00:00Z`;
  return {
    record: {
      id: parseDigest(`sha256:${String(number).repeat(64)}`),
      created,
      sizeBytes: 1,
      intermediate: false,
    },
    config: {
      os: "linux",
      architecture: "amd64",
      config: { Labels: labels },
      rootfs: { type: "layers", diff_ids: [] },
      history: [],
    },
    references,
  };
}
const images = [
  image(3, ["x/app:3", "host.example:5000/x/app:3"], { all: "y", is: "3" }),
  image(2, ["x/app:2", `x/app@${hex}`], { all: "y", is: "2" }),
  image(1, ["x/app:1", "x/other:9"], { all: "y", is: "1" }),
  image(4, [], {}),
];
const createdOf = (name: string) =>
  images.find(({ references }) => references.includes(name))?.record.created ?? "";
const list = (filters: Filters) =>
  listImages({ images, all: false, parents: new Set(), variants: new Set(), createdOf }, filters).map(
    ({ references }) => references.join(" "),
  );

describe("filters, as Docker 26 answers them", () => {
  const cases: [Filters, string[]][] = [
    [{ reference: ["x/app"] }, ["x/app:3", `x/app:2 x/app@${hex}`, "x/app:1"]],
    [{ reference: ["x/*"] }, ["x/app:3", `x/app:2 x/app@${hex}`, "x/app:1 x/other:9"]],
    [{ reference: ["x/*:2"] }, ["x/app:2"]],
    [{ reference: ["*/app:[12]"] }, ["x/app:2", "x/app:1"]],
    [{ reference: ["host.example:5000/x/app"] }, ["host.example:5000/x/app:3"]],
    [{ reference: ["x/app:1", "x/app:2"] }, ["x/app:2", "x/app:1"]],
    [{ reference: ["app"] }, []],
    [{ reference: ["x*"] }, []],
    [{ reference: ["**"] }, []],
    [{ before: ["x/app:2"] }, ["x/app:1 x/other:9"]],
    [{ since: ["x/app:1"], before: ["x/app:3"] }, [`x/app:2 x/app@${hex}`]],
    [{ label: ["all=y", "is=1"] }, ["x/app:1 x/other:9"]],
    [{ dangling: ["true"] }, [""]],
    [{ dangling: ["false"], label: ["is=3"] }, ["x/app:3 host.example:5000/x/app:3"]],
  ];
  for (const [filters, expected] of cases)
    test(JSON.stringify(filters), () => expect(list(filters)).toEqual(expected));

  test("a pattern that is none", () =>
    expect(() => list({ reference: ["["] })).toThrow("syntax error in pattern"));
});
