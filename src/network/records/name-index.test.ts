import { expect, test } from "bun:test";
import type { Endpoint } from "#spec/network.ts";
import { NameIndex } from "./name-index.ts";

let count = 0;
function endpoint(network: string, ipAddress: string, dnsNames: string[], links: string[] = []): Endpoint {
  return {
    ...{
      networkId: `id-${network}`,
      networkName: network,
      endpointId: String(count++),
      ipAddress,
      dnsNames,
      links,
    },
    ...{
      prefixLength: 24,
      gateway: "x",
      ...{ ip6Address: "", prefixLength6: 0, gateway6: "" },
      macAddress: "",
      interfaceName: "eth0",
      hostInterface: "",
    },
    gatewayPriority: 0,
  };
}

const web1 = endpoint("front", "10.1.0.2", ["web1", "web", "0123456789ab"]);
const web2 = endpoint("front", "10.1.0.3", ["web2", "web"]);
const db = endpoint("back", "10.2.0.2", ["db", "web"]);
const index = new NameIndex();
for (const each of [web1, web2, db]) index.add(each);
const onBoth = { endpoints: [endpoint("front", "10.1.0.9", []), endpoint("back", "10.2.0.9", [])] };

test("names, aliases and ids are found on the asker's own networks alone, without regard to case", () => {
  expect(index.addresses(onBoth, "WEB1", 4)).toEqual(["10.1.0.2"]);
  expect(index.addresses(onBoth, "0123456789ab.", 4)).toEqual(["10.1.0.2"]);
  expect(index.addresses({ endpoints: [endpoint("back", "", [])] }, "web1", 4)).toBeUndefined();
});

test("one network answers, the way out first; another by its name", () => {
  expect(index.addresses(onBoth, "web", 4)).toEqual(["10.2.0.2"]);
  expect(index.addresses(onBoth, "web.front", 4)).toEqual(["10.1.0.2", "10.1.0.3"]);
  expect(index.addresses(onBoth, "web.nosuch", 4)).toBeUndefined();
});

test("who has no address of the family is known all the same", () => {
  expect(index.addresses(onBoth, "web1", 6)).toEqual([]);
});

test("a link is a name of one's own for another", () => {
  const asker = { endpoints: [endpoint("front", "10.1.0.9", [], ["web2:store", "web1"])] };
  expect(index.addresses(asker, "store", 4)).toEqual(["10.1.0.3"]);
  expect(index.addresses(asker, "web1", 4)).toEqual(["10.1.0.2"]);
  expect(index.addresses(onBoth, "store", 4)).toBeUndefined();
});

test("addresses have the container's name, with its network's", () => {
  expect(index.nameOf(onBoth, "10.1.0.3")).toBe("web2.front");
  expect(index.nameOf({ endpoints: [] }, "10.1.0.3")).toBeUndefined();
});

test("who has gone is forgotten", () => {
  index.delete(web1);
  expect(index.addresses(onBoth, "web.front", 4)).toEqual(["10.1.0.3"]);
  expect(index.addresses(onBoth, "web1", 4)).toBeUndefined();
  expect(index.nameOf(onBoth, "10.1.0.2")).toBeUndefined();
});
