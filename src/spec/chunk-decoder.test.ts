import { expect, test } from "bun:test";
import { ChunkDecoder } from "./chunk-decoder.ts";

function decode(text: string, size = text.length): { data: string; rest: string; ended: boolean } {
  const decoder = new ChunkDecoder();
  const data: Uint8Array[] = [];
  const bytes = Buffer.from(text, "latin1");
  let at = 0;
  while (at < bytes.length && !decoder.ended) at += decoder.push(bytes.subarray(at, at + size), data);
  return {
    data: Buffer.concat(data).toString("latin1"),
    rest: bytes.subarray(at).toString("latin1"),
    ended: decoder.ended,
  };
}

test("chunks of any size, cut anywhere, and what comes behind them", () => {
  const body = "5\r\nhello\r\n1;name=value\r\n \r\n6 \nworld!\n0\r\nTrailer: x\r\n\r\nNEXT";
  for (const size of [1, 2, 3, 7, body.length])
    expect(decode(body, size)).toEqual({ data: "hello world!", rest: "NEXT", ended: true });
  expect(decode("5\r\nhel").ended).toBe(false);
});

test("what is no such encoding is refused, without end is bounded", () => {
  for (const [text, said] of [
    ["x\r\n", "invalid byte in chunk length"],
    ["-1\r\n", "invalid byte in chunk length"],
    ["fffffffffffff\r\n", "invalid byte in chunk length"],
    ["1\r\nab\r\n", "malformed chunked encoding"],
    ["1".repeat(5000), "a line of the chunked body is too long"],
    [`0\r\n${"A: b\r\n".repeat(2000)}`, "too many trailers after the chunked body"],
  ] as const)
    for (const size of [1, 1000, text.length]) expect(() => decode(text, size)).toThrow(said);
});
