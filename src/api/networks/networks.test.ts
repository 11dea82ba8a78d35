import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ApiFixture, filterQuery } from "#api/doubles/api-fixture.ts";
import { containerRecord } from "#api/doubles/engine-double.ts";

let api: ApiFixture;

beforeAll(async () => {
  api = await ApiFixture.open();
});
afterAll(() => api[Symbol.asyncDispose]());
beforeEach(() => api.reset());

describe("networks and volumes", () => {
  test("networks are listed with filters, inspected with who is on them", async () => {
    expect((await api.get("/networks")).json.map(({ Name }: { Name: string }) => Name)).toEqual(["bridge"]);
    expect((await api.get(`/networks${filterQuery({ driver: ["host"] })}`)).json).toEqual([]);
    expect((await api.get(`/networks/${filterQuery({ type: ["custom"] })}`)).json).toEqual([]);
    const record = containerRecord(1, { observed: { status: "running" } });
    api.engine.records = [record];
    const endpoint = {
      networkId: "n".repeat(64),
      networkName: "bridge",
      endpointId: "e",
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
    };
    api.engine.sandboxes = { [record.id]: { endpoints: [endpoint], ports: [] } };
    expect((await api.get("/networks/bridge")).json.Containers).toEqual({
      [record.id]: {
        Name: "c1",
        EndpointID: "e",
        MacAddress: "02:42:ac:11:00:02",
        IPv4Address: "172.17.0.2/16",
        IPv6Address: "",
      },
    });
    expect((await api.get(`/networks${filterQuery({ dangling: ["true"] })}`)).json).toEqual([]);
    expect((await api.get("/networks/bridge?scope=swarm")).status).toBe(404);
    expect(Object.keys((await api.get("/v1.47/networks/bridge")).json)).not.toContain("EnableIPv4");
    expect((await api.get("/networks/bridge")).json).toMatchObject({ EnableIPv4: true, EnableIPv6: false });
  });

  test("networks are made, connected, removed as the body says", async () => {
    const made = await api.post("/networks/create", {
      Name: "n",
      IPAM: { Config: [{ Subnet: "10.1.0.0/24" }] },
      Options: { a: null },
    });
    expect([made.status, made.json]).toEqual([201, { Id: "m".repeat(64), Warning: "" }]);
    expect(api.engine.asked.at(-1)).toEqual([
      "network create",
      expect.objectContaining({
        name: "n",
        driver: "",
        ipv4: true,
        ipam: { driver: "", options: null, config: [{ Subnet: "10.1.0.0/24" }] },
        options: { a: "" },
      }),
    ]);
    const settings = { Aliases: ["a"], GwPriority: 3 };
    expect((await api.post("/networks/n/connect", { Container: "c", EndpointConfig: settings })).status).toBe(
      200,
    );
    expect(api.engine.asked.at(-1)).toEqual(["connect", "n", { container: "c", settings }]);
    expect((await api.post("/networks/n/disconnect", { Container: "c", Force: true })).status).toBe(200);
    expect(api.engine.asked.at(-1)).toEqual(["disconnect", "n", { container: "c", force: true }]);
    const nobody = await api.post("/networks/n/connect", {});
    expect([nobody.status, nobody.json]).toEqual([400, { message: 'invalid name or ID supplied: ""' }]);
    expect((await api.ask("DELETE", "/networks/n")).status).toBe(204);
    expect((await api.post("/networks/prune")).json).toEqual({ NetworksDeleted: ["bridge"] });
    expect((await api.post(`/networks/prune${filterQuery({ label: ["no"] })}`)).json).toEqual({
      NetworksDeleted: null,
    });
  });

  test("volumes are made, shown, pruned", async () => {
    const made = await api.post("/volumes/create", { Name: "v", Labels: { a: "b" } });
    expect([made.status, made.json]).toEqual([
      201,
      expect.objectContaining({ Name: "v", Mountpoint: "/v/v", Options: null }),
    ]);
    expect((await api.post("/volumes/create", {})).json.Name).toBe("anonymous");
    expect((await api.get("/volumes")).json.Volumes).toHaveLength(2);
    expect((await api.get("/volumes/v")).json.Labels).toEqual({ a: "b" });
    expect((await api.post("/volumes/prune")).json.VolumesDeleted).toEqual([]);
    expect((await api.post("/v1.41/volumes/prune")).json.VolumesDeleted).toEqual(["v", "anonymous"]);
    expect((await api.ask("DELETE", "/volumes/v?force=1")).status).toBe(204);
  });
});
