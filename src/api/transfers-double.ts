/** For tests only: transfers that remember what was asked and answer what the test told them. */
import { parseDigest } from "#spec/digest.ts";
import type { JsonMessage } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import type { EngineTransfers, TransferRequest } from "./engine-face.ts";

const digest = parseDigest(`sha256:${"1".repeat(64)}`);

export function transfersDouble(
  asked: (...words: unknown[]) => void,
  transfer: (tell: (message: JsonMessage) => void) => Promise<void>,
): EngineTransfers {
  const transferred =
    (name: string) =>
    async ({ tell, signal: _, ...request }: TransferRequest): Promise<void> => {
      asked(name, request);
      await transfer(tell);
    };
  return {
    pull: transferred("pull"),
    push: transferred("push"),
    inspect: async (name, { credentials }) => {
      asked("distribution", name, credentials);
      const descriptor = { mediaType: "m", digest, size: 7 };
      return { descriptor, platforms: [{ os: "linux", architecture: "amd64" }], manifest: "{}" };
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
