/**
 * A directory to the engine, which asks for what it does not have yet.
 * Owns: which files a filter leaves, and the sending side of the protocol (tonistiigi/fsutil send.go).
 */
import { createReadStream, lstatSync, readdirSync, readlinkSync, type Stats } from "node:fs";
import { join, posix } from "node:path";
import dockerignore from "@balena/dockerignore";
import type { Answer, ServerCall } from "#grpc/grpc-server.ts";
import { session, sessionHeader } from "#spec/buildkit-session.ts";
import { Fault } from "#spec/fault.ts";
import { type FileStatWritten, goMode, Packet, packetType } from "#spec/file-packets.ts";

const chunkBytes = 128 * 1024;
const linksMax = 255;

/** Directories by the names the engine asks for them. @throws Fault `not-found` for another name. */
export function fileSync(directories: ReadonlyMap<string, string>): [string, Answer] {
  return [
    session.fileSync.path,
    async (call) => {
      const name = call.metadata[sessionHeader.directory]?.[0] ?? "";
      const root = directories.get(name);
      if (root === undefined)
        throw new Fault("not-found", `no access allowed to dir ${JSON.stringify(name)}`);
      const filter = {
        exclude: values(call, sessionHeader.exclude),
        include: [
          ...values(call, sessionHeader.include),
          ...followed(root, values(call, sessionHeader.follow)),
        ],
      };
      await sendDirectory(call, root, filter);
    },
  ];
}

function values(call: ServerCall, name: string): readonly string[] {
  const given = call.metadata[name] ?? [];
  return call.metadata[`${name}-encoded`] === undefined
    ? given
    : given.map((value) => decodeURIComponent(value.replaceAll("+", " ")));
}

export interface DirectoryFilter {
  /** As in `.dockerignore`. */
  readonly exclude: readonly string[];
  /** Paths and patterns; nothing else is sent when there are any. */
  readonly include: readonly string[];
}

async function sendDirectory(call: ServerCall, root: string, filter: DirectoryFilter): Promise<void> {
  const paths: string[] = [];
  const say = async (packet: Parameters<typeof Packet.encode>[0]): Promise<void> =>
    await call.send(Packet.encode(packet));
  const listing = (async () => {
    for (const { path, stat } of entries(root, filter)) {
      paths.push(path);
      await say({ type: packetType.stat, stat: statOf(root, path, stat) });
    }
    await say({ type: packetType.stat });
  })();
  listing.catch(() => undefined);
  for await (const bytes of call.requests) {
    const { type, ID, data } = Packet.decode(bytes);
    if (type === packetType.error) throw new Fault("invalid", Buffer.from(data).toString());
    if (type === packetType.end) {
      await listing;
      await say({ type: packetType.end });
      return;
    }
    const path = paths[ID];
    if (type !== packetType.request || path === undefined) continue;
    const content = createReadStream(join(root, path), { highWaterMark: chunkBytes });
    for await (const part of content) await say({ type: packetType.data, ID, data: part as Buffer });
    await say({ type: packetType.data, ID });
  }
  await listing;
}

/** What the filter leaves, parents first, names in the order of their bytes. */
export function* entries(root: string, filter: DirectoryFilter): Generator<{ path: string; stat: Stats }> {
  const rules = dockerignore({ ignorecase: false }).add([...filter.exclude]);
  const exceptions = filter.exclude.some((each) => each.startsWith("!"));
  const wanted = filter.include.map((each) => each.split("/"));
  const said = new Set<string>();
  const pending = children(root, "");
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const fit = wanted.length === 0 ? "inside" : fitOf(path.split("/"), wanted);
    if (fit === "outside") continue;
    const stat = lstatSync(join(root, path), { throwIfNoEntry: false });
    if (stat === undefined) continue;
    const ignored = rules.ignores(path);
    if (stat.isDirectory() && (!ignored || exceptions)) pending.push(...children(root, path));
    if (ignored || fit !== "inside" || stat.isSocket()) continue;
    for (const parent of parentsOf(path))
      if (!said.has(parent)) {
        said.add(parent);
        yield { path: parent, stat: lstatSync(join(root, parent)) };
      }
    if (stat.isDirectory()) said.add(path);
    yield { path, stat };
  }
}

/** `towards`: a directory on the way to something wanted. */
function fitOf(
  parts: readonly string[],
  wanted: readonly (readonly string[])[],
): "inside" | "towards" | "outside" {
  let fit: "towards" | "outside" = "outside";
  for (const pattern of wanted) {
    const shared = Math.min(parts.length, pattern.length);
    let all = true;
    for (let at = 0; at < shared && all; at++) all = matches(parts[at] ?? "", pattern[at] ?? "");
    if (all && parts.length >= pattern.length) return "inside";
    if (all) fit = "towards";
  }
  return fit;
}

function matches(name: string, pattern: string): boolean {
  return name === pattern || (/[*?[\\]/.test(pattern) && posix.matchesGlob(name, pattern));
}

/** The last name first. */
function children(root: string, directory: string): string[] {
  const names = readdirSync(join(root, directory)).map((name) => Buffer.from(name));
  const prefix = directory === "" ? "" : `${directory}/`;
  return names
    .sort(Buffer.compare)
    .reverse()
    .map((name) => `${prefix}${name}`);
}

function parentsOf(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
}

function statOf(root: string, path: string, stat: Stats): FileStatWritten {
  return {
    path,
    mode: goMode(stat.mode),
    size: stat.isFile() ? stat.size : 0,
    modTime: BigInt(Math.trunc(stat.mtimeMs * 1000)) * 1000n,
    ...(stat.isSymbolicLink() && { linkname: readlinkSync(join(root, path)) }),
  };
}

/** The paths, and where links among their parts lead, within the directory. */
export function followed(root: string, paths: readonly string[]): string[] {
  const found = new Set<string>();
  const follow = (path: string, depth: number): void => {
    const clean = posix.join("/", path).slice(1);
    if (clean === "" || depth > linksMax || found.has(clean)) return;
    found.add(clean);
    const parts = clean.split("/");
    for (const [index] of parts.entries()) {
      const part = parts.slice(0, index + 1).join("/");
      const stat = lstatSync(join(root, part), { throwIfNoEntry: false });
      if (stat === undefined) return;
      if (!stat.isSymbolicLink()) continue;
      const target = readlinkSync(join(root, part));
      const base = target.startsWith("/") ? target : posix.join(posix.dirname(`/${part}`), target);
      found.add(part);
      follow(posix.join(base, ...parts.slice(index + 1)), depth + 1);
      return;
    }
  };
  for (const path of paths) follow(path, 0);
  return [...found];
}
