/** The one worker: what BuildKit's clients ask before they decide how to build. */
import { emulated } from "#build/request/runs-programs.ts";
import type { BuildkitParts } from "./buildkit-parts.ts";

/** The BuildKit whose protocol this is: clients decide by it what they may ask. */
export const protocolVersion = "v0.25.2";

export function buildkitVersion({ version }: BuildkitParts) {
  return {
    package: "github.com/moby/buildkit",
    version: `${protocolVersion}+wherry-${version}`,
    revision: "",
  };
}

export function workerRecord(parts: BuildkitParts) {
  const gateway = parts.hostGateway();
  return {
    ID: parts.id(),
    Labels: {
      "org.mobyproject.buildkit.worker.executor": "containerd",
      "org.mobyproject.buildkit.worker.hostname": "wherry",
      // buildx takes it for leave to ask for several platforms, archives, caches and attestations.
      "org.mobyproject.buildkit.worker.snapshotter": "overlayfs",
      ...(gateway !== undefined && { "org.mobyproject.buildkit.worker.moby.host-gateway-ip": gateway }),
    },
    platforms: platformsOf(parts.architecture).map(([Architecture, Variant]) => ({
      OS: "linux",
      Architecture,
      Variant,
    })),
    GCPolicy: [],
    BuildkitVersion: buildkitVersion(parts),
  };
}

/** Native first, then what an emulator is registered for. */
function platformsOf(architecture: string): (readonly [string, string])[] {
  const more: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
    amd64: [["386", ""]],
    arm64: [
      ["arm", "v7"],
      ["arm", "v6"],
    ],
  };
  const own = [[architecture, ""] as const, ...(more[architecture] ?? [])];
  const known = new Set(own.map(([name]) => name));
  return [...own, ...emulated().flatMap((name) => (known.has(name) ? [] : [[name, ""] as const]))];
}

const enabled = (ID: string) => ({ ID, Enabled: true });

/** What our gateway knows. */
export const frontendCaps = [
  "solve.base",
  "solve.inlinereturn",
  "return",
  "returnmap",
  "proto.refarray",
  "reference.output",
  "frontend.inputs",
  "gateway.solve.metadata",
  "frontend.caps",
  "gateway.solve.evaluate",
  "gateway.evaluate",
  "readfile",
  "readdir",
  "statfile",
].map(enabled);

/** Of graphs we run none, but clients look here for what exporters can do. */
export const graphCaps = [
  "exporter.multiple",
  "exporter.image.attestations",
  "source.http",
  "source.local",
  "source.git",
].map(enabled);
