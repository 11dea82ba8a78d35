/**
 * Whose the bytes below the data root are, by where they lie.
 * Pure.
 */

/** What is said of each part, in the order it is shown. */
const hints = {
  "image layers": "wherry image prune --all",
  "build cache layers": "wherry builder prune",
  "layers nobody needs": "the engine takes them away within two hours",
  "mount points and scratch": "they go with their images",
  "layers coming or going": "they are being made, or taken away",
  "image configs and manifests": "wherry image prune --all",
  "container changes": "wherry container prune; wherry ps --all --size",
  logs: "limit them with --log-opt max-size and max-file",
  "container files": "wherry container prune",
  "named volumes": "wherry volume prune --all",
  "anonymous volumes": "wherry volume prune",
  trash: "wherry trash empty",
  "build contexts and state": "wherry builder prune --all",
  registry: "wherry registry gc",
  "downloads and loads": "what broke off is kept for a day",
  records: "events and what the engine knows",
  "everything else": "",
} as const;

export type PartName = keyof typeof hints;

export const partNames = Object.keys(hints) as PartName[];

export const rest: PartName = "everything else";

export function hintOf(part: PartName): string {
  return hints[part];
}

export interface Owners {
  /** Of a layer, by the hexadecimal part of its chain id. */
  readonly layer: (hex: string) => "image" | "build" | undefined;
  readonly isAnonymous: (volume: string) => boolean;
}

const layerKinds = {
  writable: "container changes",
  skeletons: "mount points and scratch",
  scratch: "mount points and scratch",
  incoming: "layers coming or going",
  outgoing: "layers coming or going",
} as const;

const topKinds: Readonly<Record<string, PartName>> = {
  blobs: "image configs and manifests",
  build: "build contexts and state",
  contexts: "build contexts and state",
  "build-history": "build contexts and state",
  registry: "registry",
  arrivals: "downloads and loads",
  spool: "downloads and loads",
};

/** Undefined for a directory that holds several parts. */
export function partOf([top = "", second, third]: readonly string[], o: Owners): PartName | undefined {
  if (top.startsWith("records.db")) return "records";
  if (top === "layers") return partOfLayers(second, third, o);
  if (top === "volumes") {
    if (second === undefined) return undefined;
    if (second === ".trash") return "trash";
    return o.isAnonymous(second) ? "anonymous volumes" : "named volumes";
  }
  if (top === "containers") {
    if (third === undefined) return undefined;
    return third.startsWith("container.log") ? "logs" : "container files";
  }
  return topKinds[top] ?? rest;
}

function partOfLayers(kind: string | undefined, hex: string | undefined, o: Owners): PartName | undefined {
  if (kind === undefined) return undefined;
  if (kind !== "layers") return layerKinds[kind as keyof typeof layerKinds] ?? rest;
  if (hex === undefined) return undefined;
  const owner = o.layer(hex);
  if (owner === undefined) return "layers nobody needs";
  return owner === "image" ? "image layers" : "build cache layers";
}
