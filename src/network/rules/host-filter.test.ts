import { expect, test } from "bun:test";
import { bypass } from "./host-bypass.ts";
import { forwardDrops, hostFilterTable, mirrorInput } from "./host-filter.ts";

/** As `nft list ruleset` writes the rules of one base chain and one other. */
function host(rules: readonly string[], o: { family?: string; policy?: string; sets?: string } = {}): string {
  const { family = "inet", policy = "drop", sets = "" } = o;
  return `table ${family} filter {
${sets}	chain input {
		type filter hook input priority filter; policy ${policy};
${rules.map((rule) => `\t\t${rule}\n`).join("")}	}

	chain more {
		tcp dport 99 accept
	}

	chain forward {
		type filter hook forward priority filter; policy drop;
	}
}
`;
}

function chain(name: string, body = ""): string[] {
  const found =
    [...body.matchAll(new RegExp(`  chain ${name} \\{\\n((?:    .*\\n)+)  \\}`, "g"))].at(-1)?.[1] ?? "";
  return found.trim().split(/\n\s*/);
}

const mirrored = (rules: readonly string[], o: Parameters<typeof host>[1] = {}) =>
  chain("t0_input", mirrorInput(host(rules, o), "wherry-")?.body);

test("a port is the one that was asked for, an address that of the host", () => {
  expect(
    mirrored([
      "tcp dport 22 accept",
      "udp dport { 53, 5000-5010 } drop",
      "meta l4proto { tcp, udp } th dport 53 accept",
      "ip daddr 10.0.0.1 tcp dport 80 accept",
      'tcp dport vmap { 80 : accept, 81 : jump more } comment "tcp dport 1"',
      'ip saddr 10.0.0.0/8 counter packets 3 bytes 9 log prefix "drop it " level warn drop',
      "fib daddr type local return",
      "fib daddr type != local drop",
    ]),
  ).toEqual([
    "meta l4proto tcp ct original proto-dst 22 accept",
    "meta l4proto udp ct original proto-dst { 53, 5000-5010 } drop",
    "meta l4proto { tcp, udp } ct original proto-dst 53 accept",
    "meta l4proto tcp ct original ip daddr 10.0.0.1 ct original proto-dst 80 accept",
    "meta l4proto tcp ct original proto-dst vmap { 80 : accept, 81 : jump t0_more }",
    "ip saddr 10.0.0.0/8 drop",
    "return",
  ]);
});

test("names are no words of the language; what has no ports, or is said of what others translate, is left out", () => {
  const rules = [
    "counter packets 0 bytes 0 jump ufw-logging-deny",
    'ct state invalid counter packets 1 bytes 2 log prefix "x" goto my-counter-quota-set',
    "meta l4proto ipv6-icmp xt match icmp6 ip6 hoplimit 255 counter packets 0 bytes 0 accept",
    "icmp type echo-request accept",
    "ct status dnat accept",
    "ct status { snat, dnat } drop",
    "ct status != dnat drop",
  ];
  expect(mirrored(rules)).toEqual([
    "jump t0_ufw-logging-deny",
    "ct state invalid goto t0_my-counter-quota-set",
    "drop",
  ]);
  expect(mirrorInput(host(rules), "wherry-")?.omitted).toEqual([]);
});

test("a table of one family leaves packets of the other alone, its policy too", () => {
  const { body = "" } = mirrorInput(host(["tcp dport 22 accept"], { family: "ip6" }), "wherry-") ?? {};
  expect(chain("t0_hook_input", body).filter((line) => line.includes("dnat"))).toEqual([
    "meta nfproto ipv6 oifname @bridges ct direction original ct status dnat jump t0_input",
    "meta nfproto ipv6 oifname @bridges ct direction original ct status dnat drop",
  ]);
});

test("chains that are led to and sets that are asked come along, the others do not", () => {
  const sets =
    "\tset friends {\n\t\ttype ipv4_addr\n\t\telements = { 10.0.0.1 counter packets 1 bytes 2 }\n\t}\n\n\tset idle {\n\t\ttype mark\n\t}\n\n";
  const { body = "" } = mirrorInput(host(["ip saddr @friends jump more"], { sets }), "wherry-") ?? {};
  expect(chain("t0_more", body)).toEqual(["meta l4proto tcp ct original proto-dst 99 accept"]);
  expect(body).toContain("set t0_friends {\n    type ipv4_addr\n    elements = { 10.0.0.1 }\n");
  expect(body).not.toContain("idle");
  expect(mirrorInput(host(["accept"]), "wherry-")?.body).not.toContain("t0_more");
});

test("rules of one address family stay so", () => {
  expect(mirrored(["tcp dport 22 accept"], { family: "ip6" })).toEqual([
    "meta nfproto ipv6 meta l4proto tcp ct original proto-dst 22 accept",
  ]);
});

test("a base chain's policy decides last", () => {
  const last = (policy: string) =>
    chain("t0_hook_input", mirrorInput(host([], { policy }), "wherry-")?.body).at(-1);
  expect(last("drop")).toEndWith("ct status dnat drop");
  expect(last("accept")).toEndWith("jump t0_input");
});

test("what cannot be applied is named, and opens nothing", () => {
  const strange = [
    "tcp dport 22 xt match recent counter packets 0 bytes 0 accept",
    "meta skuid 0 accept",
    "update @seen { ip saddr } accept",
  ];
  const { omitted = [] } = mirrorInput(host(strange), "wherry-") ?? {};
  expect(omitted).toEqual(strange.map((rule) => ({ chain: "inet filter input", rule })));
  expect(mirrored(strange)).toEqual([""]);
});

test("no filter, no table; engines' own tables and bridges' are no filters of the host", () => {
  expect(mirrorInput("", "wherry-")).toBeUndefined();
  expect(mirrorInput(host([]).replace("filter {", "wherry-0 {"), "wherry-")).toBeUndefined();
  expect(mirrorInput(host([], { family: "bridge" }), "wherry-")).toBeUndefined();
  expect(hostFilterTable("t", undefined, ["a"])).toBe("table inet t\ndelete table inet t\n");
});

test("who drops forwarded packets is known", () => {
  expect(forwardDrops(host([]), "wherry-")).toEqual(["table inet filter, chain forward"]);
  expect(forwardDrops(host([]).replace("inet filter", "inet wherry-0"), "wherry-")).toEqual([]);
});

test("a bypass adds what is missing in front of others' rules, and takes back what is too much", () => {
  const ruleset = `table ip filter { # handle 1
	chain FORWARD { # handle 2
		type filter hook forward priority filter; policy drop;
		iifname "wh1*" accept comment "wherry-1" # handle 5
		iifname "gone" counter packets 0 bytes 0 accept comment "wherry-1" # handle 6
		iifname "theirs" accept comment "somebody's" # handle 7
	}

	chain nat { # handle 3
		type nat hook prerouting priority dstnat; policy accept;
	}
}
table ip wherry-1 { # handle 2
	chain forward { # handle 1
		type filter hook forward priority filter; policy accept;
	}
}
`;
  const o = { ruleset, engines: "wherry-", comment: "wherry-1" };
  expect(bypass({ ...o, bridges: ["wh1*"] })).toBe(
    'delete rule ip filter FORWARD handle 6\ninsert rule ip filter FORWARD oifname "wh1*" accept comment "wherry-1"\n',
  );
  expect(bypass({ ...o, bridges: [] })).toBe(
    "delete rule ip filter FORWARD handle 5\ndelete rule ip filter FORWARD handle 6\n",
  );
});
