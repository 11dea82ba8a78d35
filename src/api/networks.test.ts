import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { ApiFixture, filterQuery } from "./api-fixture.ts";
import { containerRecord } from "./engine-double.ts";

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
      macAddress: "02:42:ac:11:00:02",
      interfaceName: "eth0",
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
    expect((await api.ask("DELETE", "/networks/bridge")).status).toBe(403);
    expect((await api.post("/networks/prune")).json).toEqual({ NetworksDeleted: null });
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
