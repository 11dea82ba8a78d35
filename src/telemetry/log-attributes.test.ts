import { expect, test } from "bun:test";
import { chosenAttributes, detailsText, type LogSource, logTag } from "./log-attributes.ts";

const source = (options: Record<string, string>): LogSource =>
  ({
    id: "0123456789abcdef".repeat(4),
    name: "web",
    created: "2026-01-01T00:00:00Z",
    image: { reference: "busybox:latest", id: `sha256:${"a".repeat(64)}` },
    config: {
      Labels: { a: "1", bc: "2&", other: "x" },
      Env: ["X=y z", "PATH=/bin", "EMPTY="],
      Cmd: ["sh", "-c"],
    },
    host: { LogConfig: { Type: "json-file", Config: options } },
  }) as unknown as LogSource;

test("labels and variables are chosen by name and by expression", () => {
  const options = { labels: "a,none", "labels-regex": "^b", env: "X", "env-regex": "(?i)^empty$" };
  expect([...chosenAttributes(source(options))]).toEqual([
    ["a", "1"],
    ["bc", "2&"],
    ["X", "y z"],
    ["EMPTY", ""],
  ]);
  expect([...chosenAttributes(source({ labels: "a" }), (name) => `_${name}`)]).toEqual([["_a", "1"]]);
});

test("details are sorted and escaped, the tag among them when one was asked for", () => {
  const options = { labels: "a", "labels-regex": "^b", env: "X", tag: "{{.Name}}/{{.ID}}" };
  expect(detailsText(source(options))).toBe("X=y+z,a=1,bc=2%26,tag=web%2F0123456789ab");
  expect(detailsText(source({}))).toBe("");
});

test("a tag is what its template makes", () => {
  expect(logTag(source({}))).toBe("0123456789ab");
  expect(
    logTag(
      source({
        tag: '{{.ImageName}} {{.ImageID}} {{upper .Name}} {{index .ContainerLabels "a"}} {{.Command}}',
      }),
    ),
  ).toBe("busybox:latest sha256:aaaaa WEB 1 sh -c");
});
