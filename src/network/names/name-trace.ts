/**
 * Where a container's answer to a name comes from: what its resolver would ask, step by step (resolv.conf(5), hosts(5)), and
 * who answers. Asks for real, others too.
 */
import { isIP } from "node:net";
import { decode, encode } from "dns-packet";
import type { NameIndex } from "#network/records/name-index.ts";
import type { SandboxRecord } from "#network/records/sandbox-table.ts";
import { Fault } from "#spec/fault.ts";
import { familyOf } from "#spec/ip.ts";
import type { Endpoint, NameTrace, NameTraceStep } from "#spec/network.ts";
import { rcodeOf } from "./dns-answer.ts";
import type { NameResolver, OthersStep } from "./name-resolver.ts";
import { parseResolvConf } from "./resolv-conf.ts";

export interface TraceRequest {
  readonly name: string;
  readonly type: "A" | "AAAA";
  /** Text of the container's files. */
  readonly hosts: string;
  readonly resolvConf: string;
  readonly signal: AbortSignal;
}

const truncated = 1 << 9;
const codes = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

/** @throws Fault `conflict` for a container whose servers the engine is none of: it asks them by itself. */
export async function traceName(
  record: SandboxRecord,
  o: TraceRequest,
  parts: { readonly names: NameIndex; readonly resolver: NameResolver },
): Promise<NameTrace> {
  const steps: NameTraceStep[] = [];
  const done = (addresses: readonly string[]): NameTrace => ({
    name: o.name,
    type: o.type,
    steps,
    addresses,
  });
  const inFile = hostsAddresses(o.hosts, o.name).filter(
    (address) => familyOf(address) === (o.type === "A" ? 4 : 6),
  );
  if (inFile.length > 0) {
    steps.push({ asked: o.name, source: "the container's /etc/hosts", outcome: "NOERROR", answers: inFile });
    return done(inFile);
  }
  if (record.resolver === undefined) {
    const servers = parseResolvConf(o.resolvConf).nameservers.join(", ");
    throw new Fault(
      "conflict",
      `container ${record.containerName} is on no network of a user's: it asks ${servers || "nobody"} by itself, and the engine is not in the way`,
    );
  }
  for (const asked of isIP(o.name) === 0 ? candidates(o.name, o.resolvConf) : [reverseName(o.name)]) {
    const answers = await askOne(record, asked, o, { ...parts, steps });
    if (answers.length > 0) return done(answers);
  }
  return done([]);
}

/** Names a resolver asks for in turn: with the search list first where the name has fewer dots than `ndots`. */
export function candidates(name: string, resolvConf: string): string[] {
  const { search, options } = parseResolvConf(resolvConf);
  const ndots = Number(options.find((each) => each.startsWith("ndots:"))?.slice(6) ?? 1);
  if (name.endsWith(".")) return [name.slice(0, -1)];
  const listed = search.filter((each) => each !== ".").map((each) => `${name}.${each.replace(/\.$/, "")}`);
  return name.split(".").length - 1 >= ndots ? [name, ...listed] : [...listed, name];
}

function hostsAddresses(text: string, name: string): string[] {
  return text.split("\n").flatMap((line) => {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    return isIP(address) !== 0 && names.some((each) => each.toLowerCase() === name.toLowerCase())
      ? [address]
      : [];
  });
}

function reverseName(address: string): string {
  if (!address.includes(":")) return `${address.split(".").reverse().join(".")}.in-addr.arpa`;
  const [head = "", tail = ""] = address.split("::");
  const groups = (text: string) => text.split(":").filter((each) => each !== "");
  const [first, last] = [groups(head), groups(tail)];
  const zeros = Array<string>(8 - first.length - last.length).fill("0");
  const digits = [...first, ...zeros, ...last].map((each) => each.padStart(4, "0")).join("");
  return `${digits.split("").reverse().join(".")}.ip6.arpa`;
}

async function askOne(
  record: SandboxRecord,
  asked: string,
  o: TraceRequest,
  { names, resolver, steps }: { names: NameIndex; resolver: NameResolver; steps: NameTraceStep[] },
): Promise<string[]> {
  const type = /\.(?:in-addr|ip6)\.arpa$/.test(asked) ? "PTR" : o.type;
  const query = encode({ type: "query", id: 1, flags: 256, questions: [{ name: asked, type, class: "IN" }] });
  const own = resolver.own(record, query, "tcp");
  if (own === undefined) return [];
  if (own !== "others") {
    const answers = answersIn(own);
    const source =
      type === "PTR" ? "an address of the container's networks" : named(names.named(record, asked), asked);
    steps.push({ asked, source, outcome: answers.length > 0 ? "NOERROR" : `no ${type} address`, answers });
    return answers;
  }
  const told: OthersStep[] = [];
  const tell = (step: OthersStep): void => void told.push(step);
  const first = await resolver.others(record, query, { transport: "udp", signal: o.signal, tell });
  // Cut: as a resolver does, once more by TCP.
  const isCut = (first.readUInt16BE(2) & truncated) !== 0;
  const reply = isCut
    ? await resolver.others(record, query, { transport: "tcp", signal: o.signal, tell })
    : first;
  const answers = answersIn(reply);
  if (told.length === 0)
    steps.push({
      asked,
      source: "nobody: no server is known",
      outcome: codeName(rcodeOf(reply)),
      answers: [],
    });
  for (const [index, step] of told.entries()) {
    const isLast = index === told.length - 1;
    steps.push({ asked, ...wordsOf(step, codeName(rcodeOf(reply))), answers: isLast ? answers : [] });
  }
  return answers;
}

/** `network back: alias of container web`. */
function named(found: readonly Endpoint[], asked: string): string {
  const [first] = found;
  if (first === undefined) return "the engine";
  const label = asked.toLowerCase();
  const isNetworks = label.endsWith(`.${first.networkName.toLowerCase()}`);
  const bare = isNetworks ? label.slice(0, -first.networkName.length - 1) : label;
  const owners = found.map(({ dnsNames: [name = ""] }) => name);
  const kind = owners.every((each) => each.toLowerCase() === bare)
    ? "name"
    : found.every(({ dnsNames }) => dnsNames.some((each) => each.toLowerCase() === bare))
      ? /^[0-9a-f]{12}$/.test(bare)
        ? "short id"
        : "alias"
      : "link";
  return `network ${first.networkName}: ${kind} of container ${owners.join(", ")}`;
}

function wordsOf(step: OthersStep, last: string): { source: string; outcome: string } {
  switch (step.kind) {
    case "bare":
      return { source: "nobody: a bare name, and ndots is set", outcome: last };
    case "no-way-out":
      return { source: "nobody: the container is on internal networks only", outcome: `refused (${last})` };
    case "cache":
      return { source: `cache, for ${step.secondsLeft} s more`, outcome: last };
    case "server": {
      const { server, fromHost, code } = step;
      const whose = fromHost ? "the host's server" : "the container's server";
      return {
        source: `${whose} ${server.address}`,
        outcome: code === undefined ? "no answer" : codeName(code),
      };
    }
  }
}

function codeName(code: number): string {
  return codes[code] ?? `code ${code}`;
}

function answersIn(reply: Buffer): string[] {
  try {
    return (decode(reply).answers ?? []).flatMap((each) =>
      each.type === "A" || each.type === "AAAA" || each.type === "PTR" ? [each.data] : [],
    );
  } catch {
    return [];
  }
}
