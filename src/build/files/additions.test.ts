/** What goes past the overlay makes the layer that copying through it makes. Needs to be root. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pack } from "tar-stream";
import type { ChainId } from "#spec/digest.ts";
import { Layers } from "#store/layers/layers.ts";
import { Records } from "#store/records.ts";
import { Additions } from "./additions.ts";
import { ignoreFilter } from "./ignore-patterns.ts";
import { type PlaceOptions, place } from "./place.ts";
import { lookAt } from "./rooted-path.ts";
import type { Source } from "./source-tree.ts";
import { type Workspace, Workspaces } from "./workspace.ts";

const { signal } = new AbortController();
const timeSeconds = 1_500_000_000;

describe.skipIf(process.getuid?.() !== 0)("copying past the overlay", () => {
  let directory: string;
  let records: Records;
  let workspaces: Workspaces;
  let image: ChainId;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "wherry-additions-"));
    records = Records.open(join(directory, "records.db"));
    const layers = await Layers.open(join(directory, "layers"), { records });
    workspaces = new Workspaces(layers, records);
    const tar = pack();
    const mtime = new Date(timeSeconds * 1000);
    for (const name of ["app/", "app/both/", "app/both/deep/", "app/was-directory/", "app/was-directory/in/"])
      tar.entry({ name, type: "directory", mode: 0o750, mtime });
    for (const name of ["app/was-file", "app/both/old", "app/both/kept", "app/was-directory/gone"])
      tar.entry({ name, mtime }, "old");
    tar.entry({ name: "link", type: "symlink", linkname: "/app" });
    tar.finalize();
    ({ chainId: image } = await layers.apply(undefined, tar as AsyncIterable<Uint8Array>, { signal }));
  });
  afterAll(() => {
    records[Symbol.dispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  function sources(): string {
    const from = mkdtempSync(join(directory, "from-"));
    const write = (path: string, text: string, mode = 0o644) => {
      mkdirSync(dirname(join(from, path)), { recursive: true });
      writeFileSync(join(from, path), text);
      chmodSync(join(from, path), mode);
    };
    write("new", "new", 0o4755);
    write("both/old", "replaced");
    write("both/new/a", "a");
    write("both/deep/left-out/kept", "kept");
    write("both/deep/left-out/gone", "gone");
    write("was-file/inside", "inside");
    write("was-directory", "a file now");
    write("fresh/x/y/z", "z");
    linkSync(join(from, "fresh/x/y/z"), join(from, "fresh/x/y/other-name"));
    symlinkSync("../nowhere", join(from, "fresh/x/symlink"));
    mkdirSync(join(from, "fresh/empty"), { mode: 0o700 });
    for (const path of [
      ".",
      "both",
      "both/new",
      "both/deep",
      "both/deep/left-out",
      "was-file",
      "fresh",
      "fresh/x",
      "fresh/x/y",
      "fresh/empty",
    ])
      chmodSync(join(from, path), 0o755);
    for (const path of [
      "new",
      "both/old",
      "both/new/a",
      "both/deep/left-out/kept",
      "was-file/inside",
      "was-directory",
      "fresh/x/y/z",
      "fresh/empty",
      "fresh/x/y",
      "fresh/x",
      "fresh",
      "both/new",
      "both/deep/left-out",
      "both/deep",
      "both",
      "was-file",
      ".",
    ])
      utimesSync(join(from, path), timeSeconds, timeSeconds + 1);
    return from;
  }

  /** The layer that it makes; times of directories that the copy itself makes are evened out. */
  async function layerOf(
    o: Partial<PlaceOptions> & {
      readonly past: boolean;
      readonly path: string;
      readonly source: Partial<Source> & { path: string };
    },
  ) {
    await using workspace: Workspace = await workspaces.acquire(image);
    const additions = o.past ? new Additions(workspace.root) : undefined;
    const options = { owner: { uid: 0, gid: 0 }, signal, ...o };
    const source = { name: "x", directory: true, hash: "", ...o.source };
    await place(source, { root: workspace.root, path: o.path }, { ...options, additions });
    expect(additions?.isEmpty).toBe(o.past ? false : undefined);
    const settle = async (changes: string) => {
      await additions?.put(changes, options);
      for (const path of ["app", "made/here", "made", "."])
        if (lstatSync(join(changes, path), { throwIfNoEntry: false })) utimesSync(join(changes, path), 1, 1);
    };
    return await workspace.commit({ signal, always: true, settle });
  }

  const filter = ignoreFilter(["both/deep/left-out", "!both/deep/left-out/kept"], "--exclude");
  const mode = (bits: number) => bits & 0o700;
  const cases = [
    ["into a directory of the image", { path: "/app/" }],
    ["through a link", { path: "/link/" }],
    ["into a new directory", { path: "/made/here/" }],
    ["without what is left out", { path: "/app/", source: { filter } }],
    ["for someone else", { path: "/app/", owner: { uid: 33, gid: 44 } }],
    ["with other modes", { path: "/made/here/", mode }],
    ["one file", { path: "/made/here/", source: { directory: false, name: "new" } }],
  ] as const;
  for (const shares of ["none", "unshared", "all"] as const)
    for (const [name, o] of cases)
      test(`${name}, names shared: ${shares}`, async () => {
        const from = sources();
        const given: Partial<Source> = "source" in o ? o.source : {};
        const path = given.name === undefined ? from : join(from, given.name);
        const source = { ...given, path };
        const through = await layerOf({ ...o, source, past: false });
        const past = await layerOf({ ...o, source, past: true, shares });
        expect(past).toEqual(through);
        // A file that was there keeps its look, whatever became of the layers.
        expect(lstatSync(join(from, "new")).mode & 0o7777).toBe(0o4755);
        expect(lstatSync(join(from, "new")).uid).toBe(0);
      });

  /** What two directories make when they are copied into `/app/`, one after the other. */
  async function layerOfBoth(both: readonly string[], past: boolean) {
    await using workspace: Workspace = await workspaces.acquire(image);
    const additions = past ? new Additions(workspace.root) : undefined;
    const options = {
      owner: { uid: 0, gid: 0 },
      signal,
      shares: past ? ("all" as const) : ("none" as const),
    };
    for (const path of both) {
      additions?.next();
      const source = { name: "x", directory: true, hash: "", path };
      await place(source, { root: workspace.root, path: "/app/" }, { ...options, additions });
    }
    const settle = async (changes: string) => {
      await additions?.put(changes, options);
      evenOut(changes);
    };
    return await workspace.commit({ signal, always: true, settle });
  }

  /** Times of directories in which the second copy changed what the first had put there are of that moment. */
  function evenOut(changes: string): void {
    for (const path of ["app/fresh/x/y", "app/fresh/x", "app/fresh", "app/both", "app/was-file", "app", "."])
      if (lookAt(join(changes, path))?.isDirectory() === true) utimesSync(join(changes, path), 1, 1);
  }

  function another(files: Readonly<Record<string, string>>): string {
    const from = mkdtempSync(join(directory, "another-"));
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(from, path)), { recursive: true });
      writeFileSync(join(from, path), text);
      for (let at = path; at !== "."; at = dirname(at))
        utimesSync(join(from, at), timeSeconds, timeSeconds + 2);
    }
    return from;
  }

  const seconds = [
    ["brings other files", { "fresh/w": "w", "both/more": "more" }],
    ["replaces files", { new: "newer", "fresh/x/y/z": "another z", "both/old": "again" }],
    ["has a file for a new directory", { "fresh/x": "a file" }],
    ["has a file for a directory of both", { both: "a file" }],
    ["has a file where the first made a directory of a file", { "was-file": "a file" }],
    ["has a directory for a new file", { "new/inside": "inside", "fresh/x/symlink/inside": "inside" }],
    ["has a directory for what became a file", { "was-directory/inside": "inside" }],
  ] as const;
  for (const [name, files] of seconds)
    test(`the second of two sources ${name}`, async () => {
      const both = [sources(), another(files)];
      const through = await layerOfBoth(both, false);
      expect(await layerOfBoth(both, true)).toEqual(through);
      expect(await layerOfBoth(both.toReversed(), true)).toEqual(await layerOfBoth(both.toReversed(), false));
    });

  test("a file that two sources of one copy bring is two files", async () => {
    const from = sources();
    const made = await layerOfBoth([from, join(from, "fresh")], true);
    await using seen = await workspaces.acquire(made?.chainId);
    const inode = (path: string) => lstatSync(join(seen.root, "app", path)).ino;
    expect(inode("x/y/z")).not.toBe(inode("fresh/x/y/z"));
    expect(inode("x/y/z")).toBe(inode("x/y/other-name"));
    expect(await layerOfBoth([from, join(from, "fresh")], false)).toEqual(made);
  });

  test("a file that is copied twice is two files to who sees both", async () => {
    const from = sources();
    const copied = async (parent: ChainId, path: string) => {
      await using workspace = await workspaces.acquire(parent);
      const additions = new Additions(workspace.root);
      const shares = workspaces.sharesFiles(parent) ? "unshared" : "all";
      const source = { name: "x", directory: true, hash: "", path: from };
      await place(source, { root: workspace.root, path }, { signal, additions, shares });
      const settle = async (changes: string) => await additions.put(changes, { signal, shares });
      const layer = await workspace.commit({ signal, always: true, settle });
      return { parent: layer?.chainId ?? parent, shares };
    };
    const once = await copied(image, "/once/");
    expect(lstatSync(join(from, "both/new/a")).nlink).toBe(2);
    writeFileSync(join(from, "later"), "later");
    const twice = await copied(once.parent, "/twice/");
    expect([once.shares, twice.shares]).toEqual(["all", "unshared"]);
    await using seen = await workspaces.acquire(twice.parent);
    const inode = (path: string) => lstatSync(join(seen.root, path)).ino;
    expect(inode("once/both/new/a")).not.toBe(inode("twice/both/new/a"));
    expect(inode("twice/fresh/x/y/z")).toBe(inode("twice/fresh/x/y/other-name"));
    expect(lstatSync(join(from, "later")).nlink).toBe(2);
  });
});
