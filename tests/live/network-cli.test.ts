/** Networks on the command line: docker's own and wherry's do and say the same. */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { dockerCli } from "./engine-under-test.ts";
import { NetworkLab } from "./network-lab.ts";

let lab: NetworkLab;
beforeAll(async () => {
  lab = await NetworkLab.open();
});
afterAll(async () => await lab[Symbol.asyncDispose]());
afterEach(async () => await lab.clear());

const programs = [
  ["wherry", false],
  // Debian has no docker CLI of this age; where none is installed, wherry's own goes the same way.
  ["docker", dockerCli === null],
] as const;
for (const [program, absent] of programs)
  test.skipIf(absent)(
    `${program} run: several networks, addresses, aliases, fields of --network`,
    async () => {
      await lab.client.networks.create({ Name: "front", IPAM: { Config: [{ Subnet: "10.83.0.0/24" }] } });
      await lab.client.networks.create({ Name: "back", IPAM: { Config: [{ Subnet: "10.84.0.0/24" }] } });
      const flags = ["--ip", "10.83.0.50", "--network-alias", "web", "--mac-address", "02:42:00:00:00:50"];
      const back =
        "name=back,alias=db,ip=10.84.0.60,gw-priority=5,driver-opt=com.docker.network.endpoint.ifname=data0";
      const local = ["--link-local-ip", "169.254.1.2"];
      const networks = ["--network", "front", ...flags, ...local, "--network", back];
      const script = "ip addr; ip route";
      const { code, stdout, stderr } = await lab.engine.cli(program, [
        ...["run", "--name", "box", ...networks, "busybox", "sh", "-c", script],
      ]);
      expect(`${stderr}${code}`).toBe("0");
      for (const part of ["10.83.0.50/24", "02:42:00:00:00:50", "169.254.1.2/16", "10.84.0.60/24"])
        expect(stdout).toContain(part);
      expect(stdout).toContain("default via 10.84.0.1 dev data0");
      const { Networks } = (await lab.client.containers.inspect("box")).NetworkSettings;
      expect(Networks).toMatchObject({
        front: { Aliases: ["web"], IPAMConfig: { IPv4Address: "10.83.0.50", LinkLocalIPs: ["169.254.1.2"] } },
        back: { Aliases: ["db"], GwPriority: 5 },
      });
      const twice = await lab.engine.cli(program, [
        "run",
        "--rm",
        "--network",
        "front",
        "--ip",
        "10.84.0.1",
        "busybox",
      ]);
      expect([twice.code, twice.stderr]).toEqual([
        125,
        expect.stringContaining("no configured subnet or ip-range contain the IP address 10.84.0.1"),
      ]);
    },
  );

for (const [program, absent] of programs)
  test.skipIf(absent)(`${program} network: create, ls, inspect, connect, disconnect, rm, prune`, async () => {
    const ok = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await lab.engine.cli(program, args);
      expect(`${stderr}${code}`).toBe("0");
      return stdout;
    };
    const subnet = ["--subnet", "10.81.0.0/24", "--gateway", "10.81.0.9", "--aux-address", "r=10.81.0.5"];
    const id = await ok("network", "create", ...subnet, "--label", "x=1", "--internal", "n");
    expect(id).toMatch(/^[0-9a-f]{64}\n$/);
    expect(await ok("network", "ls", "--filter", "type=custom")).toMatch(
      /^NETWORK ID +NAME +DRIVER +SCOPE\n[0-9a-f]{12} +n +bridge +local\n$/,
    );
    expect(await ok("network", "ls", "-q", "--no-trunc", "--filter", "name=^n$")).toBe(id);
    expect(
      await ok("network", "inspect", "-f", "{{json .IPAM.Config}} {{.Internal}} {{.Labels.x}}", "n"),
    ).toBe(
      '[{"Subnet":"10.81.0.0/24","Gateway":"10.81.0.9","AuxiliaryAddresses":{"r":"10.81.0.5"}}] true 1\n',
    );
    await ok("network", "create", "m");
    await ok("run", "-d", "--name", "box", "--network", "n", "--ip", "10.81.0.77", "busybox", "sleep", "100");
    await ok("network", "connect", "--alias", "web", "m", "box");
    expect((await ok("ps", "--format", "{{.Networks}}")).trim().split(",").sort()).toEqual(["m", "n"]);
    expect(await ok("inspect", "-f", "{{.NetworkSettings.Networks.n.IPAddress}}", "box")).toBe(
      "10.81.0.77\n",
    );
    const busy = await lab.engine.cli(program, ["network", "rm", "n", "nosuch"]);
    expect(busy.code).toBe(1);
    expect(busy.stderr).toContain("network n has active endpoints");
    expect(busy.stderr).toContain("network nosuch not found");
    await ok("network", "disconnect", "n", "box");
    expect(await ok("network", "rm", "n")).toBe("n\n");
    await ok("rm", "-f", "box");
    const question =
      "WARNING! This will remove all custom networks not used by at least one container.\nAre you sure you want to continue? [y/N] ";
    const prune = async (input: string) => await lab.engine.cli(program, ["network", "prune"], { input });
    expect(await prune("n\n")).toEqual({ code: 0, stdout: question, stderr: "" });
    expect(await prune("y\n")).toEqual({
      code: 0,
      stdout: `${question}Deleted Networks:\nm\n\n`,
      stderr: "",
    });
  });
