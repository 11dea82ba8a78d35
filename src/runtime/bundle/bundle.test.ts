import { expect, test } from "bun:test";
import type { ContainerConfig, HostConfig, MountPoint } from "#spec/container.ts";
import { type BundleInput, encodeSpec, renderBundle } from "./bundle.ts";
import { renderResources } from "./resources.ts";

function bundle(config: ContainerConfig, host: HostConfig = {}, more: Partial<BundleInput> = {}) {
  return renderBundle({
    config,
    host,
    rootfs: "/r",
    hostname: "box",
    files: { hosts: "/f/hosts", hostname: "/f/hostname", resolvConf: "/f/resolv.conf" },
    mounts: [],
    recursiveReadOnly: true,
    user: { uid: 0, gid: 0, additionalGids: [0], home: "/root" },
    cgroupsPath: "/w/id",
    cgroupNamespace: true,
    netnsPath: "/n",
    joined: {},
    confinement: {
      capabilities: ["CAP_KILL"],
      maskedPaths: ["/proc/kcore"],
      readonlyPaths: ["/proc/sys"],
      noNewPrivileges: false,
      writableCgroups: false,
      privileged: false,
    },
    deviceNodes: [],
    resources: renderResources(host, { devices: [], blockIo: {}, kernel: { swap: true } }),
    oomScoreAdj: 0,
    ...more,
  });
}

const types = (o: ReturnType<typeof bundle>) => o.linux.namespaces.map(({ type }) => type);

test("a plain container", () => {
  const spec = bundle({ Entrypoint: ["/e"], Cmd: ["c"], Env: ["PATH=/p", "A=1"] });
  expect(spec.process).toMatchObject({
    args: ["/e", "c"],
    env: ["HOSTNAME=box", "PATH=/p", "A=1", "HOME=/root"],
    cwd: "/",
    capabilities: { bounding: ["CAP_KILL"], effective: ["CAP_KILL"], permitted: ["CAP_KILL"] },
  });
  expect(types(spec)).toEqual(["mount", "network", "uts", "pid", "ipc", "cgroup"]);
  expect(spec.mounts.map(({ destination }) => destination)).toEqual(
    "/proc /dev /dev/pts /sys /sys/fs/cgroup /dev/mqueue /dev/shm /etc/resolv.conf /etc/hostname /etc/hosts".split(
      " ",
    ),
  );
  expect(spec.linux).toMatchObject({ maskedPaths: ["/proc/kcore"], readonlyPaths: ["/proc/sys"] });
  expect(spec.linux.sysctl).toMatchObject({ "net.ipv4.ip_unprivileged_port_start": "0" });
});

test("limits", () => {
  const host = {
    Memory: 100,
    NanoCpus: 1.5e9,
    PidsLimit: 7,
    Ulimits: [{ Name: "nofile", Soft: 1, Hard: -1 }],
  };
  const spec = bundle({ Cmd: ["c"] }, host);
  expect(spec.linux.resources).toMatchObject({
    memory: { limit: 100, swap: 200 },
    cpu: { quota: 150_000, period: 100_000 },
    pids: { limit: 7 },
  });
  expect(encodeSpec(spec)).toContain('{"type":"RLIMIT_NOFILE","soft":1,"hard":18446744073709551615}');
});

test("namespaces of the host and of other containers", () => {
  const hosts = { PidMode: "host", IpcMode: "host", UTSMode: "host" };
  const shared = bundle({ Cmd: ["c"] }, hosts, { netnsPath: undefined, cgroupNamespace: false });
  expect(types(shared)).toEqual(["mount"]);
  expect(shared.hostname).toBeUndefined();
  expect(shared.linux.sysctl).toEqual({});
  const joined = bundle({ Cmd: ["c"] }, {}, { joined: { pid: 5, ipc: 6 }, sharedMemory: "/shm" });
  expect(joined.linux.namespaces).toContainEqual({ type: "pid", path: "/proc/5/ns/pid" });
  expect(joined.linux.namespaces).toContainEqual({ type: "ipc", path: "/proc/6/ns/ipc" });
  expect(joined.mounts.find(({ destination }) => destination === "/dev/shm")?.source).toBe("/shm");
});

test("mounts of the user's: parents first, in place of defaults, with their propagation", () => {
  const mount = {
    type: "bind",
    source: "/s",
    mode: "",
    readWrite: true,
    propagation: "",
    copyUp: false,
    anonymous: false,
  };
  const mounts = [
    { ...mount, destination: "/a/b", propagation: "rshared" },
    { ...mount, destination: "/a", readWrite: false },
    { ...mount, destination: "/etc/hosts" },
  ] as MountPoint[];
  const spec = bundle({ Cmd: ["c"] }, { Tmpfs: { "/t": "exec,size=1m" } }, { mounts });
  expect(spec.mounts.slice(-4)).toEqual([
    { destination: "/a", type: "bind", source: "/s", options: ["rbind", "rprivate", "rro"] },
    { destination: "/t", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "exec", "size=1m"] },
    { destination: "/a/b", type: "bind", source: "/s", options: ["rbind", "rshared"] },
    { destination: "/etc/hosts", type: "bind", source: "/s", options: ["rbind", "rprivate"] },
  ]);
  expect(spec.mounts.filter(({ destination }) => destination === "/etc/hosts")).toHaveLength(1);
  expect(spec.linux.rootfsPropagation).toBe("rshared");
});

test("what cannot be is refused", () => {
  expect(() => bundle({})).toThrow("no command specified");
  expect(() => bundle({ Cmd: ["c"] }, { Ulimits: [{ Name: "x" }] })).toThrow("invalid ulimit type: x");
});
