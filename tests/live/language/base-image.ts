/** What rows and their comparisons with another engine stand on. */
import type { Client } from "#client/client.ts";
import { baseArchive } from "../engine-under-test.ts";
import { path } from "./judge-row.ts";
import { base } from "./row.ts";

/** Equal layers on every engine. */
export async function importBase(client: Client): Promise<void> {
  const o = { repo: base, tag: "latest", changes: ["CMD sh", "WORKDIR /", `ENV ${path}`] };
  // A container's start leaves these behind in Docker's layers.
  const archive = baseArchive(["dev/", "etc/", "proc/", "sys/"]);
  for await (const { error } of client.images.import(archive, o))
    if (error !== undefined) throw new Error(error);
}
