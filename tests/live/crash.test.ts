/**
 * The engine is killed with SIGKILL in the middle of what it does, at ten points, and comes back each time: what it finds
 * is put right, what it was asked to remove is gone, and in the end nothing is left behind.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Client } from "#client/client.ts";
import { EngineUnderTest } from "./engine-under-test.ts";

let engine: EngineUnderTest;
beforeAll(async () => {
  engine = await EngineUnderTest.start();
  await engine.importBusybox();
});
afterAll(async () => await engine[Symbol.asyncDispose]());

const body = {
  Image: "busybox",
  Cmd: ["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.05; done"],
  ExposedPorts: { "80/tcp": {} },
  HostConfig: { PortBindings: { "80/tcp": [{ HostPort: "18080" }] }, Binds: ["kept:/kept"] },
};

type Act = (client: Client, id: string) => Promise<unknown>;
const acts: Readonly<
  Record<string, { readonly before: readonly ("create" | "start")[]; readonly act: Act }>
> = {
  create: { before: [], act: async (client) => await client.containers.create(body, { name: "fresh" }) },
  start: { before: ["create"], act: async (client, id) => await client.containers.start(id) },
  stop: {
    before: ["create", "start"],
    act: async (client, id) => await client.containers.stop(id, { seconds: 2 }),
  },
  rm: {
    before: ["create", "start"],
    act: async (client, id) => await client.containers.remove(id, { force: true }),
  },
};

/** Milliseconds after the request; where in its work that is differs from run to run, which is the point. */
const points: readonly [keyof typeof acts, number][] = [
  ["create", 1],
  ["create", 4],
  ["start", 2],
  ["start", 8],
  ["start", 16],
  ["start", 28],
  ["stop", 3],
  ["stop", 40],
  ["rm", 4],
  ["rm", 20],
];

for (const [name, delayMs] of points)
  test(`killed ${delayMs} ms into ${name}, the engine comes back to what is true`, async () => {
    const client = await engine.client();
    let id = "";
    const { before, act } = acts[name] ?? { before: [], act: async () => undefined };
    if (before.includes("create")) ({ Id: id } = await client.containers.create(body));
    if (before.includes("start")) await client.containers.start(id);
    const acting = act(client, id).catch(() => undefined);
    await Bun.sleep(delayMs);
    await engine.stop("SIGKILL");
    await acting;
    await engine.start();
    const again = await engine.client();
    for (const { Id } of await again.containers.list({ all: true })) {
      const { State } = await again.containers.inspect(Id);
      expect(["created", "running", "exited"]).toContain(State.Status);
      if (State.Status === "running") {
        // What runs can still be reached in every way.
        const exec = await again.containers.createExec(Id, { Cmd: ["true"], AttachStdout: true });
        await using stream = await again.containers.startExec(exec, { tty: false });
        for await (const _ of stream.output);
        expect((await again.containers.inspectExec(exec)).ExitCode).toBe(0);
        await again.containers.stop(Id, { seconds: 5 });
        expect((await again.containers.inspect(Id)).State.ExitCode).toBe(5);
      } else if (name === "rm" || name === "stop") expect(State.Status).toBe("exited");
      // A port or a name that leaked would fail this.
      await again.containers.start(Id);
      await again.containers.remove(Id, { force: true });
    }
    expect(await engine.leaks()).toEqual([]);
    expect(engine.log).not.toContain("do not end");
  }, 30_000);

test("no record is left of any of them", async () => {
  await engine.stop();
  expect(engine.recordLeaks()).toEqual([]);
  await engine.start();
});
