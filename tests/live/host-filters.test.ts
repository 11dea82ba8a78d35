/**
 * Published ports behind what ufw and firewalld make of a host: rules of the shapes that these two wrote when they were run
 * in the engine's network namespace (ufw 0.36 by iptables-nft, firewalld 1.3 by nftables). Neither needs to be installed.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { inNamespace } from "#kernel/network/netns.ts";
import { runNft } from "#kernel/network/nftables.ts";
import { Neighbour } from "./neighbour.ts";
import { NetworkLab } from "./network-lab.ts";
import { until } from "./told.ts";

let lab: NetworkLab;
let neighbour: Neighbour;
beforeAll(async () => {
  lab = await NetworkLab.open();
  neighbour = new Neighbour(lab.engine);
  for (const [name, HostPort] of [
    ["one", "18400"],
    ["two", "18401"],
  ] as const)
    await lab.run(name, "bridge", { host: { PortBindings: { "80/tcp": [{ HostPort }] } } });
});
afterAll(async () => {
  neighbour[Symbol.dispose]();
  await lab[Symbol.asyncDispose]();
});

function host(rules: string): void {
  inNamespace(lab.engine.netns, () => runNft(rules));
}

async function seen(...expected: string[]): Promise<void> {
  const ask = async () =>
    await Promise.all([18400, 18401].map((port) => neighbour.fetches(neighbour.hostAddress, port)));
  await until(
    async () => Bun.deepEquals(await ask(), expected),
    `${expected.join()} behind ${lab.engine.log}`,
  );
}

/** One table for each family, chains by the dozen, and names with words of the language in them. */
function ufw(family: "ip" | "ip6", forward: "accept" | "drop"): string {
  const name = family === "ip" ? "ufw" : "ufw6";
  const local = "fib daddr type local counter return; fib daddr type multicast counter return;";
  return `table ${family} filter
delete table ${family} filter
table ${family} filter {
  chain ${name}-logging-deny { ct state invalid limit rate 3/minute burst 10 packets counter return
  }
  chain ${name}-skip-to-policy-input { counter drop
  }
  chain ${name}-not-local {
    ${local} limit rate 3/minute burst 10 packets counter jump ${name}-logging-deny; counter drop
  }
  chain ${name}-user-input { meta l4proto tcp tcp dport 18400 counter accept
  }
  chain ${name}-before-logging-input { limit rate 3/minute counter log prefix "[UFW AUDIT] "
  }
  chain ${name}-before-input {
    iifname "lo" counter accept
    ct state related,established counter accept
    ct state invalid counter jump ${name}-logging-deny
    ct state invalid counter drop
    ${family === "ip" ? "meta l4proto icmp icmp type echo-request counter accept" : "meta l4proto ipv6-icmp icmpv6 type echo-request ip6 hoplimit 255 counter accept"}
    ${family === "ip" ? `counter jump ${name}-not-local` : "rt type 0 counter drop"}
    counter jump ${name}-user-input
  }
  chain ${name}-after-input {
    meta l4proto udp udp dport 137 counter jump ${name}-skip-to-policy-input
  }
  chain INPUT {
    type filter hook input priority filter; policy drop;
    counter jump ${name}-before-logging-input
    counter jump ${name}-before-input
    counter jump ${name}-after-input
  }
  chain ${name}-before-forward { ct state related,established counter accept
  }
  chain FORWARD {
    type filter hook forward priority filter; policy ${forward};
    counter jump ${name}-before-forward
  }
}
`;
}

/** One table of both families that accepts what is translated, and rejects at the end of chains that accept. */
function firewalld(...ports: number[]): string {
  const lines = ports.map((port) => `tcp dport ${port} accept`).join("\n    ");
  return `table inet firewalld
delete table inet firewalld
table inet firewalld {
  chain filter_IN_public_allow {
    tcp dport 22 accept
    ip6 daddr fe80::/64 udp dport 546 accept
    ${lines}
  }
  chain filter_IN_public {
    jump filter_IN_public_allow
    meta l4proto { icmp, ipv6-icmp } accept
    reject with icmpx admin-prohibited
  }
  chain filter_INPUT_ZONES { goto filter_IN_public
  }
  chain filter_INPUT {
    type filter hook input priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    jump filter_INPUT_ZONES
    reject with icmpx admin-prohibited
  }
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    reject with icmpx admin-prohibited
  }
}
`;
}

const both = (forward: "accept" | "drop") => ufw("ip", forward) + ufw("ip6", forward);

test("strict: ufw decides by the port of the host, for each family by itself; when it goes, so do its rules", async () => {
  await seen("one", "two");
  host(both("accept"));
  await seen("one", "");
  expect(lab.engine.log).not.toContain("cannot");
  host(both("drop"));
  await seen("", "");
  expect(lab.engine.log).toContain("(table ip filter, chain FORWARD): containers have no way out");
  host("flush ruleset");
  await seen("one", "two");
  expect(inNamespace(lab.engine.netns, () => runNft("list tables"))).not.toContain("-host");
});

test("strict: firewalld's welcome for what is translated is none for what the engine translates", async () => {
  host(firewalld());
  await seen("", "");
  host(firewalld(18401));
  await seen("", "two");
  expect(lab.engine.log).not.toContain("cannot");
  host("flush ruleset");
  await seen("one", "two");
});

test("what an engine left behind a filter goes with the filter, also while no engine runs", async () => {
  host(both("accept"));
  await seen("one", "");
  await lab.engine.stop("SIGKILL");
  host("delete table ip filter\ndelete table ip6 filter");
  await lab.engine.start();
  lab.client = await lab.engine.client();
  await seen("one", "two");
});

test("docker: both are bypassed, also when they write their rules anew", async () => {
  host(both("drop"));
  await seen("", "");
  await lab.restart("SIGTERM", "--firewall", "docker");
  await seen("one", "two");
  host(both("drop"));
  await seen("one", "two");
  host("flush ruleset");
  host(firewalld());
  await seen("one", "two");
  host("flush ruleset");
});
