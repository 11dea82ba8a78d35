import { afterEach, beforeEach, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testLogs } from "./logs-fixture.ts";

let directory: string;
let path: string;
let controller: AbortController;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "wherry-follow-"));
  path = join(directory, "log");
  controller = new AbortController();
  writeFileSync(path, "");
});
afterEach(() => {
  controller.abort();
  rmSync(directory, { recursive: true, force: true });
});

const forever = new Promise<never>(() => undefined);
const record = (text: string) => `2026-01-01T00:00:01.000000007+00:00 stdout F ${text}\n`;

function follow(o: { from?: "end"; tail?: number; ended?: Promise<unknown> } = {}) {
  const { ended = forever, ...rest } = o;
  const range = { stdout: true, stderr: true, ...rest };
  const frames = testLogs().read(path, { ...range, follow: { ended }, signal: controller.signal });
  const iterator = frames[Symbol.asyncIterator]();
  return async (): Promise<string> => {
    const next = iterator.next();
    next.catch(() => undefined);
    const late = Bun.sleep(1000).then(() => "nothing came");
    const text = next.then((result) =>
      result.done === true ? "the end" : Buffer.from(result.value.bytes).toString(),
    );
    return await Promise.race([text, late]);
  };
}

test("each line comes when it is written, however soon after the one before", async () => {
  const next = follow();
  for (let index = 0; index < 400; index++) {
    const coming = next();
    const until = performance.now() + (index % 8) * 0.2;
    while (performance.now() < until);
    if (index % 3 === 0) await Bun.sleep(1);
    appendFileSync(path, record(`${index}`));
    expect(await coming).toBe(`${index}\n`);
  }
});

test("a log that is emptied in its place is read anew", async () => {
  appendFileSync(path, record("a long line before") + record("another").slice(0, 40));
  const next = follow();
  expect(await next()).toBe("a long line before\n");
  const coming = next();
  await Bun.sleep(10);
  truncateSync(path);
  appendFileSync(path, record("new"));
  expect(await coming).toBe("new\n");
});

test("a log that is replaced is followed to its old end", async () => {
  const ended = Promise.withResolvers<void>();
  const next = follow({ ended: ended.promise });
  appendFileSync(path, record("old"));
  rmSync(path);
  writeFileSync(path, record("of another file"));
  expect(await next()).toBe("old\n");
  ended.resolve();
  expect(await next()).toBe("the end");
});

for (const o of [{ from: "end" as const }, { tail: 0 }])
  test(`a record half written at the start belongs to the reader: ${JSON.stringify(o)}`, async () => {
    const half = record("half");
    appendFileSync(path, record("before") + half.slice(0, -3));
    const next = follow(o);
    appendFileSync(path, half.slice(-3));
    expect(await next()).toBe("half\n");
  });

test("what conmon writes is what the process wrote", async () => {
  // A runtime that only starts the process: the log is conmon's own.
  const script = join(directory, "runtime");
  const child = `printf 'a\\r\\nb'; printf '\\0\\377\\n\\nerr' >&2; head -c 300000 /dev/zero | tr '\\0' x; sleep 0.2; echo; printf end`;
  writeFileSync(
    script,
    `#!/bin/sh\nwhile [ $# -gt 0 ]; do case $1 in --pid-file) shift; f=$1;; create) c=1;; esac; shift; done
[ -n "$c" ] || exit 0\nsh -c "$CHILD" & printf %s $! >"$f"\n`,
  );
  chmodSync(script, 0o755);
  mkdirSync(join(directory, "bundle"));
  const ended = Promise.withResolvers<void>();
  const got = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  const o = { stdout: true, stderr: true, follow: { ended: ended.promise }, signal: controller.signal };
  const reading = (async () => {
    for await (const { stream, bytes } of testLogs().read(path, o)) got[stream].push(bytes);
  })();
  const conmon = spawn(
    "conmon",
    ["-c", "c1", "-u", "c1", "-n", "c1", "-r", script, "-b", join(directory, "bundle"), "--sync"].concat(
      ["-p", join(directory, "pid"), "--exit-dir", directory, "-l", `k8s-file:${path}`, "--full-attach"],
      ["--socket-dir-path", directory],
    ),
    { env: { PATH: process.env["PATH"], CHILD: child }, stdio: "ignore" },
  );
  await new Promise((resolve) => conmon.on("exit", resolve));
  ended.resolve();
  await reading;
  expect(Buffer.concat(got.stderr)).toEqual(Buffer.from("\0\xff\n\nerr", "latin1"));
  expect(Buffer.concat(got.stdout).toString()).toBe(`a\r\nb${"x".repeat(300_000)}\nend`);
});
