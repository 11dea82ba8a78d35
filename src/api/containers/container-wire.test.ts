import { describe, expect, test } from "bun:test";
import { containerRecord } from "#api/doubles/engine-double.ts";
import type { ContainerDetail } from "#api/engine-face.ts";
import type { ContainerRecord, HostConfig } from "#spec/container.ts";
import type { Sandbox } from "#spec/network.ts";
import { containerInspect } from "./container-inspect.ts";
import { containerSummary, statusText } from "./container-summary.ts";

const defaults = {
  runtimeName: "crun",
  maskedPaths: ["/proc/kcore"],
  readonlyPaths: ["/proc/sys"],
  apparmorProfile: undefined as string | undefined,
};

const sandbox: Sandbox = {
  netnsPath: "/run/netns/x",
  endpoints: [
    {
      networkId: "n1",
      networkName: "bridge",
      endpointId: "e1",
      ipAddress: "172.17.0.2",
      prefixLength: 16,
      gateway: "172.17.0.1",
      ...{ ip6Address: "", prefixLength6: 0, gateway6: "" },
      macAddress: "02:42:ac:11:00:02",
      interfaceName: "eth0",
      hostInterface: "wv1",
      gatewayPriority: 0,
      dnsNames: [],
      links: [],
    },
  ],
  ports: [
    { protocol: "tcp", containerPort: 80, hostIp: "0.0.0.0", hostPort: 8080 },
    { protocol: "tcp", containerPort: 80, hostIp: "::", hostPort: 8080 },
  ],
};

function detail(record: ContainerRecord, more: Partial<ContainerDetail> = {}): ContainerDetail {
  const paths = { log: "/l", hosts: "/h", hostname: "/n", resolvConf: "/r" };
  const none = { execIds: [], links: null, aliases: [] };
  return { record, paths, ...none, networks: [{ id: "", name: "bridge" }], ...more };
}

const inspect = (host: HostConfig = {}, more: Partial<ContainerDetail> = {}, version = 50) =>
  containerInspect(detail(containerRecord(1, { host }), more), version, defaults);

/** What dockerd 26 writes for a container nothing special was asked for. */
const dockerdFields = {
  top: "Id Created Path Args State Image ResolvConfPath HostnamePath HostsPath LogPath Name RestartCount Driver Platform MountLabel ProcessLabel AppArmorProfile ExecIDs HostConfig GraphDriver Mounts Config NetworkSettings",
  State: "Status Running Paused Restarting OOMKilled Dead Pid ExitCode Error StartedAt FinishedAt",
  HostConfig:
    "Binds ContainerIDFile LogConfig NetworkMode PortBindings RestartPolicy AutoRemove VolumeDriver VolumesFrom ConsoleSize CapAdd CapDrop CgroupnsMode Dns DnsOptions DnsSearch ExtraHosts GroupAdd IpcMode Cgroup Links OomScoreAdj PidMode Privileged PublishAllPorts ReadonlyRootfs SecurityOpt UTSMode UsernsMode ShmSize Runtime Isolation CpuShares Memory NanoCpus CgroupParent BlkioWeight BlkioWeightDevice BlkioDeviceReadBps BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps CpuPeriod CpuQuota CpuRealtimePeriod CpuRealtimeRuntime CpusetCpus CpusetMems Devices DeviceCgroupRules DeviceRequests MemoryReservation MemorySwap MemorySwappiness OomKillDisable PidsLimit Ulimits CpuCount CpuPercent IOMaximumIOps IOMaximumBandwidth MaskedPaths ReadonlyPaths",
  Config:
    "Hostname Domainname User AttachStdin AttachStdout AttachStderr Tty OpenStdin StdinOnce Env Cmd Image Volumes WorkingDir Entrypoint OnBuild Labels",
  NetworkSettings:
    "Bridge SandboxID SandboxKey Ports HairpinMode LinkLocalIPv6Address LinkLocalIPv6PrefixLen SecondaryIPAddresses SecondaryIPv6Addresses EndpointID Gateway GlobalIPv6Address GlobalIPv6PrefixLen IPAddress IPPrefixLen IPv6Gateway MacAddress Networks",
} as const;

describe("inspect", () => {
  test("has dockerd's fields in dockerd's order", () => {
    const shown = inspect();
    expect(Object.keys(shown).join(" ")).toBe(dockerdFields.top);
    for (const part of ["State", "HostConfig", "Config", "NetworkSettings"] as const)
      expect(Object.keys(shown[part]).join(" ")).toBe(dockerdFields[part]);
  });

  test("shows the command, its arguments and what was left to the engine", () => {
    const shown = inspect();
    expect([shown.Path, shown.Args, shown.Name]).toEqual(["sleep", ["1 2"], "/c1"]);
    expect(shown.HostConfig).toMatchObject({
      Runtime: "crun",
      ShmSize: 67108864,
      LogConfig: { Type: "json-file", Config: {} },
      RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
      MaskedPaths: ["/proc/kcore"],
      MemorySwappiness: null,
      Binds: null,
    });
  });

  test("a privileged container has nothing hidden; empty lists given stay empty", () => {
    expect(inspect({ Privileged: true }).HostConfig.MaskedPaths).toBeNull();
    expect(inspect({ MaskedPaths: [] }).HostConfig.MaskedPaths).toEqual([]);
  });

  test("a container that never ran is on its network in name only", () => {
    const { NetworkSettings } = inspect();
    expect(NetworkSettings.Ports).toEqual({});
    expect(NetworkSettings.Networks["bridge"]).toMatchObject({
      IPAddress: "",
      NetworkID: "",
      MacAddress: "",
    });
  });

  test("a running one shows its endpoint twice, as older clients expect", () => {
    const config = { ExposedPorts: { "80/tcp": {}, "90-91/udp": {} } };
    const record = { ...containerRecord(1, { config }), run: 1 };
    const { NetworkSettings } = containerInspect(detail(record, { sandbox }), 50, defaults);
    expect(NetworkSettings).toMatchObject({
      IPAddress: "172.17.0.2",
      Gateway: "172.17.0.1",
      SandboxKey: "/run/netns/x",
    });
    expect(NetworkSettings.Networks["bridge"]).toMatchObject({
      IPAddress: "172.17.0.2",
      GwPriority: 0,
      DNSNames: null,
    });
    expect(NetworkSettings.Ports).toEqual({
      "80/tcp": [
        { HostIp: "0.0.0.0", HostPort: "8080" },
        { HostIp: "::", HostPort: "8080" },
      ],
      "90/udp": null,
      "91/udp": null,
    });
  });

  test("before 1.48 there is no gateway priority", () => {
    const { NetworkSettings } = inspect({}, { sandbox }, 47);
    expect(NetworkSettings.Networks["bridge"]?.GwPriority).toBeUndefined();
  });

  test("a container in the network of another has none of its own", () => {
    expect(inspect({ NetworkMode: "container:abc" }, { networks: [] }).NetworkSettings.Networks).toEqual({});
  });

  test("mounts and the parts of the root are shown with their places", () => {
    const mount = {
      type: "volume",
      name: "v",
      source: "/vols/v/_data",
      destination: "/v",
      driver: "local",
      mode: "z",
      readWrite: true,
      propagation: "",
      copyUp: true,
      anonymous: false,
    } as const;
    const rootfs = { lower: ["/a", "/b"], upper: "/u", work: "/w", merged: "/m" };
    const shown = containerInspect(
      detail({ ...containerRecord(1), mounts: [mount] }, { rootfs }),
      50,
      defaults,
      {
        rw: 1,
        rootFs: 2,
      },
    );
    expect(shown.GraphDriver.Data).toEqual({
      LowerDir: "/a:/b",
      MergedDir: "/m",
      UpperDir: "/u",
      WorkDir: "/w",
    });
    expect(Object.keys(shown.Mounts[0]!)).toEqual(
      "Type Name Source Destination Driver Mode RW Propagation".split(" "),
    );
    expect([shown.SizeRw, shown.SizeRootFs]).toEqual([1, 2]);
  });
});

describe("list", () => {
  const now = Date.parse("2026-11-24T10:05:00Z");

  test("an entry has dockerd's fields", () => {
    const record = containerRecord(1, {
      observed: { status: "running", startedAt: "2026-11-24T10:00:01.5Z" },
    });
    const entry = containerSummary(detail(record, { sandbox }), 50, now);
    expect(Object.keys(entry).join(" ")).toBe(
      "Id Names Image ImageID Command Created Ports Labels State Status HostConfig NetworkSettings Mounts",
    );
    expect(entry).toMatchObject({
      Names: ["/c1"],
      Command: "sleep '1 2'",
      Created: 1795514401,
      State: "running",
      Status: "Up 4 minutes",
    });
    expect(entry.Ports).toEqual([
      { IP: "0.0.0.0", PrivatePort: 80, PublicPort: 8080, Type: "tcp" },
      { IP: "::", PrivatePort: 80, PublicPort: 8080, Type: "tcp" },
    ]);
  });

  test("an entry's networks have addresses and no names", () => {
    const record = {
      ...containerRecord(1),
      endpoints: { bridge: { Aliases: ["db"], MacAddress: "02:42:ac:11:00:77" } },
    };
    const { NetworkSettings } = containerSummary(detail(record, { sandbox }), 50, now);
    expect(NetworkSettings?.Networks["bridge"]).toMatchObject({
      ...{ Aliases: null, Links: null, DriverOpts: null, DNSNames: null },
      IPAddress: sandbox.endpoints[0]?.ipAddress,
    });
    const shown = containerInspect(detail(record, { sandbox }), 50, defaults);
    expect(shown.NetworkSettings.Networks["bridge"]?.Aliases).toEqual(["db"]);
    expect(shown.Config.MacAddress).toBe("02:42:ac:11:00:77");
  });

  test("annotations are shown since 1.46", () => {
    const record = containerRecord(1, { host: { Annotations: { a: "b" } } });
    expect(containerSummary(detail(record), 46, now).HostConfig.Annotations).toEqual({ a: "b" });
    expect(containerSummary(detail(record), 45, now).HostConfig.Annotations).toBeUndefined();
  });

  test.each([
    ["running", "Up 5 minutes"],
    ["paused", "Up 5 minutes (Paused)"],
    ["restarting", "Restarting (1) About a minute ago"],
    ["exited", "Exited (1) About a minute ago"],
    ["created", "Created"],
    ["dead", "Dead"],
    ["removing", "Removal In Progress"],
  ] as const)("%s reads %p", (status, text) => {
    const observed = containerRecord(1, {
      observed: {
        status,
        exitCode: 1,
        startedAt: "2026-11-24T10:00:00Z",
        finishedAt: "2026-11-24T10:04:00Z",
      },
    }).observed;
    expect(statusText(observed, now)).toBe(text);
  });
});
