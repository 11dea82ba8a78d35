/** A container's files: changes, export, and archives of single paths in and out. */

import type { ApiParts } from "#api/api-parts.ts";
import type { EngineArchives, PathDescription } from "#api/engine-face.ts";
import { type ApiRequest, flag, param, text } from "#api/http/api-request.ts";
import { emptyReply, jsonReply, type Reply, type StreamReply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import { encodePathStat, type FilesystemChange, pathStatHeader } from "#spec/docker-archive.ts";
import { Fault } from "#spec/fault.ts";

const changeKinds = { modified: 0, added: 1, deleted: 2 } as const;

export function archiveRoutes({ engine }: ApiParts): Route[] {
  const { archives } = engine;
  return [
    route("GET", "/containers/{name}/changes", (request) => changes({ engine }, request)),
    route("GET", "/containers/{name}/export", (request) =>
      streamed(archives.export(param(request, "name"), request), {
        "Content-Type": "application/octet-stream",
      }),
    ),
    ...fileRoutes("/containers", archives),
  ];
}

/** What both containers and volumes have. */
type Files = Pick<EngineArchives, "stat" | "read" | "write">;

export function fileRoutes(base: "/containers" | "/volumes", files: Files): Route[] {
  return [
    route("HEAD", `${base}/{name}/archive`, async (request) => {
      const { name, path } = place(request);
      return { ...emptyReply(200), headers: statHeader(await files.stat(name, path, request)) };
    }),
    route("GET", `${base}/{name}/archive`, async (request) => {
      const { name, path } = place(request);
      const { stat, tar } = await files.read(name, path, request);
      return streamed(tar, { "Content-Type": "application/x-tar", ...statHeader(stat) });
    }),
    route("PUT", `${base}/{name}/archive`, async (request) => {
      const { name, path } = place(request);
      await files.write(name, request.body, {
        path,
        keepKinds: flag(request, "noOverwriteDirNonDir"),
        asUser: flag(request, "copyUIDGID"),
        signal: request.signal,
      });
      return emptyReply(200);
    }),
  ];
}

/** `null` for none, as dockerd says it. */
async function changes({ engine }: Pick<ApiParts, "engine">, request: ApiRequest): Promise<Reply> {
  const list: FilesystemChange[] = [];
  for await (const { kind, path } of engine.archives.changes(param(request, "name"), request))
    list.push({ Path: path, Kind: changeKinds[kind] });
  return jsonReply(list.length === 0 ? null : list);
}

function place(request: ApiRequest): { readonly name: string; readonly path: string } {
  const path = text(request, "path");
  if (path === undefined) throw new Fault("invalid", "bad parameter: pathcannot be empty");
  return { name: param(request, "name"), path };
}

function statHeader({ name, sizeBytes, goMode, mtime, linkTarget }: PathDescription) {
  return { [pathStatHeader]: encodePathStat({ name, size: sizeBytes, mode: goMode, mtime, linkTarget }) };
}

function streamed(tar: AsyncIterable<Uint8Array>, headers: StreamReply["headers"]): StreamReply {
  return {
    kind: "stream",
    status: 200,
    headers,
    write: async (sink) => {
      for await (const part of tar) await sink.write(part);
    },
  };
}
