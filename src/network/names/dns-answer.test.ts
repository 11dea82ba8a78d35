import { describe, expect, test } from "bun:test";
import { decode, encode, type Packet, type Question } from "dns-packet";
import { answer, answers, failure, rcode, rcodeOf } from "./dns-answer.ts";

const many = Array.from({ length: 200 }, (_, index) => `10.0.0.${index + 1}`);
const lookups = {
  addresses: (name: string, family: 4 | 6) =>
    family === 4
      ? { web: ["10.0.0.1", "10.0.0.2", "10.0.0.3"], one: ["10.0.0.9"], many }[name.toLowerCase()]
      : { web: ["fd00::1"], one: [] }[name.toLowerCase()],
  nameOf: (address: string) => (["10.0.0.9", "fd00::9"].includes(address) ? "one.net" : undefined),
};
const query = (name: string, type: Question["type"], more: Partial<Packet> = {}) =>
  encode({ type: "query", id: 77, flags: 256, questions: [{ name, type, class: "IN" }], ...more });
const ask = (bytes: Buffer, transport: "udp" | "tcp" = "udp", turn = 0) => {
  const outcome = answer(bytes, lookups, { transport, turn });
  if (outcome.kind !== "reply") throw new Error(outcome.kind);
  return outcome.bytes;
};
const addressesIn = (bytes: Buffer) =>
  (decode(bytes).answers ?? []).map((each) => (each.type === "A" ? each.data : each.type));

describe("a name that is known", () => {
  test("has its addresses, in another order each time", () => {
    const turns = [0, 1, 2, 3].map((turn) => addressesIn(ask(query("web", "A"), "udp", turn)));
    expect(turns).toEqual([
      ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
      ["10.0.0.2", "10.0.0.3", "10.0.0.1"],
      ["10.0.0.3", "10.0.0.1", "10.0.0.2"],
      ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
    ]);
  });

  test("is echoed as it was asked, with the id and what was desired", () => {
    const reply = decode(ask(query("ONE", "A")));
    expect(reply).toMatchObject({ type: "response", id: 77, rcode: "NOERROR", flag_rd: true, flag_ra: true });
    expect(reply.questions?.[0]?.name).toBe("ONE");
    expect(reply.answers).toMatchObject([{ name: "ONE", ttl: 600, data: "10.0.0.9" }]);
  });

  test("has nothing of other types, which is no error", () => {
    for (const type of ["AAAA", "MX", "TXT"] as const)
      expect(decode(ask(query("one", type)))).toMatchObject({ rcode: "NOERROR", answers: [] });
  });

  test("is found by address", () => {
    expect(decode(ask(query("9.0.0.10.in-addr.arpa", "PTR"))).answers).toMatchObject([{ data: "one.net" }]);
  });
});

describe("the size", () => {
  const extension = (udpPayloadSize: number) => ({
    additionals: [
      {
        type: "OPT" as const,
        name: ".",
        udpPayloadSize,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  });

  test("is 512 bytes by UDP, and who got less is told so; by TCP all come", () => {
    const short = ask(query("many", "A"));
    expect(short.length).toBeLessThanOrEqual(512);
    expect(decode(short).flag_tc).toBe(true);
    expect(addressesIn(short).length).toBeGreaterThan(20);
    const whole = decode(ask(query("many", "A"), "tcp"));
    expect([whole.flag_tc, whole.answers?.length]).toEqual([false, 200]);
  });

  test("is what the asker offers (EDNS), which is answered in kind", () => {
    const reply = ask(query("many", "A", extension(1400)));
    expect(reply.length).toBeGreaterThan(1000);
    expect(reply.length).toBeLessThanOrEqual(1400);
    expect(decode(reply).additionals).toMatchObject([{ type: "OPT", udpPayloadSize: 1232 }]);
    expect(decode(ask(query("many", "A", extension(10)))).flag_tc).toBe(true);
  });
});

test("what is not known is for others, a bare name marked as such", () => {
  expect(answer(query("example.com", "A"), lookups, { transport: "udp", turn: 0 })).toEqual({
    kind: "forward",
    singleLabel: false,
  });
  expect(answer(query("nosuch", "AAAA"), lookups, { transport: "udp", turn: 0 })).toEqual({
    kind: "forward",
    singleLabel: true,
  });
});

test("nonsense is refused or dropped, never believed", () => {
  const drop = (bytes: Buffer) => answer(bytes, lookups, { transport: "udp", turn: 0 }).kind;
  expect(drop(Buffer.alloc(5))).toBe("drop");
  expect(drop(encode({ type: "response", id: 1, questions: [{ name: "one", type: "A" }] }))).toBe("drop");
  const update = query("one", "A");
  update.writeUInt16BE(5 << 11, 2);
  expect(rcodeOf(ask(update))).toBe(rcode.notImplemented);
  for (const broken of [Buffer.alloc(12), query("one", "A").subarray(0, 15)])
    expect(rcodeOf(ask(broken))).toBe(rcode.formatError);
  const two = encode({
    type: "query",
    id: 1,
    questions: [
      { name: "one", type: "A" },
      { name: "web", type: "A" },
    ],
  });
  expect(rcodeOf(ask(two))).toBe(rcode.formatError);
  // Any bytes whatever get an answer or none, but no crash.
  for (let seed = 1; seed <= 2000; seed++) {
    const bytes = Buffer.from(query("one", "A", { additionals: [] }));
    for (let times = 0; times < 4; times++) {
      const at = (seed * 31 + times * 17) % bytes.length;
      bytes[at] = (seed * 7 + times * 13) & 255;
    }
    expect(["reply", "forward", "drop"]).toContain(drop(bytes));
  }
});

test("only a reply to the very question is one", () => {
  const asked = query("Example.com", "A");
  const reply = failure(asked, rcode.serverFailure);
  expect([rcodeOf(reply), answers(asked, reply)]).toEqual([rcode.serverFailure, true]);
  expect(answers(asked, asked)).toBe(false);
  expect(answers(asked, failure(query("example.org", "A"), 0))).toBe(false);
  expect(answers(asked, failure(query("example.com", "AAAA"), 0))).toBe(false);
  const other = failure(asked, 0);
  other.writeUInt16BE(78, 0);
  expect(answers(asked, other)).toBe(false);
});

test("addresses of IPv6, and the way back from them", () => {
  const answersTo = (name: string, type: Question["type"]) =>
    decode(ask(query(name, type))).answers?.map((each) => ("data" in each ? each.data : ""));
  expect(answersTo("web", "AAAA")).toEqual(["fd00::1"]);
  expect(answersTo("one", "AAAA")).toEqual([]);
  const reverse = `9.${"0.".repeat(27)}0.0.d.f.ip6.arpa`;
  expect(answersTo(reverse, "PTR")).toEqual(["one.net"]);
});
