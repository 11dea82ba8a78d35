/**
 * Certificates for single registries, as Docker keeps them: `<directory>/<host:port>/` with `*.crt` for authorities, and
 * pairs of `*.cert` and `*.key` to show to the registry.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "#spec/fault.ts";

export interface HostCertificates {
  /** PEM, beside those the machine trusts. */
  readonly authorities: readonly string[];
  readonly client?: { readonly certificate: string; readonly key: string };
}

const none: HostCertificates = { authorities: [] };

/** The first of `directories` that knows the host. @throws Fault `invalid` for half a pair. */
export async function certificatesOf(
  host: string,
  directories: readonly string[],
): Promise<HostCertificates> {
  if (!/^[\w.:[\]-]+$/.test(host) || host.startsWith(".")) return none;
  for (const directory of directories) {
    const path = join(directory, host);
    const names = await readdir(path).catch(() => undefined);
    if (names !== undefined) return await read(path, names.sort());
  }
  return none;
}

async function read(path: string, names: readonly string[]): Promise<HostCertificates> {
  const text = async (name: string) => await readFile(join(path, name), "utf8");
  const authorities = await Promise.all(names.filter((name) => name.endsWith(".crt")).map(text));
  const certificate = names.find((name) => name.endsWith(".cert"));
  const key = names.find((name) => name.endsWith(".key"));
  if (certificate === undefined && key === undefined) return { authorities };
  if (certificate === undefined || key === undefined)
    throw new Fault(
      "invalid",
      certificate === undefined
        ? `missing client certificate for key ${key} in ${path}: CA certificates must use the extension .crt`
        : `missing key for client certificate ${certificate} in ${path}`,
    );
  return { authorities, client: { certificate: await text(certificate), key: await text(key) } };
}
