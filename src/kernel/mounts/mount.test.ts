import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Errno } from "#kernel/libc.ts";
import {
  isMountPoint,
  kernelHas,
  mountBind,
  mountOverlay,
  mountsBeneath,
  mountTmpfs,
  type OverlayRequest,
  setPropagation,
  unmount,
} from "./mount.ts";

const asRoot = process.getuid?.() === 0 ? describe : describe.skip;

let root: string;
const directory = (...names: string[]) => {
  const path = join(root, ...names);
  mkdirSync(path, { recursive: true });
  return path;
};

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "wherry-mount-"));
});
afterEach(() => {
  for (const { target } of mountsBeneath(root).reverse()) unmount(target, { detach: true });
  rmSync(root, { recursive: true });
});

function layers(count: number, name = (index: number) => `layer-${index}`): string[] {
  return Array.from({ length: count }, (_, index) => {
    const path = directory(name(index));
    writeFileSync(join(path, `from-${index}`), String(index));
    writeFileSync(join(path, "which"), String(index));
    return path;
  });
}

asRoot("mountOverlay()", () => {
  const over = (lower: string[], through?: OverlayRequest["through"]) => ({
    lower,
    upper: directory("upper"),
    work: directory("work"),
    target: directory("merged"),
    ...(through !== undefined && { through }),
  });

  for (const through of ["options", "fsconfig", "descriptors"] as const)
    test(`shows the first layer on top, through ${through}`, () => {
      const request = over(layers(3), through);
      mountOverlay(request);
      expect(readFileSync(join(request.target, "which"), "utf8")).toBe("0");
      expect(readdirSync(request.target).sort()).toEqual(["from-0", "from-1", "from-2", "which"]);
      writeFileSync(join(request.target, "new"), "");
      expect(readdirSync(request.upper)).toEqual(["new"]);
      expect(unmount(request.target)).toBe(true);
      expect(readdirSync(request.target)).toEqual([]);
    });

  for (const through of [undefined, "fsconfig", "descriptors"] as const)
    test(`takes 128 layers with long paths, through ${through ?? "whatever fits"}`, () => {
      const request = over(
        layers(128, (index) => `${"l".repeat(80)}-${index}`),
        through,
      );
      mountOverlay(request);
      expect(readdirSync(request.target).length).toBe(129);
    });

  test("takes 499 layers, or says that this kernel does not", () => {
    const lower = layers(499);
    mountOverlay(over(lower));
    expect(readdirSync(join(root, "merged")).length).toBe(500);
    unmount(join(root, "merged"));
    expect(() => mountOverlay(over(lower, "descriptors"))).toThrow("499 layers cannot be mounted");
  });

  test("takes paths that are longer than one value of fsconfig", () => {
    const request = over(
      layers(20, (index) => `${"a".repeat(200)}/${"b".repeat(200)}-${index}`),
      "fsconfig",
    );
    mountOverlay(request);
    expect(readdirSync(request.target).length).toBe(21);
  });

  for (const through of ["options", "fsconfig"] as const)
    test(`takes colons, commas and backslashes in paths, through ${through}`, () => {
      const lower = layers(2, (index) => `odd:,\\ ${index}`);
      const request = { ...over(lower, through), upper: directory("up,p\\er:") };
      mountOverlay(request);
      expect(readFileSync(join(request.target, "from-1"), "utf8")).toBe("1");
    });

  test("is read-only without an upper directory", () => {
    const target = directory("merged");
    mountOverlay({ lower: layers(2), target });
    expect(() => writeFileSync(join(target, "new"), "")).toThrow("EROFS");
  });

  test("leaves nothing mounted when a layer is missing", () => {
    for (const through of ["options", "fsconfig", "descriptors"] as const) {
      const request = over([join(root, "absent")], through);
      expect(() => mountOverlay(request)).toThrow(Errno);
      expect(mountsBeneath(root)).toEqual([]);
    }
  });

  test("leaks no descriptor", () => {
    const request = over(layers(5), "fsconfig");
    const count = () => readdirSync("/proc/self/fd").length;
    const before = count();
    for (let round = 0; round < 20; round++) {
      mountOverlay({ ...request, through: round % 2 === 0 ? "fsconfig" : "descriptors" });
      unmount(request.target);
    }
    expect(count()).toBe(before);
  });
});

asRoot("mountBind()", () => {
  test("shows a directory elsewhere, read-only when asked", () => {
    const [source, target] = [directory("source"), directory("target")];
    writeFileSync(join(source, "file"), "x");
    mountBind(source, target, { readOnly: true, propagation: "rslave" });
    expect(readFileSync(join(target, "file"), "utf8")).toBe("x");
    expect(() => writeFileSync(join(target, "file"), "y")).toThrow("EROFS");
    writeFileSync(join(source, "file"), "z");
  });

  test("binds a file, and what is mounted below when recursive", () => {
    const source = directory("source");
    mountTmpfs(directory("source", "inner"));
    writeFileSync(join(source, "inner", "deep"), "");
    const [flat, whole] = [directory("flat"), directory("whole")];
    mountBind(source, flat);
    mountBind(source, whole, { recursive: true });
    expect(existsSync(join(flat, "inner", "deep"))).toBe(false);
    expect(existsSync(join(whole, "inner", "deep"))).toBe(true);
    writeFileSync(join(root, "f"), "");
    mountBind(join(source, "inner", "deep"), join(root, "f"));
    expect(mountsBeneath(join(root, "f"))).toHaveLength(1);
  });

  test("fails for a source that is not there, with its name", () => {
    expect(() => mountBind(join(root, "absent"), directory("target"))).toThrow(`${root}/absent`);
  });
});

asRoot("mountTmpfs()", () => {
  test("has the size and mode asked for", () => {
    const target = directory("t");
    mountTmpfs(target, { sizeBytes: 1 << 20, mode: 0o1777, noSuid: true });
    const [info] = mountsBeneath(target);
    expect(info?.type).toBe("tmpfs");
    expect(info?.options).toContain("nosuid");
    expect(info?.superOptions).toContain("size=1024k");
    expect(() => writeFileSync(join(target, "big"), Buffer.alloc(2 << 20))).toThrow("ENOSPC");
  });
});

asRoot("unmount()", () => {
  test("says false for what is not mounted or not there", () => {
    expect(unmount(directory("plain"))).toBe(false);
    expect(unmount(join(root, "absent"))).toBe(false);
  });

  test("refuses a mount in use unless it may detach it", () => {
    const target = directory("busy");
    mountTmpfs(target);
    mountTmpfs(directory("busy", "inner"));
    expect(() => unmount(target)).toThrow("EBUSY");
    expect(unmount(target, { detach: true })).toBe(true);
    expect(mountsBeneath(target)).toEqual([]);
  });
});

asRoot("mountsBeneath()", () => {
  test("reads names with spaces and letters of any script, and propagation", () => {
    const target = directory("träger mit\nZeilen");
    mountTmpfs(target);
    expect(isMountPoint(target)).toBe(true);
    expect(isMountPoint(directory("plain"))).toBe(false);
    expect(mountsBeneath(root).map((mount) => mount.target)).toEqual([target]);
    for (const [kind, shown] of [
      ["shared", "shared"],
      ["private", "private"],
      ["unbindable", "unbindable"],
    ] as const) {
      setPropagation(target, kind);
      expect(mountsBeneath(root)[0]?.propagation).toBe(shown);
    }
  });

  test("does not take a longer name for something below", () => {
    mountTmpfs(directory("a"));
    mountTmpfs(directory("ab"));
    expect(mountsBeneath(join(root, "a"))).toHaveLength(1);
  });
});

asRoot("kernelHas()", () => {
  test("knows overlay, and nothing made up", () => {
    expect(kernelHas("overlay")).toBe(true);
    expect(kernelHas("wherryfs")).toBe(false);
  });
});
