/** Processes started in running containers. */
import type * as v from "valibot";
import type { ApiParts } from "#api/api-parts.ts";
import type { ConsoleSize, ExecRecord } from "#api/engine-face.ts";
import { type ApiRequest, json, param, text } from "#api/http/api-request.ts";
import { parseDetachKeys } from "#api/http/detach-keys.ts";
import { muxFrame } from "#api/http/mux.ts";
import {
  emptyReply,
  type Hijacked,
  hijackReply,
  jsonReply,
  multiplexedStream,
  type Reply,
  rawStream,
} from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import { execCreateBody, execStartBody } from "#spec/docker-exec.ts";
import type { ExecInspect, IdAnswer } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import { bridge } from "./attachment-bridge.ts";
import { consoleSize, upgradeOf } from "./container-streams.ts";

export function execRoutes(parts: ApiParts): Route[] {
  const { containers } = parts.engine;
  return [
    route("POST", "/containers/{name}/exec", (request) => create(parts, request)),
    route("POST", "/exec/{id}/start", (request) => start(parts, request)),
    route("POST", "/exec/{id}/resize", async (request) => {
      await containers.resizeExec(param(request, "id"), consoleSize(request));
      return emptyReply(200);
    }),
    // Beyond Docker: an exec whose client went away can be ended.
    route("POST", "/exec/{id}/kill", async (request) => {
      await containers.killExec(param(request, "id"), text(request, "signal") ?? "SIGKILL");
      return emptyReply(204);
    }),
    route("GET", "/exec/{id}/json", (request) =>
      jsonReply(execInspect(containers.inspectExec(param(request, "id")))),
    ),
  ];
}

async function create({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const body = await json(request, execCreateBody);
  const { Cmd: args = [], ConsoleSize } = body;
  if (args.length === 0) throw new Fault("invalid", "No exec command specified");
  for (const each of [...args, ...(body.Env ?? []), body.User ?? "", body.WorkingDir ?? ""])
    if (each.includes("\0"))
      throw new Fault("invalid", `invalid exec: a NUL byte in ${JSON.stringify(each)}`);
  parseDetachKeys(body.DetachKeys, "escape");
  const size = request.version >= 42 ? sizeOf(ConsoleSize) : undefined;
  const id = engine.containers.createExec(param(request, "name"), {
    args,
    env: body.Env ?? [],
    user: body.User ?? "",
    cwd: body.WorkingDir ?? "",
    tty: body.Tty ?? false,
    privileged: body.Privileged ?? false,
    stdin: body.AttachStdin ?? false,
    stdout: body.AttachStdout ?? false,
    stderr: body.AttachStderr ?? false,
    detachKeys: body.DetachKeys ?? "",
    ...(size !== undefined && { consoleSize: size }),
  });
  const answer: IdAnswer = { Id: id };
  return jsonReply(answer, 201);
}

/** Docker writes height first. */
function sizeOf(size: readonly [number, number] | undefined): ConsoleSize | undefined {
  if (size === undefined || size[0] === 0 || size[1] === 0) return undefined;
  return { height: size[0], width: size[1] };
}

async function start({ engine }: ApiParts, request: ApiRequest): Promise<Reply> {
  const id = param(request, "id");
  const body: v.InferOutput<typeof execStartBody> = await json(request, execStartBody);
  const exec = engine.containers.startableExec(id);
  // How the process sees its streams was said when it was created; this is how the client wants them.
  const raw = body.Tty ?? false;
  const size =
    (request.version >= 42 && raw ? sizeOf(body.ConsoleSize) : undefined) ?? exec.request.consoleSize;
  if (body.Detach === true) {
    await engine.containers.startExec(id, { detach: true, consoleSize: size, signal: request.lifetime });
    return emptyReply(200);
  }
  const contentType = !raw && request.version >= 42 ? multiplexedStream : rawStream;
  return hijackReply(upgradeOf(request), contentType, (connection) =>
    run({ engine }, exec, connection, { raw, size, signal: request.lifetime }),
  );
}

/** The head is out: a failed start can only be said in the stream, and in the exit code the client asks for next. */
async function run(
  { engine }: Pick<ApiParts, "engine">,
  exec: ExecRecord,
  connection: Hijacked,
  o: { readonly raw: boolean; readonly size: ConsoleSize | undefined; readonly signal: AbortSignal },
): Promise<void> {
  let attachment: Awaited<ReturnType<typeof engine.containers.startExec>>;
  try {
    attachment = await engine.containers.startExec(exec.id, {
      detach: false,
      consoleSize: o.size,
      // Not the connection's: as with dockerd, who leaves at once has started it all the same.
      signal: o.signal,
    });
  } catch (thrown) {
    const message = Buffer.from(`${Fault.from(thrown).message}\r\n`);
    connection.output.write(o.raw ? message : muxFrame("stdout", message));
    return;
  }
  if (attachment === undefined) return;
  const { request } = exec;
  await bridge(attachment, connection, {
    raw: o.raw,
    detachKeys: parseDetachKeys(request.detachKeys),
    atInputEnd: request.tty || !request.stdin ? "nothing" : "close-stdin",
  });
}

function execInspect(exec: ExecRecord): ExecInspect {
  const { request } = exec;
  const [entrypoint = "", ...args] = request.args;
  return {
    ID: exec.id,
    Running: exec.running,
    ExitCode: exec.exitCode ?? null,
    ProcessConfig: {
      tty: request.tty,
      entrypoint,
      arguments: args,
      privileged: request.privileged,
      ...(request.user !== "" && { user: request.user }),
    },
    OpenStdin: request.stdin,
    OpenStderr: request.stderr,
    OpenStdout: request.stdout,
    CanRemove: false,
    ContainerID: exec.containerId,
    // Bytes, as Go writes them.
    DetachKeys:
      request.detachKeys === "" ? "" : Buffer.from(parseDetachKeys(request.detachKeys)).toString("base64"),
    Pid: exec.pid,
  };
}
