/** The engine itself: ping, version, info. */

import type { ApiParts } from "#api/api-parts.ts";
import type { SystemFacts } from "#api/engine-face.ts";
import { formatVersion, newestVersion, oldestVersion } from "#api/http/api-version.ts";
import { emptyReply, jsonReply, type Reply } from "#api/http/reply.ts";
import { type Route, route } from "#api/http/router.ts";
import type { VersionInfo } from "#spec/docker-wire.ts";
import { systemInfo } from "./system-info.ts";

export function systemRoutes(parts: ApiParts): Route[] {
  return [
    route("GET", "/_ping", () => ping("OK")),
    route("HEAD", "/_ping", () => ping("")),
    route("OPTIONS", "/{path}", () => emptyReply(200)),
    route("GET", "/version", () => jsonReply(versionInfo(parts, parts.engine.system.facts()))),
    route("GET", "/info", (request) => jsonReply(systemInfo(parts, request))),
  ];
}

function ping(body: string): Reply {
  return {
    kind: "fixed",
    status: 200,
    headers: {
      "Cache-Control": "no-cache, no-store, must-revalidate",
      Pragma: "no-cache",
      "Builder-Version": "2",
      Swarm: "inactive",
      "Content-Type": "text/plain; charset=utf-8",
    },
    body,
  };
}

function architecture(machine: string): string {
  const names: Readonly<Record<string, string>> = { x86_64: "amd64", aarch64: "arm64", armv7l: "arm" };
  return names[machine] ?? machine;
}

function versionInfo(parts: ApiParts, facts: SystemFacts): VersionInfo {
  const { version, gitCommit, buildTime } = parts;
  const arch = architecture(facts.machine);
  const about = {
    ApiVersion: formatVersion(newestVersion),
    MinAPIVersion: formatVersion(oldestVersion),
    GitCommit: gitCommit,
    GoVersion: `bun${Bun.version}`,
    Os: "linux",
    Arch: arch,
    KernelVersion: facts.kernelVersion,
    BuildTime: buildTime,
  };
  return {
    Platform: { Name: "Wherry" },
    Components: [
      { Name: "Engine", Version: version, Details: { ...about, Experimental: "false" } },
      { Name: facts.runtimeName, Version: facts.runtimeVersion, Details: { GitCommit: "" } },
      { Name: "conmon", Version: facts.conmonVersion, Details: { GitCommit: "" } },
    ],
    Version: version,
    ApiVersion: about.ApiVersion,
    MinAPIVersion: about.MinAPIVersion,
    GitCommit: gitCommit,
    GoVersion: about.GoVersion,
    Os: about.Os,
    Arch: arch,
    KernelVersion: facts.kernelVersion,
    BuildTime: buildTime,
  };
}
