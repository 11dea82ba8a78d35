/** What a build may ask of the one who wants it: files, credentials, secrets, agents, a place for what comes out. */

import { chmod, type FileHandle, mkdir, open, readFile, rm, symlink, utimes } from "node:fs/promises";
import { connect } from "node:net";
import { basename, dirname, join, resolve } from "node:path";
import type { CliIo } from "#cli/flags/command.ts";
import { csvFields } from "#cli/flags/csv.ts";
import { credentialsFor, hubAddress } from "#cli/place/credentials.ts";
import { type Answer, type ServerCall, type Services, unary } from "#grpc/grpc-server.ts";
import { BytesMessage } from "#spec/buildkit-llb.ts";
import { session, sessionHeader } from "#spec/buildkit-session.ts";
import { Fault } from "#spec/fault.ts";
import { type FileStat, kindOf, Packet, packetType, permissionsOf } from "#spec/file-packets.ts";
import { GrpcError, grpcCode } from "#spec/grpc-status.ts";
import type { Place } from "./build-order.ts";
import { fileSync } from "./send-context.ts";
import { contentServices } from "./served-content.ts";

export interface ServedBuild {
  readonly io: CliIo;
  readonly directories: ReadonlyMap<string, string>;
  /** `id=…,src=…` or `id=…,env=…`. */
  readonly secrets: readonly string[];
  /** `default`, or `id=path`. */
  readonly agents: readonly string[];
  /** A tar on stdin. */
  readonly upload?: AsyncIterable<Uint8Array> | undefined;
  /** Where each exporter's files go, by its number. */
  readonly places: ReadonlyMap<number, Place>;
  /** Directories with blobs in them, by the names they are lent under. */
  readonly stores: ReadonlyMap<string, string>;
}

/** @throws Fault `invalid` for words that mean nothing. */
export function buildServices(o: ServedBuild): Services {
  const secrets = new Map(o.secrets.map((text) => secretOf(o.io, text)));
  const agents = new Map(o.agents.map((text) => agentOf(o.io, text)));
  const services: [string, Answer][] = [
    unary(session.health, () => ({ status: 1 })),
    unary(session.credentials, async ({ Host }) => await credentials(o.io, Host)),
    unary(session.getSecret, async ({ ID }) => {
      const read = secrets.get(ID);
      if (read === undefined) throw new GrpcError(grpcCode.notFound, `secret ${ID} not found`);
      return { data: await read() };
    }),
    unary(session.checkAgent, ({ ID }) => {
      if (!agents.has(ID || "default")) throw new GrpcError(grpcCode.notFound, `unset ssh forward key ${ID}`);
      return {};
    }),
    [session.forwardAgent.path, (call) => forwardAgent(call, agents)],
  ];
  if (o.directories.size > 0) services.push(fileSync(o.directories));
  if (o.upload !== undefined) services.push([session.upload.path, (call) => upload(call, o.upload)]);
  if (o.stores.size > 0) services.push(...contentServices(o.stores));
  if (o.places.size > 0) services.push([session.fileSend.path, (call) => take(call, o.places)]);
  return new Map(services);
}

async function credentials(io: CliIo, host: string): Promise<{ Username?: string; Secret?: string }> {
  const found = await credentialsFor(io, host === "registry-1.docker.io" ? hubAddress : host);
  if (found === undefined) return {};
  if (found.identitytoken !== undefined) return { Secret: found.identitytoken };
  return { Username: found.username ?? "", Secret: found.password ?? "" };
}

function secretOf(io: CliIo, text: string): [string, () => Promise<Uint8Array>] {
  const given = new Map(csvFields(text).map((field) => field.split(/=(.*)/s, 2) as [string, string]));
  const id = given.get("id");
  if (id === undefined) throw new Fault("invalid", `invalid secret ${JSON.stringify(text)}: id is missing`);
  const path = given.get("src") ?? given.get("source");
  const variable = given.get("env") ?? (path === undefined && io.env[id] !== undefined ? id : undefined);
  if (variable !== undefined) return [id, async () => Buffer.from(io.env[variable] ?? "")];
  return [id, async () => await readFile(resolve(io.cwd, path ?? id))];
}

function agentOf(io: CliIo, text: string): [string, string] {
  const [id = "", path] = text.split(/=(.*)/s, 2);
  const socket = path ?? io.env["SSH_AUTH_SOCK"];
  if (socket === undefined || socket === "")
    throw new Fault("invalid", `invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set`);
  return [id === "" ? "default" : id, resolve(io.cwd, socket)];
}

async function forwardAgent(call: ServerCall, agents: ReadonlyMap<string, string>): Promise<void> {
  const path = agents.get(call.metadata[sessionHeader.sshId]?.[0] || "default");
  if (path === undefined) throw new GrpcError(grpcCode.notFound, "unset ssh forward key");
  const socket = connect({ path, allowHalfOpen: true });
  call.signal.addEventListener("abort", () => socket.destroy(), { once: true });
  const asked = (async () => {
    for await (const bytes of call.requests) socket.write(BytesMessage.decode(bytes).data);
    socket.end();
  })();
  const said = socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const data of said) await call.send(BytesMessage.encode({ data }));
  await asked;
  socket.destroy();
}

async function upload(call: ServerCall, bytes: AsyncIterable<Uint8Array> | undefined): Promise<void> {
  for await (const data of bytes ?? []) await call.send(BytesMessage.encode({ data }));
}

async function take(call: ServerCall, places: ServedBuild["places"]): Promise<void> {
  const place = places.get(Number(call.metadata[sessionHeader.exporterId]?.[0] ?? 0));
  if (place === undefined) throw new Fault("invalid", "nothing was asked to come out here");
  if (place.kind === "directory") return await takeDirectory(call, place.path);
  await using file = await open(place.path, "w");
  for await (const bytes of call.requests) await file.writeFile(BytesMessage.decode(bytes).data);
}

/** Merged into what is there; owners are the user's. */
async function takeDirectory(call: ServerCall, root: string): Promise<void> {
  await mkdir(root, { recursive: true, mode: 0o755 });
  const say = async (packet: Parameters<typeof Packet.encode>[0]): Promise<void> =>
    await call.send(Packet.encode(packet));
  await using stack = new AsyncDisposableStack();
  const coming = new Map<number, { readonly stat: FileStat; file?: FileHandle }>();
  const directories: FileStat[] = [];
  let [listed, ended, over] = [0, false, false];
  for await (const bytes of call.requests) {
    const { type, ID, data, stat } = Packet.decode(bytes);
    if (type === packetType.error) throw new Fault("invalid", Buffer.from(data).toString());
    if (type === packetType.end) break;
    if (type === packetType.stat && stat === undefined) ended = true;
    else if (type === packetType.stat && stat !== undefined) {
      const id = listed++;
      const path = placeOf(root, stat.path);
      const kind = kindOf(stat.mode);
      if (kind === "directory") {
        directories.push(stat);
        await mkdir(path, { recursive: true });
      } else {
        await rm(path, { force: true, recursive: true });
        if (kind === "symlink") await symlink(stat.linkname, path);
        if (kind === "file") {
          coming.set(id, { stat });
          await say({ type: packetType.request, ID: id });
        }
      }
    } else if (type === packetType.data) {
      const found = coming.get(ID);
      if (found === undefined) throw new Fault("invalid", "content came that nobody asked for");
      const mode = permissionsOf(found.stat.mode) & 0o777;
      found.file ??= stack.use(await open(placeOf(root, found.stat.path), "w", mode));
      if (data.length > 0) await found.file.writeFile(data);
      else {
        coming.delete(ID);
        await found.file.close();
        await settle(root, found.stat);
      }
    }
    if (!ended || coming.size > 0 || over) continue;
    over = true;
    for (const directory of directories.reverse()) await settle(root, directory);
    await say({ type: packetType.end });
  }
}

async function settle(root: string, stat: FileStat): Promise<void> {
  const path = placeOf(root, stat.path);
  await chmod(path, permissionsOf(stat.mode));
  await utimes(path, Number(stat.modTime) / 1e9, Number(stat.modTime) / 1e9);
}

/** @throws Fault `invalid` for a path that leads out. */
function placeOf(root: string, path: string): string {
  const clean = path.split("/");
  if (clean.some((part) => part === "" || part === "." || part === "..") || path.includes("\0"))
    throw new Fault("invalid", `the engine sent a path that cannot be: ${JSON.stringify(path)}`);
  return join(root, dirname(path), basename(path));
}
