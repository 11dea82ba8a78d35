/** ADD's remote sources: one file by http or https, into a directory of the build's own. */
import { createHash } from "node:crypto";
import { createWriteStream, utimesSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Source } from "#build/files/source-tree.ts";
import { Fault } from "#spec/fault.ts";

/** 8 GiB: a file that is larger belongs in a context or a volume. */
const downloadBytesMax = 8 * 2 ** 30;
/** Without a byte for this long the server counts as gone. */
const silenceMsMax = 60_000;

export interface FetchOptions {
  /** Where the file goes; must exist. */
  readonly directory: string;
  /** `sha256:<hex>` the content must have; empty for any. */
  readonly checksum: string;
  readonly signal: AbortSignal;
}

export function isRemote(source: string): boolean {
  return /^https?:\/\//i.test(source);
}

/**
 * Mode 0600; times are the server's `Last-Modified` or zero. The name is empty when neither the address nor the server
 * gives one.
 * @throws Fault `invalid` (`not-found` for 404) with the status when the server refuses or the checksum differs; `unavailable` when it cannot
 * be reached or falls silent.
 */
export async function fetchSource(address: string, o: FetchOptions): Promise<Source> {
  const silence = new AbortController();
  const signal = AbortSignal.any([o.signal, silence.signal]);
  let timer = setTimeout(() => silence.abort(), silenceMsMax);
  try {
    const response = await fetch(address, { signal });
    if (!response.ok || response.body === null)
      throw new Fault(
        response.status === 404 ? "not-found" : "invalid",
        `failed to GET ${address} with status ${response.status} ${response.statusText}`,
      );
    const name = fileName(address, response.headers.get("content-disposition"));
    const path = join(o.directory, "content");
    const digest = createHash("sha256");
    let received = 0;
    async function* counted(body: AsyncIterable<Uint8Array>) {
      for await (const part of body) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), silenceMsMax);
        received += part.length;
        if (received > downloadBytesMax)
          throw new Fault("invalid", `${address} is larger than ${downloadBytesMax} bytes`);
        digest.update(part);
        yield part;
      }
    }
    await pipeline(counted(response.body), createWriteStream(path, { flags: "wx", mode: 0o600 }), { signal });
    const hex = digest.digest("hex");
    if (o.checksum !== "" && o.checksum !== `sha256:${hex}`)
      throw new Fault("invalid", `digest mismatch sha256:${hex}: ${o.checksum}`);
    const modified = Date.parse(response.headers.get("last-modified") ?? "") || 0;
    utimesSync(path, modified / 1000, modified / 1000);
    const hash = createHash("sha256")
      .update(`${JSON.stringify(name)}${hex}`)
      .digest("hex");
    return { path, name, directory: false, hash: `file:${hash}`, fetched: true };
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    o.signal.throwIfAborted();
    const why = silence.signal.aborted ? `no data for ${silenceMsMax / 1000} s` : Fault.from(cause).message;
    throw new Fault("unavailable", `failed to GET ${address}: ${why}`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

/** From the address, else from the server. */
function fileName(address: string, disposition: string | null): string {
  const path = new URL(address).pathname;
  const fromPath = path.endsWith("/") ? "" : decode(path.slice(path.lastIndexOf("/") + 1));
  if (fromPath !== "") return plainName(fromPath);
  const [, quoted, bare] = /filename="([^"]*)"|filename=([^;\s]+)/i.exec(disposition ?? "") ?? [];
  return plainName(quoted ?? bare ?? "");
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The last part only, and nothing that is no name. */
function plainName(text: string): string {
  const name = text.slice(text.lastIndexOf("/") + 1);
  return name === "." || name === ".." || name.includes("\0") ? "" : name;
}
