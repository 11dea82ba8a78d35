/**
 * Pure. A build as a graph: each node is work on the files of its inputs. Equal nodes are one, across stages and platforms.
 */
import { createHash } from "node:crypto";
import type { LineRange } from "#build/language/lines.ts";
import type { RunMount } from "#build/language/run-mount.ts";
import type { ExpandedTransfer, RunWork } from "#build/language/step.ts";
import type { HostConfig } from "#spec/container.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import type { ImageRunConfig } from "#spec/image.ts";

/** What a node's work is. The first input is the file system it works on; absent for an empty one. */
export type Operation =
  | { readonly kind: "image"; readonly reference: string; readonly chainId: ChainId | undefined }
  /** Files that are no image: of the client, a repository, an archive. */
  | { readonly kind: "files"; readonly context: string }
  | {
      readonly kind: "run";
      readonly work: Omit<RunWork, "mounts">;
      /** `input`: which of the node's inputs it reads; absent for none. */
      readonly mounts: readonly { readonly mount: RunMount; readonly input?: number | undefined }[];
      readonly config: Pick<ImageRunConfig, "Env" | "User" | "WorkingDir">;
      readonly hostname: string;
      readonly host: HostConfig;
    }
  /** `input` as for mounts; `linked`: made without the file system below and laid upon it. */
  | { readonly kind: "transfer"; readonly transfer: ExpandedTransfer; readonly input: number | undefined }
  | { readonly kind: "make-directory"; readonly path: string; readonly user: string };

export interface BuildNode {
  readonly digest: Digest;
  readonly name: string;
  /** Its stage and its instruction as written, for who compares builds. */
  readonly written?: string | undefined;
  /** May hold undefined in the first place: an empty file system. */
  readonly inputs: readonly (BuildNode | undefined)[];
  readonly operation: Operation;
  readonly useCache: boolean;
  /** Where in the Dockerfile. */
  readonly lines: readonly LineRange[];
  readonly group?: { readonly id: string; readonly name: string } | undefined;
}

/** Text that is the same for equal values, whatever the order of their fields. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === "object" && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([left], [right]) => (left < right ? -1 : 1)))
      : inner,
  );
}

export function sha256Of(text: string): Digest {
  return `sha256:${createHash("sha256").update(text).digest("hex")}` as Digest;
}

export class BuildGraph {
  readonly #nodes = new Map<Digest, BuildNode>();

  /** The node of that work; the one that is there if there is an equal one. */
  node(o: Omit<BuildNode, "digest">): BuildNode {
    const identity = [o.operation, o.inputs.map((input) => input?.digest ?? null), o.useCache];
    const digest = sha256Of(canonical(identity));
    const known = this.#nodes.get(digest);
    if (known !== undefined) return known;
    const node = { ...o, digest };
    this.#nodes.set(digest, node);
    return node;
  }

  /** The node itself and all it needs, each once, itself first, the deepest last. */
  static reach(roots: readonly (BuildNode | undefined)[]): BuildNode[] {
    const found = new Set<BuildNode>();
    const pending = roots.filter((root) => root !== undefined);
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (found.has(next)) continue;
      found.add(next);
      for (const input of next.inputs) if (input !== undefined) pending.push(input);
    }
    return [...found];
  }
}
