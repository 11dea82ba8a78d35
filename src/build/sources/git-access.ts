/** What of the client's secrets and agents opens a repository: BuildKit's names for them. */

import type { BuildClient } from "#build/build-client.ts";
import { isFault } from "#spec/fault.ts";
import type { GitAccess } from "./git-source.ts";

/** `GIT_AUTH_HEADER` and `GIT_AUTH_TOKEN`, with `.host` behind them first; the default agent for ssh. */
export async function gitAccess(
  client: BuildClient,
  remote: string,
  signal: AbortSignal,
): Promise<Omit<GitAccess, "signal">> {
  if (!/^https?:\/\//i.test(remote)) {
    const agent = await client.ssh("default", signal).catch((error: unknown) => {
      if (isFault(error, "not-found")) return undefined;
      throw error;
    });
    return agent === undefined ? {} : { agentSocket: agent.socketPath };
  }
  const { hostname } = new URL(remote);
  for (const name of [`GIT_AUTH_HEADER.${hostname}`, "GIT_AUTH_HEADER"]) {
    const header = await client.secret(name, signal);
    if (header !== undefined) return { authorization: Buffer.from(header).toString().trim() };
  }
  for (const name of [`GIT_AUTH_TOKEN.${hostname}`, "GIT_AUTH_TOKEN"]) {
    const token = await client.secret(name, signal);
    if (token === undefined) continue;
    const pair = Buffer.from(`x-access-token:${Buffer.from(token).toString().trim()}`).toString("base64");
    return { authorization: `basic ${pair}` };
  }
  return {};
}
