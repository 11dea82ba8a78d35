/** Pure. What `wherryd` is told about TLS on its tcp:// hosts: dockerd's names, meanings and places. */
import { join } from "node:path";
import * as v from "valibot";

/** Keys of the configuration file, by flag. */
export const tlsFlags = {
  tlscacert: { key: "tlscacert", many: false },
  tlscert: { key: "tlscert", many: false },
  tlskey: { key: "tlskey", many: false },
} as const;

export const tlsSwitches = ["tls", "tlsverify"] as const;

export const tlsFileEntries = {
  tls: v.optional(v.boolean()),
  tlsverify: v.optional(v.boolean()),
  tlscacert: v.optional(v.string()),
  tlscert: v.optional(v.string()),
  tlskey: v.optional(v.string()),
};
export type TlsFile = v.InferOutput<v.ObjectSchema<typeof tlsFileEntries, undefined>>;

/** Paths of PEM files. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** Whose certificates clients must show; undefined: anybody may come. */
  readonly authority: string | undefined;
}

type FlagValues = Readonly<Partial<Record<keyof typeof tlsFlags, readonly string[]>>>;

/**
 * Undefined without TLS. `--tlsverify` says TLS, too. Files that are not named are in `$DOCKER_CERT_PATH`, or `~/.docker`.
 */
export function decideTls(
  values: FlagValues,
  switches: ReadonlySet<string>,
  file: TlsFile,
  environment: Readonly<Record<string, string | undefined>>,
): TlsFiles | undefined {
  const on = (name: (typeof tlsSwitches)[number]): boolean | undefined =>
    switches.has(name) ? true : switches.has(`no-${name}`) ? false : file[name];
  const verify = on("tlsverify") ?? (environment["DOCKER_TLS_VERIFY"] ?? "") !== "";
  if (!verify && on("tls") !== true) return undefined;
  const directory = environment["DOCKER_CERT_PATH"] ?? join(environment["HOME"] ?? "/root", ".docker");
  const path = (name: keyof typeof tlsFlags, usual: string): string =>
    values[name]?.at(-1) ?? file[name] ?? join(directory, usual);
  return {
    cert: path("tlscert", "cert.pem"),
    key: path("tlskey", "key.pem"),
    authority: verify ? path("tlscacert", "ca.pem") : undefined,
  };
}
