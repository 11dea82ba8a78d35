import { describe, expect, test } from "bun:test";
import {
  bigInt64,
  bool,
  bytes,
  bytesMap,
  int64,
  list,
  message,
  messageMap,
  string,
  stringMap,
  strings,
  sub,
  timestamp,
  uint32,
} from "./proto-message.ts";

const Inner = message({ name: string(1), size: int64(5) });
const Outer = message({
  text: string(1),
  flag: bool(2),
  mode: uint32(3),
  nano: bigInt64(4),
  data: bytes(6),
  inner: sub(7, Inner),
  all: list(8, Inner),
  words: strings(9),
  pairs: stringMap(10),
  blobs: bytesMap(11),
  named: messageMap(12, Inner),
  at: timestamp(13),
});

describe("proto messages", () => {
  test("come back as they were written", () => {
    const value = {
      text: "schön",
      flag: true,
      mode: 0x80000000 + 0o755,
      nano: 1_690_000_000_123_456_789n,
      data: Uint8Array.of(1, 2, 3),
      inner: { name: "a", size: 5 },
      all: [
        { name: "b", size: 2 ** 40 },
        { name: "", size: 0 },
      ],
      words: ["", "x"],
      pairs: { "": "", __proto: "p" },
      blobs: { a: Uint8Array.of(9) },
      named: { n: { name: "z", size: -1 } },
      at: 1_764_000_000_000_000_001n,
    };
    expect(JSON.stringify(Outer.decode(Outer.encode(value)), text)).toBe(JSON.stringify(value, text));
  });

  test("are nothing when all is default, and say defaults for what is absent", () => {
    expect(Outer.encode({ text: "", flag: false, words: [] }).length).toBe(0);
    const empty = Outer.decode(new Uint8Array(0));
    expect(empty.inner).toBeUndefined();
    expect([empty.text, empty.flag, empty.mode, empty.nano, empty.words.length]).toEqual([
      "",
      false,
      0,
      0n,
      0,
    ]);
  });

  test("are read by name and number as protoc encodes them", () => {
    // message { string text = 1; uint32 mode = 3; } with text "hi", mode 300
    expect(Buffer.from(Outer.encode({ text: "hi", mode: 300 })).toString("hex")).toBe(
      "0a0268691 8ac02".replace(" ", ""),
    );
  });

  test("skip what they do not know", () => {
    const Newer = message({ text: string(1), more: string(99), inner: string(7) });
    const bytesOfNewer = Newer.encode({ text: "t", more: "later" });
    expect(Outer.decode(bytesOfNewer).text).toBe("t");
  });

  test("refuse bytes that are none", () => {
    expect(() => Outer.decode(Uint8Array.of(0x0a, 0x7f, 1))).toThrow("cannot be read");
  });
});

function text(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}n` : value instanceof Uint8Array ? [...value] : value;
}
