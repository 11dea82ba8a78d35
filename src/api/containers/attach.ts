/** Attached clients: over a hijacked connection, or over a WebSocket. */

import type { ApiParts } from "#api/api-parts.ts";
import type { Attachment } from "#api/engine-face.ts";
import { type ApiRequest, flag, param, text } from "#api/http/api-request.ts";
import { parseDetachKeys } from "#api/http/detach-keys.ts";
import { type Hijacked, hijackReply, type Reply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import { isWebSocket, webSocketReply } from "#api/http/web-socket.ts";
import { Fault } from "#spec/fault.ts";
import { type BridgeOptions, bridge } from "./attachment-bridge.ts";
import { streamType, upgradeOf } from "./container-streams.ts";

export function attachRoutes(parts: ApiParts): Route[] {
  return [
    route("POST", "/containers/{name}/attach", (request) => attach(parts, request)),
    route("GET", "/containers/{name}/attach/ws", (request) => attachSocket(parts, request)),
  ];
}

async function attach(parts: ApiParts, request: ApiRequest): Promise<Reply> {
  const wanted = {
    stdin: flag(request, "stdin"),
    stdout: flag(request, "stdout"),
    stderr: flag(request, "stderr"),
  };
  const opened = await open(parts, request, wanted);
  const { attachment } = opened;
  const contentType = streamType(attachment.tty, request.version);
  return hijackReply(upgradeOf(request), contentType, async (connection) => {
    await attend(opened, connection, attachment.tty);
  });
}

/** Streams are never told apart here, as in dockerd; before 1.42 all three are there, asked for or not. */
async function attachSocket(parts: ApiParts, request: ApiRequest): Promise<Reply> {
  if (!isWebSocket(request)) throw new Fault("invalid", "not websocket protocol");
  const on = (name: string): boolean => request.version < 42 || flag(request, name);
  const wanted = { stdin: on("stdin"), stdout: on("stdout"), stderr: on("stderr") };
  const opened = await open(parts, request, wanted);
  // Before 1.28 messages were texts.
  return webSocketReply(request, { binary: request.version >= 28 }, async (connection) => {
    await attend(opened, connection, true);
  });
}

/** Until either side has left. However that is, nothing is followed any more then. */
async function attend(
  { attachment, options, detach }: Opened,
  connection: Pick<Hijacked, "input" | "output" | "gone">,
  raw: boolean,
): Promise<void> {
  const leave = (): void => detach.abort(new Fault("cancelled", "the client has left"));
  connection.gone.addEventListener("abort", leave, { once: true });
  try {
    await bridge(attachment, connection, { ...options, raw });
  } finally {
    leave();
  }
}

interface Opened {
  readonly attachment: Attachment;
  readonly options: Omit<BridgeOptions, "raw">;
  /** Ends the attachment's output. */
  readonly detach: AbortController;
}

/** @throws Fault `not-found`, `invalid` for bad keys, `conflict` for a container that is paused or restarting. */
async function open(
  { engine }: ApiParts,
  request: ApiRequest,
  wanted: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean },
): Promise<Opened> {
  const detachKeys = parseDetachKeys(text(request, "detachKeys"));
  const name = param(request, "name");
  const { id, config, observed } = engine.containers.get(name);
  if (observed.status === "paused")
    throw new Fault("conflict", `container ${name} is paused, unpause the container before attach`);
  if (observed.status === "restarting")
    throw new Fault("conflict", `container ${name} is restarting, wait until the container is running`);
  if (!(await request.body.drain())) throw new Fault("invalid", "attach takes no request body");
  const detach = new AbortController();
  const attachment = await engine.containers.attach(id, {
    logs: flag(request, "logs"),
    stream: flag(request, "stream"),
    ...wanted,
    signal: detach.signal,
  });
  const whole = config.Tty === true || !wanted.stdin;
  const atInputEnd = whole ? "nothing" : config.StdinOnce === true ? "close-stdin" : "leave";
  return { attachment, options: { detachKeys, atInputEnd }, detach };
}
