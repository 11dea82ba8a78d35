/** Pure. What `wherry registry serve` is told by its flags and its configuration file. */
import * as v from "valibot";
import type { S3Place } from "#registry/depot/s3-bucket.ts";
import { Fault } from "#spec/fault.ts";

const action = v.picklist(["pull", "push", "delete"]);
const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const fileSchema = v.strictObject({
  addr: v.optional(v.string()),
  root: v.optional(v.string()),
  htpasswd: v.optional(v.string()),
  "tls-cert": v.optional(v.string()),
  "tls-key": v.optional(v.string()),
  "anonymous-pull": v.optional(v.boolean()),
  deletes: v.optional(v.boolean()),
  rights: v.optional(
    v.array(
      v.strictObject({
        users: v.array(v.string()),
        repositories: v.array(v.string()),
        actions: v.array(action),
      }),
    ),
  ),
  token: v.optional(
    v.strictObject({
      "key-file": v.string(),
      issuer: v.string(),
      service: v.string(),
      realm: v.pipe(v.string(), v.url()),
    }),
  ),
  "blob-bytes-max": v.optional(whole),
  "repository-bytes-max": v.optional(whole),
  "collect-every-seconds": v.optional(whole),
  "grace-seconds": v.optional(whole),
  "upload-seconds": v.optional(whole),
  "proxy-remote": v.optional(v.pipe(v.string(), v.url())),
  "proxy-username": v.optional(v.string()),
  "proxy-password-file": v.optional(v.string()),
  "proxy-ttl-seconds": v.optional(whole),
  "proxy-insecure": v.optional(v.boolean()),
  "proxy-certs-dir": v.optional(v.string()),
  s3: v.optional(
    v.strictObject({
      endpoint: v.optional(v.pipe(v.string(), v.url())),
      region: v.optional(v.string()),
      "access-key-id": v.optional(v.string()),
      "secret-access-key": v.optional(v.string()),
      "virtual-hosted": v.optional(v.boolean()),
    }),
  ),
  webhooks: v.optional(
    v.array(
      v.strictObject({
        url: v.pipe(v.string(), v.url()),
        headers: v.optional(v.record(v.string(), v.string())),
      }),
    ),
  ),
});
export type ServeFile = v.InferOutput<typeof fileSchema>;

export interface ServeOptions {
  readonly file: ServeFile;
  readonly hostname: string;
  readonly port: number;
  readonly root: string;
  readonly help: boolean;
}

const textFlags = [
  ...(["addr", "root", "htpasswd", "tls-cert", "tls-key"] as const),
  ...(["proxy-remote", "proxy-username", "proxy-password-file", "proxy-certs-dir"] as const),
] as const;
const switchFlags = ["anonymous-pull", "proxy-insecure"] as const;

/** Flags as they stand, and where the file is. @throws Fault `invalid` for what nobody knows. */
export function parseServeFlags(args: readonly string[]): {
  readonly flags: ServeFile;
  readonly config: string | undefined;
  readonly help: boolean;
} {
  const flags: Record<string, string | boolean> = {};
  const rest = [...args];
  let config: string | undefined;
  let help = false;
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const [, name = "", given] = /^--?([a-z-]+)(?:=(.*))?$/s.exec(arg) ?? [];
    if (name === "help" || name === "h") help = true;
    else if ((switchFlags as readonly string[]).includes(name)) flags[name] = given !== "false";
    else if (name === "config" || (textFlags as readonly string[]).includes(name)) {
      const value = given ?? rest.shift();
      if (value === undefined) throw new Fault("invalid", `flag needs an argument: --${name}`);
      if (name === "config") config = value;
      else flags[name] = value;
    } else throw new Fault("invalid", `unknown argument ${arg}: see 'wherry registry serve --help'`);
  }
  return { flags, config, help };
}

/** @throws Fault `invalid` naming the key. */
export function parseServeFile(text: string, path: string): ServeFile {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (cause) {
    throw new Fault("invalid", `${path} is no JSON`, { cause });
  }
  const parsed = v.safeParse(fileSchema, given);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw new Fault("invalid", `${path}: ${v.getDotPath(issue) ?? String(issue.input)}: ${issue.message}`);
}

/** Where everything is kept: a folder, or a bucket and the prefix of its keys. */
export type DepotPlace = { readonly folder: string } | { readonly s3: S3Place };

/** `s3://BUCKET/PREFIX`, or a path. `environment` has what the file does not say. @throws Fault `invalid`. */
export function decideDepot(
  root: string,
  { s3 = {} }: ServeFile,
  environment: Readonly<Record<string, string | undefined>>,
): DepotPlace {
  const [, bucket, prefix = ""] = /^s3:\/\/([^/]+)\/?(.*?)\/?$/.exec(root) ?? [];
  if (bucket === undefined) return { folder: root };
  const accessKeyId = s3["access-key-id"] ?? environment["AWS_ACCESS_KEY_ID"];
  const secretAccessKey = s3["secret-access-key"] ?? environment["AWS_SECRET_ACCESS_KEY"];
  if (accessKeyId === undefined || secretAccessKey === undefined)
    throw new Fault(
      "invalid",
      `${root} needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or s3 in the configuration file`,
    );
  const endpoint = environment["AWS_ENDPOINT_URL_S3"] ?? environment["AWS_ENDPOINT_URL"];
  return {
    s3: {
      ...{ bucket, prefix, accessKeyId, secretAccessKey },
      endpoint: s3.endpoint ?? endpoint,
      region: s3.region ?? environment["AWS_REGION"] ?? environment["AWS_DEFAULT_REGION"],
      sessionToken: s3["access-key-id"] === undefined ? environment["AWS_SESSION_TOKEN"] : undefined,
      virtualHosted: s3["virtual-hosted"],
    },
  };
}

/** A flag goes before the file. @throws Fault `invalid`. */
export function decideServe(flags: ServeFile, file: ServeFile): Omit<ServeOptions, "help"> {
  const all = { ...file, ...flags };
  if (all.root === undefined) throw new Fault("invalid", "say where to keep things: --root DIR");
  if ((all["tls-cert"] === undefined) !== (all["tls-key"] === undefined))
    throw new Fault("invalid", "--tls-cert and --tls-key go together");
  if (all.rights !== undefined && all.htpasswd === undefined)
    throw new Fault("invalid", "rights are those of users: say who they are with --htpasswd FILE");
  const remote = all["proxy-remote"];
  if (remote !== undefined && !/^https?:$/.test(URL.parse(remote)?.protocol ?? ""))
    throw new Fault(
      "invalid",
      `invalid --proxy-remote ${JSON.stringify(remote)}: want an http:// or https:// URL`,
    );
  if ((all["proxy-username"] === undefined) !== (all["proxy-password-file"] === undefined))
    throw new Fault("invalid", "--proxy-username and --proxy-password-file go together");
  const address = all.addr ?? "127.0.0.1:5000";
  const [, hostname, port] = /^(\[[0-9a-f:]+\]|[^:]*):(\d{1,5})$/i.exec(address) ?? [];
  if (hostname === undefined || Number(port) > 65_535)
    throw new Fault("invalid", `invalid --addr ${JSON.stringify(address)}: want HOST:PORT`);
  return {
    file: all,
    hostname: hostname === "" ? "0.0.0.0" : hostname.replace(/^\[|\]$/g, ""),
    port: Number(port),
    root: all.root,
  };
}

export const serveUsage = `Usage:  wherry registry serve --root DIR [OPTIONS]

Serve a registry of images (OCI Distribution 1.1)

Options:
      --addr HOST:PORT    Where to listen (default 127.0.0.1:5000; port 0: any)
      --anonymous-pull    Let those pull who do not say who they are
      --config FILE       JSON with these options by name, and: blob-bytes-max, collect-every-seconds,
                          deletes, grace-seconds, proxy-ttl-seconds, repository-bytes-max, rights,
                          s3, token, upload-seconds, webhooks
      --htpasswd FILE     Users with bcrypt passwords, as htpasswd -B writes them
      --proxy-remote URL  Be a cache of that registry, which takes no pushes; what nobody asked for in
                          a week goes (proxy-ttl-seconds; 0: never)
      --proxy-username NAME, --proxy-password-file FILE
                          Who the cache is over there
      --proxy-insecure, --proxy-certs-dir DIR
                          Without checking its certificate; where authorities are, as /etc/docker/certs.d
      --root DIR          Where everything is kept; several servers may share it. Or s3://BUCKET/PREFIX,
                          with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL
      --tls-cert FILE     Certificate chain in PEM
      --tls-key FILE      Its key in PEM
`;
