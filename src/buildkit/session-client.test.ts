import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LocalContext } from "#build/build-client.ts";
import { type Answer, unary } from "#grpc/grpc-server.ts";
import { BytesMessage } from "#spec/buildkit-llb.ts";
import { session } from "#spec/buildkit-session.ts";
import { goMode, Packet, packetType } from "#spec/file-packets.ts";
import { GrpcError, grpcCode } from "#spec/grpc-status.ts";
import { fileAttributes } from "#store/trees/file-attributes.ts";
import { entriesMax, Mirror } from "./mirror.ts";
import { Mirrors } from "./mirrors.ts";
import { SessionClient } from "./session-client.ts";
import { filesAnswer, type SentFile, sessionsWith } from "./session-double.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "wherry-mirror-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const signal = new AbortController().signal;
const directory = (path: string): SentFile => ({ path, mode: goMode(0o040755), modTime: 1_000_000_000n });
const file = (path: string, content: string, modTime = 2_000_000_000n): SentFile => ({
  ...{ path, content, modTime },
  mode: goMode(0o100640),
});
const link = (path: string, linkname: string): SentFile => ({
  path,
  linkname,
  mode: goMode(0o120777),
  modTime: 1n,
});

let clock = 0;
async function client(answers: readonly [string, Answer][], mirrors = Mirrors.open(root, () => ++clock)) {
  const open = await sessionsWith(answers);
  const made = new SessionClient({ sessions: open.sessions, mirrors, socketDirectory: root }, "s1", {});
  return {
    client: made,
    mirrors,
    leave: open.leave,
    [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
  };
}

async function refusal(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "none",
    (thrown: Error) => thrown.message,
  );
}

/** What is known of each file without reading is what is in it. */
function expectHashes({ directory: top, contentHash }: LocalContext): void {
  for (const path of readdirSync(top, { recursive: true, encoding: "utf8" })) {
    const stat = lstatSync(join(top, path));
    const held = stat.isFile() && stat.size > 0 ? readFileSync(join(top, path)) : undefined;
    const hash = held && createHash("sha256").update(held).digest("hex");
    expect([path, contentHash?.(path)]).toEqual([path, hash]);
  }
}

describe("a client's files", () => {
  test("come whole, with modes, times and links", async () => {
    const big = "0123456789".repeat(60_000);
    const sent = [
      directory("d"),
      file("d/big", big),
      file("d/empty", ""),
      link("l", "d/big"),
      file("z", "zzz"),
    ];
    let told = 0;
    await using open = await client([filesAnswer(sent)]);
    await using local = (await open.client.local("context", {
      signal,
      transferred: (bytes) => (told = bytes),
    }))!;
    expect(readdirSync(local.directory).sort()).toEqual(["d", "l", "z"]);
    expect(readFileSync(join(local.directory, "d/big"), "latin1")).toBe(big);
    expect(readlinkSync(join(local.directory, "l"))).toBe("d/big");
    const { mode, mtimeMs, size } = statSync(join(local.directory, "z"));
    expect([mode & 0o7777, mtimeMs, size]).toEqual([0o640, 2000, 3]);
    expect(statSync(join(local.directory, "d")).mtimeMs).toBe(1000);
    expect(told).toBeGreaterThan(big.length);
  });

  test("are asked for again only when they changed; what is gone is removed", async () => {
    const mirrors = Mirrors.open(root, () => ++clock);
    const sync = async (sent: readonly SentFile[]): Promise<[string[], string[]]> => {
      const asked: string[] = [];
      await using open = await client([filesAnswer(sent, asked)], mirrors);
      await using local = (await open.client.local("context", { signal }))!;
      expectHashes(local);
      return [asked.sort(), readdirSync(local.directory, { recursive: true, encoding: "utf8" }).sort()];
    };
    const before = [directory("d"), file("d/a", "1"), file("d/b", "2"), link("l", "d/a"), file("z", "3")];
    expect(await sync(before)).toEqual([
      ["d/a", "d/b", "z"],
      ["d", "d/a", "d/b", "l", "z"],
    ]);
    expect((await sync(before))[0]).toEqual([]);
    // A file of another time, a directory in a file's place, a link elsewhere, one gone.
    const after = [
      directory("d"),
      file("d/a", "1", 3_000_000_000n),
      link("l", "elsewhere"),
      directory("z"),
      file("z/y", "4"),
    ];
    expect(await sync(after)).toEqual([
      ["d/a", "z/y"],
      ["d", "d/a", "l", "z", "z/y"],
    ]);
    // Also by another engine's process.
    const again: string[] = [];
    await using open = await client(
      [filesAnswer(after, again)],
      Mirrors.open(root, () => ++clock),
    );
    await using local = (await open.client.local("context", { signal }))!;
    expect(again).toEqual([]);
    expectHashes(local);
    expect(local.contentHash?.("d/b")).toBeUndefined();
  });

  test("keep a user's attributes, and none that steer an overlay; others make another file", async () => {
    const mirrors = Mirrors.open(root, () => ++clock);
    const xattrs = (value: string) => ({
      xattrs: {
        "user.colour": Buffer.from(value),
        "trusted.overlay.opaque": Buffer.from("y"),
        "system.posix_acl_access": Buffer.from("x"),
      },
    });
    const sync = async (value: string): Promise<unknown[]> => {
      const asked: string[] = [];
      const sent = [
        { ...directory("d"), ...xattrs(value) },
        { ...file("d/a", "1"), ...xattrs(value) },
      ];
      await using open = await client([filesAnswer(sent, asked)], mirrors);
      await using local = (await open.client.local("context", { signal }))!;
      const found = ["d", "d/a"].map((path) =>
        [...fileAttributes(join(local.directory, path))].map(
          ([name, each]) => `${name}=${Buffer.from(each)}`,
        ),
      );
      // Whoever makes a key of the file has to look at it.
      expect(local.contentHash?.("d/a")).toBeUndefined();
      return [asked, ...found];
    };
    expect(await sync("red")).toEqual([["d/a"], ["user.colour=red"], ["user.colour=red"]]);
    expect(await sync("red")).toEqual([[], ["user.colour=red"], ["user.colour=red"]]);
    expect(await sync("blue")).toEqual([["d/a"], ["user.colour=blue"], ["user.colour=blue"]]);
  });

  test("take no more room than they may: the copy used longest ago goes", async () => {
    const mirrors = Mirrors.open(root, () => ++clock, 10);
    for (const name of ["one", "two"]) {
      await using open = await client([filesAnswer([file("a", "123456")])], mirrors);
      await using _ = (await open.client.local(name, { signal }))!;
    }
    expect(mirrors.list().map(({ name, sizeBytes }) => [name, sizeBytes])).toEqual([["two", 6]]);
    expect(mirrors.sizeBytes).toBe(6);
  });

  test("are looked at once more when the machine was started since, and sent again when something is amiss", async () => {
    const sent = [directory("d"), file("d/a", "123"), link("l", "d")];
    const asked: string[] = [];
    const sync = async (): Promise<string> => {
      await using open = await client(
        [filesAnswer(sent, asked)],
        Mirrors.open(root, () => ++clock),
      );
      await using _ = (await open.client.local("context", { signal }))!;
      const [id = ""] = readdirSync(root);
      return join(root, id);
    };
    const harm = (place: string, work: (place: string) => void): void => {
      const about = JSON.parse(readFileSync(join(place, "about.json"), "utf8"));
      work(place);
      writeFileSync(join(place, "about.json"), JSON.stringify({ ...about, bootId: "of another run" }));
    };
    harm(await sync(), () => undefined);
    harm(await sync(), (place) => writeFileSync(join(place, "files/d/a"), ""));
    expect(asked).toEqual(["d/a"]);
    harm(await sync(), (place) => writeFileSync(join(place, "index.json"), ""));
    expect(asked).toEqual(["d/a", "d/a"]);
    harm(await sync(), (place) => rmSync(join(place, "files/l")));
    await sync();
    expect(asked).toEqual(["d/a", "d/a", "d/a", "d/a"]);
  });

  test("at the same time: one copy within a session, two for two sessions", async () => {
    const asked: string[] = [];
    await using one = await client([filesAnswer([file("a", "1")], asked)]);
    await using first = (await one.client.local("context", { signal }))!;
    await using second = (await one.client.local("context", { signal }))!;
    expect(second.directory).toBe(first.directory);
    await using other = await client([filesAnswer([file("a", "1")], asked)], one.mirrors);
    await using third = (await other.client.local("context", { signal }))!;
    expect(third.directory).not.toBe(first.directory);
    expect(asked).toEqual(["a", "a"]);
    expect(one.mirrors.list().filter(({ inUse }) => inUse).length).toBe(2);
  });

  test.each([
    ["climbs out", [file("../x", "1")]],
    ["climbs out of a directory", [directory("d"), file("d/../../x", "1")]],
    ["is absolute", [file("/etc/passwd", "1")]],
    ["goes through a link", [link("l", "/etc"), file("l/passwd", "1")]],
    ["goes through a file", [file("f", "1"), file("f/x", "1")]],
    ["has no directory", [file("d/x", "1")]],
    ["comes twice", [file("a", "1"), link("a", "/etc/passwd")]],
    ["is a dot", [directory("."), file("./x", "1")]],
    ["has a NUL", [file("a\0b", "1")]],
  ])("a path that %s is refused, and nothing is kept", async (_name, sent) => {
    await using open = await client([filesAnswer(sent)]);
    expect(await refusal(open.client.local("context", { signal }))).toContain("the client lists");
    expect(readdirSync(root)).toEqual([]);
  });

  test("that never come are no more than those that do", async () => {
    const mirror = await Mirror.open(join(root, "m"));
    const stat = (path: string) => ({
      ...{ path, mode: goMode(0o100600), uid: 0, gid: 0, size: 1, modTime: 1n },
      ...{ linkname: "", devmajor: 0, devminor: 0, xattrs: {} },
    });
    for (let at = 0; at < entriesMax; at++) mirror.place(stat(`f${at}`));
    expect(() => mirror.place(stat("one more"))).toThrow(`can have ${entriesMax} files at most`);
  });

  test("of another size than listed are taken as they came, and counted so", async () => {
    const listed: [string, Answer] = [
      session.fileSync.path,
      async (call) => {
        const stat = { ...file("a", ""), size: 3 };
        await call.send(Packet.encode({ type: packetType.stat, stat }));
        await call.send(Packet.encode({ type: packetType.stat }));
        for (const data of ["longer than that", ""])
          await call.send(Packet.encode({ type: packetType.data, ID: 0, data: Buffer.from(data) }));
        for await (const bytes of call.requests)
          if (Packet.decode(bytes).type === packetType.end)
            return void (await call.send(Packet.encode({ type: packetType.end })));
      },
    ];
    await using open = await client([listed]);
    await using local = (await open.client.local("context", { signal }))!;
    expectHashes(local);
    expect(open.mirrors.sizeBytes).toBe(16);
  });

  test("that cannot be read end the build in the client's words", async () => {
    const broken: [string, Answer] = [
      session.fileSync.path,
      async () => {
        throw new GrpcError(grpcCode.unknown, "open /secret: permission denied");
      },
    ];
    await using open = await client([broken]);
    expect(await refusal(open.client.local("context", { signal }))).toBe("open /secret: permission denied");
  });

  test("of a client that leaves are no context", async () => {
    const { promise: begun, resolve } = Promise.withResolvers<void>();
    const stuck: [string, Answer] = [
      session.fileSync.path,
      async ({ signal: over }) => {
        resolve();
        await once(over, "abort");
      },
    ];
    await using open = await client([stuck]);
    const asked = refusal(open.client.local("context", { signal }));
    await begun;
    open.leave();
    expect(await asked).not.toBe("none");
    expect(readdirSync(root)).toEqual([]);
  });

  test("are none when the client serves none", async () => {
    await using open = await client([]);
    expect(await open.client.local("context", { signal })).toBeUndefined();
    expect(await open.client.upload("http://buildkit-session/x", signal)).toBeUndefined();
  });
});

describe("what else a client is asked", () => {
  test("secrets, and what it does not have", async () => {
    const answer = unary(session.getSecret, ({ ID }) => {
      if (ID !== "a") throw new GrpcError(grpcCode.notFound, "secret not found");
      return { data: Buffer.from("shush") };
    });
    await using open = await client([answer]);
    expect(Buffer.from((await open.client.secret("a", signal))!).toString()).toBe("shush");
    expect(await open.client.secret("b", signal)).toBeUndefined();
  });

  test("credentials: a password, a token, none", async () => {
    const answer = unary(session.credentials, ({ Host }) => {
      if (Host === "pass") return { Username: "me", Secret: "word" };
      return Host === "token" ? { Secret: "tok" } : {};
    });
    await using open = await client([answer]);
    expect(await open.client.credentials("pass", signal)).toEqual({ username: "me", password: "word" });
    expect(await open.client.credentials("token", signal)).toEqual({ identityToken: "tok" });
    expect(await open.client.credentials("other", signal)).toBeUndefined();
  });

  test("an ssh agent behind a socket", async () => {
    const check = unary(session.checkAgent, ({ ID }) => {
      if (ID !== "default") throw new GrpcError(grpcCode.unknown, `unset ssh forward key ${ID}`);
      return {};
    });
    const forward: [string, Answer] = [
      session.forwardAgent.path,
      async (call) => {
        for await (const bytes of call.requests) {
          const text = Buffer.from(BytesMessage.decode(bytes).data).toString();
          await call.send(BytesMessage.encode({ data: Buffer.from(text.toUpperCase()) }));
        }
      },
    ];
    await using open = await client([check, forward]);
    expect(await open.client.ssh("other", signal)).toBeUndefined();
    await using agent = (await open.client.ssh("default", signal))!;
    const socket = connect(agent.socketPath);
    socket.end("keys?");
    let heard = "";
    for await (const part of socket as AsyncIterable<Buffer>) heard += part.toString();
    expect(heard).toBe("KEYS?");
  });

  test("a session that never comes is waited for, not for ever, and not after the build is called off", async () => {
    await using open = await client([]);
    await using others = await sessionsWith([]);
    const lone = new SessionClient(
      { sessions: others.sessions, mirrors: open.mirrors, socketDirectory: root },
      "elsewhere",
      {},
    );
    const abort = new AbortController();
    const asked = refusal(lone.secret("a", abort.signal));
    abort.abort(new Error("called off"));
    expect(await asked).toBe("called off");
  });
});
