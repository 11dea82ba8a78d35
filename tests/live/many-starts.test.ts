/** Starts that come all at once are all answered: conmon's word is kept, also when it comes before its parent's end is seen. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

/** Enough for the fault to show: a start that never was answered. */
const rounds = 3;
const together = 48;

test("dozens of containers started at once run and end, each with its own exit code", async () => {
  const client = await engine.client();
  const run = async (code: number): Promise<number> => {
    const { Id } = await client.containers.create({
      Image: "busybox",
      Cmd: ["sh", "-c", `exit ${code}`],
      HostConfig: { NetworkMode: code % 2 === 0 ? "none" : "bridge" },
    });
    const { exit } = await client.containers.wait(Id, "next-exit");
    await client.containers.start(Id);
    const { StatusCode } = await exit;
    await client.containers.remove(Id);
    return StatusCode;
  };
  for (let round = 0; round < rounds; round++) {
    const codes = Array.from({ length: together }, (_, index) => index);
    expect(await Promise.all(codes.map(run))).toEqual(codes);
  }
  expect(await engine.leaks()).toEqual([]);
}, 60_000);
