/** The engine that a context of the user's leads to. */

import type { CliIo } from "#cli/flags/command.ts";
import type { EngineTls } from "#client/address.ts";
import { Fault } from "#spec/fault.ts";
import { type ContextMeta, Contexts, dockerEndpoint, type TlsFiles } from "./contexts.ts";

export interface EnginePlace {
  readonly host: string;
  readonly tls?: EngineTls;
}

/** @throws Fault `not-found`, or `invalid` for one that names no engine. */
export async function contextPlace(name: string, io: CliIo): Promise<EnginePlace> {
  const contexts = new Contexts(io);
  try {
    return placeOf(await contexts.get(name), await contexts.tls(name));
  } catch (cause) {
    const { kind, message } = Fault.from(cause);
    throw new Fault(kind, `Failed to initialize: unable to resolve docker endpoint: ${message}`, { cause });
  }
}

/** Pure. TLS is spoken where there is something to show or to trust, or where whoever answers is believed. */
export function placeOf({ Name, Endpoints }: ContextMeta, files: TlsFiles): EnginePlace {
  const { Host, SkipTLSVerify = false } = Endpoints[dockerEndpoint] ?? {};
  if (!Host)
    throw new Fault("invalid", `no docker endpoint: give the context ${Name} one with 'context update'`);
  if (files.size === 0 && !SkipTLSVerify) return { host: Host };
  return { host: Host, tls: tlsOf(files, !SkipTLSVerify) };
}

function tlsOf(files: TlsFiles, verify: boolean): EngineTls {
  const text = (name: string) => files.get(name)?.toString("utf8");
  const [authority, certificate, key] = [text("ca.pem"), text("cert.pem"), text("key.pem")];
  if ((certificate === undefined) !== (key === undefined))
    throw new Fault("invalid", "invalid TLS material: a certificate and its key come together");
  return {
    verify,
    ...(authority !== undefined && { authority }),
    ...(certificate !== undefined && key !== undefined && { certificate, key }),
  };
}
