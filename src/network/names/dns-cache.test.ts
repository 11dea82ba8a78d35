import { describe, expect, test } from "bun:test";
import { type Answer, decode, encode, type Packet, type Question } from "dns-packet";
import { DnsCache } from "./dns-cache.ts";
import { agedReply, keptSeconds } from "./dns-ttl.ts";
import { OwnAnswers } from "./own-answers.ts";

const ask = (name: string, type: Question["type"] = "A", id = 7) =>
  encode({ type: "query", id, flags: 256, questions: [{ name, type, class: "IN" }] });
const a = (ttl: number, data = "10.0.0.1", name = "example.org"): Answer => ({
  type: "A",
  name,
  ttl,
  class: "IN",
  data,
});
const reply = (answers: Answer[], more: Partial<Packet> = {}) =>
  encode({
    type: "response",
    id: 7,
    flags: 0x180,
    questions: [{ name: "example.org", type: "A", class: "IN" }],
    answers,
    ...more,
  });
const soa = (ttl: number, minimum: number): Answer => ({
  type: "SOA",
  name: "org",
  ttl,
  data: { mname: "ns.org", rname: "root.org", serial: 1, refresh: 2, retry: 3, expire: 4, minimum },
});

describe("an answer is kept", () => {
  test("for as long as the shortest-lived of its records says, an hour at most", () => {
    expect(keptSeconds(reply([a(60), a(30, "10.0.0.2")]))).toBe(30);
    expect(keptSeconds(reply([a(1_000_000)]))).toBe(3600);
    expect(keptSeconds(reply([a(0)]))).toBe(0);
  });

  test("when it says that nothing is there, as the zone says", () => {
    expect(keptSeconds(reply([], { authorities: [soa(900, 60)] }))).toBe(60);
    expect(keptSeconds(reply([], { flags: 0x183, authorities: [soa(20, 60)] }))).toBe(20);
    expect(keptSeconds(reply([], { flags: 0x183 }))).toBe(0);
  });

  test("not when it is cut, a failure, or broken", () => {
    expect(keptSeconds(reply([a(60)], { flags: 0x380 }))).toBe(0);
    for (const code of [1, 2, 4, 5]) expect(keptSeconds(reply([a(60)], { flags: 0x180 | code }))).toBe(0);
    const whole = reply([a(60)]);
    for (let end = 12; end < whole.length; end++) expect(keptSeconds(whole.subarray(0, end))).toBe(0);
  });
});

test("told again it has the id and the letters of the question, and less time left", () => {
  const aged = decode(agedReply(reply([a(60), a(10)]), ask("EXAMPLE.org", "A", 99), 25));
  expect([aged.id, aged.questions?.[0]?.name]).toEqual([99, "EXAMPLE.org"]);
  expect(aged.answers).toMatchObject([{ ttl: 35 }, { ttl: 0 }]);
});

describe("the cache", () => {
  test("answers who asks the same of the same servers, until its time is over", () => {
    let now = 0;
    const cache = new DnsCache(() => now);
    cache.store("host 10.0.0.1", ask("example.org"), reply([a(30)]));
    const found = cache.find("host 10.0.0.1", ask("Example.ORG", "A", 8), 512);
    expect([found?.secondsLeft, found?.reply.readUInt16BE(0)]).toEqual([30, 8]);
    expect(cache.find("box 10.0.0.1", ask("example.org"), 512)).toBeUndefined();
    expect(cache.find("host 10.0.0.1", ask("example.org", "AAAA"), 512)).toBeUndefined();
    expect(cache.find("host 10.0.0.1", ask("example.org"), 20)).toBeUndefined();
    now = 29_999;
    expect(cache.find("host 10.0.0.1", ask("example.org"), 512)?.secondsLeft).toBe(1);
    now = 30_000;
    expect(cache.find("host 10.0.0.1", ask("example.org"), 512)).toBeUndefined();
  });

  test("keeps no more than so many, the latest", () => {
    const cache = new DnsCache();
    for (let index = 0; index < 3000; index++) cache.store("s", ask(`n${index}.org`), reply([a(30)]));
    const kept = Array.from(
      { length: 3000 },
      (_, index) => cache.find("s", ask(`n${index}.org`), 512) !== undefined,
    );
    expect([kept.filter(Boolean).length, kept.at(-1), kept[0]]).toEqual([2048, true, false]);
  });
});

test("any bytes whatever are kept or not, and told again, without a crash", () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  let state = seed;
  const random = (below: number) => {
    state = (state * 48_271 + 11) % 0x7fffffff;
    return state % below;
  };
  const query = ask("example.org");
  const origin = reply([a(60), a(10)], { authorities: [soa(900, 60)] });
  // Names that lead to themselves, and to one another.
  const loops = [Buffer.from(origin), Buffer.from(origin)];
  loops[0]?.writeUInt16BE(0xc000 + query.length, query.length);
  loops[1]?.writeUInt16BE(0xc00c, 12);
  const broken = Array.from({ length: 5000 }, () => {
    const bytes = Buffer.from(origin.subarray(0, 12 + random(origin.length - 11)));
    for (let times = random(6); times >= 0; times--) bytes[random(bytes.length)] = random(256);
    return bytes;
  });
  const cache = new DnsCache();
  for (const bytes of [...loops, ...broken]) {
    cache.store("s", query, bytes);
    const found = cache.find("s", query, 65_535);
    if (found !== undefined && found.reply.length !== bytes.length && found.reply.length > 4096)
      throw new Error(`seed ${seed}`);
  }
});

test("ready-made answers are those of the moment: in turn, under each id, until names change", () => {
  let addresses = ["10.0.0.1", "10.0.0.2"];
  let looked = 0;
  const lookups = {
    addresses: () => {
      looked++;
      return addresses;
    },
    nameOf: () => undefined,
  };
  const own = new OwnAnswers();
  const first = (id: number, turn: number, version = 1) => {
    const outcome = own.answer(ask("web", "A", id), lookups, { turn, version });
    if (outcome.kind !== "reply") throw new Error(outcome.kind);
    const { answers = [], id: given } = decode(outcome.bytes);
    return [given, answers[0]?.type === "A" ? answers[0].data : ""];
  };
  expect([first(1, 0), first(2, 1), first(3, 2), first(4, 3)]).toEqual([
    [1, "10.0.0.1"],
    [2, "10.0.0.2"],
    [3, "10.0.0.1"],
    [4, "10.0.0.2"],
  ]);
  expect(looked).toBe(2);
  addresses = ["10.0.0.3"];
  expect(first(5, 4, 2)).toEqual([5, "10.0.0.3"]);
});
