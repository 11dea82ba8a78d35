import { describe, expect, test } from "bun:test";
import type { MountRequest } from "#spec/container.ts";
import { parseBind, parseMount, planMounts } from "./plan-mounts.ts";

describe("-v", () => {
  const accepted: [string, object][] = [
    ["/data", { type: "volume", destination: "/data", mode: "", readWrite: true, copyUp: true }],
    ["v1:/data", { type: "volume", name: "v1", destination: "/data", mode: "z", readWrite: true }],
    ["v1:/data/:ro,nocopy", { destination: "/data", readWrite: false, copyUp: false, mode: "ro,nocopy" }],
    [
      "/a/../b:/c",
      { type: "bind", source: "/b", destination: "/c", propagation: "rprivate", createSource: true },
    ],
    ["/a:/c:idmap", { idMap: "auto", mode: "idmap" }],
    ["v1:/c:ro,idmap=uids=7-0-1;gids=7-0-1", { idMap: "uids=7-0-1;gids=7-0-1", readWrite: false }],
    ["/a:/c:rslave,ro", { propagation: "rslave", readWrite: false }],
  ];
  for (const [text, expected] of accepted)
    test(`${text} is understood`, () => {
      expect(parseBind(text)).toMatchObject(expected);
    });

  const refused: [string, string][] = [
    ["", "invalid volume specification: ''"],
    ["/a:", "invalid volume specification: '/a:'"],
    ["/a:/b:/c:/d", "invalid volume specification"],
    ["/a:b", "mount path must be absolute"],
    ["/a:/", "destination can't be '/'"],
    ["/a:/b/..", "destination can't be '/'"],
    ["a/b:/c", "If you intended to pass a host directory, use absolute path"],
    ["/a:/b:rw,ro", "invalid mode: rw,ro"],
    ["/a:/b:nocopy", "invalid mode: nocopy"],
    ["v1:/b:rshared", "invalid mode: rshared"],
    ["/a:/b:idmap=x", 'invalid idmap "x"'],
    ["/a:/b:idmap,idmap", "invalid mode: idmap,idmap"],
  ];
  for (const [text, message] of refused)
    test(`${JSON.stringify(text)} is refused: ${message}`, () => {
      expect(() => parseBind(text)).toThrow(message);
    });
});

describe("--mount", () => {
  const accepted: [MountRequest, object][] = [
    [
      { Type: "bind", Source: "/s", Target: "/t", ReadOnly: true },
      { source: "/s", readWrite: false, createSource: false },
    ],
    [
      { Type: "volume", Target: "/t" },
      { type: "volume", destination: "/t", copyUp: true },
    ],
    [
      { Type: "volume", Source: "v1", Target: "/t", VolumeOptions: { NoCopy: true } },
      { name: "v1", copyUp: false },
    ],
    [
      { Type: "volume", Source: "v1", Target: "/t", VolumeOptions: { Subpath: "a/./b/" } },
      { name: "v1", copyUp: true, subpath: "a/b/" },
    ],
    [
      { Type: "image", Source: "i:1", Target: "/t", ImageOptions: { Subpath: "etc" } },
      { type: "image", source: "i:1", subpath: "etc", readWrite: true },
    ],
    [
      { Type: "bind", Source: "/s", Target: "/t", BindOptions: { NonRecursive: true } },
      { recursive: false, propagation: "rprivate" },
    ],
    [
      { Type: "bind", Source: "/s", Target: "/t", BindOptions: { ReadOnlyForceRecursive: true } },
      { readOnlyBelow: "must" },
    ],
    [
      { Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 10, Mode: 0o700 } },
      { mode: "size=10,mode=700" },
    ],
  ];
  for (const [request, expected] of accepted)
    test(`${JSON.stringify(request)} is understood`, () => {
      expect(parseMount(request)).toMatchObject(expected);
    });

  const refused: [MountRequest, string][] = [
    [{ Type: "bind", Target: "/t" }, "field Source must not be empty"],
    [{ Type: "bind", Source: "s", Target: "/t" }, "mount path must be absolute"],
    [{ Type: "volume", Source: "v1" }, "field Target must not be empty"],
    [{ Type: "npipe", Target: "/t" }, "mount type unknown"],
    [
      { Type: "volume", Target: "/t", VolumeOptions: { Subpath: "x" } },
      "must not set Subpath when using anonymous volumes",
    ],
    [
      { Type: "volume", Source: "v1", Target: "/t", VolumeOptions: { Subpath: "a/../../x" } },
      "subpath must be a relative path within the volume",
    ],
    [{ Type: "image", Target: "/t" }, "field Source must not be empty"],
    [
      { Type: "image", Source: "i", Target: "/t", ImageOptions: { Subpath: "/etc" } },
      "subpath must be a relative path within the volume",
    ],
    [
      {
        ...{ Type: "bind", Source: "/s", Target: "/t" },
        BindOptions: { ReadOnlyNonRecursive: true, ReadOnlyForceRecursive: true },
      },
      "mount options conflict",
    ],
  ];
  for (const [request, message] of refused)
    test(`${JSON.stringify(request)} is refused: ${message}`, () => {
      expect(() => parseMount(request)).toThrow(message);
    });
});

test("parents come before what is mounted beneath them; an image's volume gives way to the user's mount", () => {
  const planned = planMounts(
    { Volumes: { "/a/b/c": {}, "/data": {} } },
    { Binds: ["v1:/a/b/c/d", "/host:/data"], Mounts: [{ Type: "tmpfs", Target: "/a" }] },
  );
  expect(planned.map(({ type, destination }) => `${type} ${destination}`)).toEqual([
    "bind /data",
    "tmpfs /a",
    "volume /a/b/c",
    "volume /a/b/c/d",
  ]);
});

test("two mounts at one place are refused", () => {
  const mount: MountRequest = { Type: "tmpfs", Target: "/x/" };
  expect(() => planMounts({}, { Binds: ["v1:/x"], Mounts: [mount] })).toThrow("Duplicate mount point: /x");
  expect(() => planMounts({}, { Binds: ["v1:/x"], Tmpfs: { "/x": "" } })).toThrow(
    "Duplicate mount point: /x",
  );
});
