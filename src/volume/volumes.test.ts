import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault } from "#spec/fault.ts";
import { Records } from "#store/records.ts";
import { Volumes } from "./volumes.ts";

let directory: string;
let records: Records;
let volumes: Volumes;
let users: string[];
const userOf = () => ({ uid: 0, gid: 0 });
const { signal } = new AbortController();
const happened: string[] = [];

async function open(): Promise<Volumes> {
  return await Volumes.open({
    records,
    root: join(directory, "volumes"),
    mountRoot: join(directory, "mounts"),
    plugins: { sockets: [join(directory, "plugins")], files: [] },
    usersOf: () => users,
    runningUsersOf: () => users,
    emit: (action, name) => happened.push(`${action} ${name}`),
    now: () => "2026-01-01T00:00:00Z",
    trashMs: 86_400_000,
    report: (fault) => happened.push(fault.message),
    randomHex: (bytes) => Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("hex"),
  });
}
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "wherry-volumes-"));
  records = Records.open(join(directory, "records.db"));
  users = [];
  happened.length = 0;
  volumes = await open();
});
afterEach(() => {
  volumes[Symbol.dispose]();
  records[Symbol.dispose]();
  rmSync(directory, { recursive: true, force: true });
});

function noImage(reference: string): never {
  throw new Fault("not-found", `No such image: ${reference}`);
}

function nobody(reference: string): never {
  throw new Fault("not-found", `No such container: ${reference}`);
}

async function kindOf(work: Promise<unknown>): Promise<string> {
  return Fault.from(
    await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
  ).kind;
}

test("a volume is made once, found again, and removed when nobody uses it", async () => {
  const made = await volumes.create({ name: "data", labels: { a: "1" } });
  expect(await volumes.create({ name: "data" })).toEqual(made);
  expect(statSync(made.mountpoint).isDirectory()).toBe(true);
  volumes = await open();
  expect(volumes.get("data")).toEqual(made);
  users = ["c1"];
  expect(await kindOf(volumes.remove("data", { force: true }))).toBe("conflict");
  users = [];
  await volumes.remove("data", { force: false });
  expect(existsSync(made.mountpoint)).toBe(false);
  expect(await kindOf(volumes.remove("data", { force: false }))).toBe("not-found");
  await volumes.remove("data", { force: true });
  expect(happened).toEqual(["create data", "destroy data"]);
});

test("names, drivers and options that cannot be are refused", async () => {
  expect(await kindOf(volumes.create({ name: "../up" }))).toBe("invalid");
  expect(await kindOf(volumes.create({ name: "xx", driver: "nfs" }))).not.toBe("internal");
  expect(await kindOf(volumes.create({ name: "xx", driver: "nfs" }))).toBe("not-found");
  expect(await kindOf(volumes.create({ name: "xy", options: { type: "nfs" } }))).toBe("invalid");
  expect(volumes.list()).toEqual([]);
});

test("an empty new volume gets the image's files, once, and never through a link out of the image", async () => {
  const rootfs = join(directory, "rootfs");
  mkdirSync(join(rootfs, "real"), { recursive: true, mode: 0o750 });
  writeFileSync(join(rootfs, "real/file"), "image", { mode: 0o640 });
  chownSync(join(rootfs, "real"), 5, 6);
  symlinkSync("/real", join(rootfs, "link"));
  symlinkSync("/etc", join(rootfs, "host"));
  const host = { Binds: ["one:/link", "two:/host", "three:/none"] };
  const mounts = await volumes.plan({ config: {}, host, others: nobody, image: noImage });
  await volumes.mount("c1", mounts, { rootfs, first: true, signal, userOf });
  const { mountpoint } = volumes.get("one");
  expect(readFileSync(join(mountpoint, "file"), "utf8")).toBe("image");
  expect(statSync(join(mountpoint, "file")).mode & 0o777).toBe(0o640);
  expect(statSync(mountpoint)).toMatchObject({ uid: 5, gid: 6 });
  expect(readdirSync(volumes.get("two").mountpoint)).toEqual([]);
  rmSync(join(mountpoint, "file"));
  await volumes.mount("c1", mounts, { rootfs, first: false, signal, userOf });
  expect(readdirSync(mountpoint)).toEqual([]);
});

test("a bind source that is not there is made for -v and refused for --mount", async () => {
  const source = join(directory, "made/here");
  await volumes.plan({ config: {}, host: { Binds: [`${source}:/x`] }, others: nobody, image: noImage });
  expect(statSync(source).isDirectory()).toBe(true);
  const host = { Mounts: [{ Type: "bind" as const, Source: join(directory, "no"), Target: "/x" }] };
  const error = await volumes
    .plan({ config: {}, host, others: nobody, image: noImage })
    .catch((thrown: Error) => thrown.message);
  expect(error).toBe(
    `invalid mount config for type "bind": bind source path does not exist: ${directory}/no`,
  );
});

test("anonymous volumes go with their container, unless another one has them", async () => {
  const mounts = await volumes.plan({
    config: { Volumes: { "/data": {} } },
    host: { Binds: ["named:/n"] },
    others: nobody,
    image: noImage,
  });
  expect(mounts.map(({ anonymous }) => anonymous)).toEqual([false, true]);
  users = ["c1", "c2"];
  await volumes.removeAnonymous(mounts);
  expect(volumes.list().length).toBe(2);
  users = ["c1"];
  await volumes.removeAnonymous(mounts);
  expect(volumes.list().map(({ name }) => name)).toEqual(["named"]);
});
