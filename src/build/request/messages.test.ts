import { expect, test } from "bun:test";
import { Fault } from "#spec/fault.ts";
import { type BuildMessage, errorMessage, MessageChannel, Reporter } from "./messages.ts";

async function all(channel: MessageChannel): Promise<BuildMessage[]> {
  const messages: BuildMessage[] = [];
  for await (const message of channel.read()) messages.push(message);
  return messages;
}

test("a channel hands over what was said before it ended", async () => {
  const channel = new MessageChannel();
  await channel.push({ stream: "a" });
  const reading = all(channel);
  await channel.push({ stream: "b" });
  channel.end();
  await channel.push({ stream: "too late" });
  expect(await reading).toEqual([{ stream: "a" }, { stream: "b" }]);
});

test("a slow reader makes the writer wait, an absent one does not hold it", async () => {
  const channel = new MessageChannel();
  let pushed = 0;
  const writing = (async () => {
    for (; pushed < 1000; pushed++) await channel.push({ stream: "x" });
  })();
  await Bun.sleep(5);
  expect(pushed).toBeLessThan(300);
  channel.end();
  await writing;
  expect(pushed).toBe(1000);
});

test("output keeps characters whole and shows stderr in red", async () => {
  const channel = new MessageChannel();
  const reporter = new Reporter(channel);
  const euro = new TextEncoder().encode("€");
  await reporter.output({ stream: "stdout", bytes: euro.subarray(0, 2) });
  await reporter.output({ stream: "stderr", bytes: new TextEncoder().encode("oh") });
  await reporter.output({ stream: "stdout", bytes: euro.subarray(2) });
  channel.end();
  expect(await all(channel)).toEqual([{ stream: "\u001b[91moh\u001b[0m" }, { stream: "€" }]);
});

test("an error carries the command's exit code", () => {
  expect(errorMessage(new Fault("invalid", "no", { detail: { exitCode: 3 } }))).toEqual({
    errorDetail: { code: 3, message: "no" },
    error: "no",
  });
  expect(errorMessage(new Fault("invalid", "no"))).toEqual({ errorDetail: { message: "no" }, error: "no" });
});
