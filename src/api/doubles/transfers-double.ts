/** For tests only: transfers and archives of images that remember what was asked and answer what the test told them. */

import type {
  EngineCollector,
  EngineImageArchives,
  EngineImages,
  EngineTransfers,
  TransferRequest,
} from "#api/engine-face.ts";
import { type Digest, parseDigest } from "#spec/digest.ts";
import type { JsonMessage } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";

const digest = parseDigest(`sha256:${"1".repeat(64)}`);

/** Where it is remembered, and what a transfer tells. */
interface Memory {
  readonly asked: unknown[][];
  readonly transfer: (tell: (message: JsonMessage) => void) => Promise<void>;
}

export function transfersDouble(memory: Memory): EngineTransfers {
  const asked = (...words: unknown[]): void => void memory.asked.push(words);
  const transferred =
    (name: string) =>
    async ({ tell, signal: _, ...request }: TransferRequest): Promise<void> => {
      asked(name, request);
      await memory.transfer(tell);
    };
  return {
    pull: transferred("pull"),
    push: transferred("push"),
    inspect: async (name, { credentials }) => {
      asked("distribution", name, credentials);
      const descriptor = { mediaType: "m", digest, size: 7 };
      return { descriptor, platforms: [{ os: "linux", architecture: "amd64" }], manifest: "{}" };
    },
    pushList: async (name, list, { credentials }) => {
      asked("push list", name, list, credentials);
    },
    signIn: async (address, { credentials }) => {
      asked("sign in", address, credentials);
      if (credentials?.password !== "right") throw new Fault("unauthorized", "login attempt failed");
    },
    search: async (term, limit) => {
      asked("search", term, limit);
      return JSON.stringify({
        results: [
          { name: "a", description: "first", star_count: 9, is_official: true },
          { name: "b", star_count: 1 },
        ],
      });
    },
  };
}

export function imageArchivesDouble(memory: Memory): EngineImageArchives {
  const asked = (...words: unknown[]): void => void memory.asked.push(words);
  return {
    load: async (archive, { tell, quiet, platforms }) => {
      let bytes = 0;
      for await (const part of archive) bytes += part.length;
      asked("load", bytes, quiet, ...platforms);
      await memory.transfer(tell);
    },
    save: async (references, { platforms }) => {
      asked("save", references, ...platforms);
      return one(Buffer.from("archive"));
    },
  };
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

export function collectorDouble(digest: Digest): EngineCollector {
  return { explain: async () => [{ digest, sizeBytes: 7, reasons: ["config of a:1"] }] };
}

/** What is told of images that share layers, and of several platforms. */
export function variantsDouble(id: Digest): Pick<EngineImages, "variants" | "sharedSizes" | "candidates"> {
  const platform = { os: "linux", architecture: "arm64" };
  const descriptor = { mediaType: "m", digest: id, size: 7, platform };
  return {
    variants: () => [{ id, descriptor, platform, sizeBytes: 5, containers: ["c"] }],
    candidates: () => [],
    sharedSizes: () => new Map([[id, 3]]),
  };
}
