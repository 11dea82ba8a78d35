import { expect, test } from "bun:test";
import type { ImageSummary } from "#spec/docker-wire.ts";
import { imageRows, imageTree } from "./image-rows.ts";

const digest = `sha256:${"a".repeat(64)}`;
const image: ImageSummary = {
  ...{ Id: `sha256:${"1".repeat(64)}`, ParentId: "", Created: 0, Size: 5_000_000, SharedSize: 2_000_000 },
  ...{ Labels: null, Containers: -1 },
  RepoTags: ["host:5000/a:1", "host:5000/a:2", "b:latest"],
  RepoDigests: [`host:5000/a@${digest}`, `c@${digest}`],
};
const rows = (digests: boolean, given = image) =>
  imageRows(given, { whole: false, digests, nowMs: 0 }).map(({ Repository, Tag, Digest }) => [
    Repository,
    Tag,
    Digest,
  ]);

test("a row for each name, with its repository's digest", () => {
  expect(rows(true)).toEqual([
    ["host:5000/a", "1", digest],
    ["host:5000/a", "2", digest],
    ["b", "latest", "<none>"],
    ["c", "<none>", digest],
  ]);
  expect(rows(false, { ...image, RepoTags: [], RepoDigests: [] })).toEqual([["<none>", "<none>", "<none>"]]);
  expect(rows(false, { ...image, RepoTags: ["<none>:<none>"], RepoDigests: ["<none>@<none>"] })).toHaveLength(
    1,
  );
  expect(imageRows(image, { whole: false, digests: false, nowMs: 0 })[0]).toMatchObject({
    ...{ ID: "111111111111", SharedSize: "2MB", UniqueSize: "3MB", Containers: "N/A" },
  });
});

test("a tree of what names stand for", () => {
  const platform = { os: "linux", architecture: "arm", variant: "v7" };
  const Manifests: NonNullable<ImageSummary["Manifests"]> = [
    {
      ...{ ID: digest, Descriptor: {} as never, Available: true, Kind: "image" },
      Size: { Content: 1000, Total: 3000 },
      ImageData: { Platform: platform, Containers: ["c"], Size: { Unpacked: 2000 } },
    },
  ];
  expect(imageTree([{ ...image, RepoTags: ["b:1"], Manifests }]).slice(1)).toEqual([
    ["b:1", "111111111111", "2kB", "1kB", "U"],
    ["└─ linux/arm/v7", "aaaaaaaaaaaa", "2kB", "1kB", "U"],
  ]);
});
