/** Pure. What `wherryd` is told about registries: dockerd's names, and some of its own. */
import * as v from "valibot";
import {
  defaultRegistryOptions,
  endpointsOf,
  type RegistryOptions,
} from "#registry/client/registry-options.ts";
import { Fault } from "#spec/fault.ts";

/** Keys of the configuration file, by flag. */
export const registryFlags = {
  "registry-mirror": { key: "registry-mirrors", many: true },
  "insecure-registry": { key: "insecure-registries", many: true },
  "registry-certs-dir": { key: "registry-certs-dirs", many: true },
  "registry-auth-realm": { key: "registry-auth-realms", many: true },
  "max-concurrent-downloads": { key: "max-concurrent-downloads", many: false },
  "max-concurrent-uploads": { key: "max-concurrent-uploads", many: false },
  "max-download-attempts": { key: "max-download-attempts", many: false },
  "http-proxy": { key: "http-proxy", many: false },
  "https-proxy": { key: "https-proxy", many: false },
  "no-proxy": { key: "no-proxy", many: false },
  registry: { key: "registry", many: false },
  "registry-config": { key: "registry-config", many: false },
} as const;

const count = v.optional(v.pipe(v.number(), v.integer(), v.minValue(1)));
const list = v.optional(v.array(v.string()));
const proxies = {
  "http-proxy": v.optional(v.string()),
  "https-proxy": v.optional(v.string()),
  "no-proxy": v.optional(v.string()),
};
export const registryFileEntries = {
  "registry-mirrors": list,
  "insecure-registries": list,
  "registry-certs-dirs": list,
  "registry-auth-realms": list,
  "max-concurrent-downloads": count,
  "max-concurrent-uploads": count,
  "max-download-attempts": count,
  /** Where the engine serves a registry of its own, and the file with what `wherry registry serve` is told by one. */
  registry: v.optional(v.string()),
  "registry-config": v.optional(v.string()),
  /** dockerd's place for them. */
  proxies: v.optional(v.strictObject(proxies)),
  ...proxies,
};
export type RegistryFile = v.InferOutput<v.ObjectSchema<typeof registryFileEntries, undefined>>;

type FlagValues = Readonly<Partial<Record<keyof typeof registryFlags, readonly string[]>>>;

/** `environment` has the proxies where nothing else says so. @throws Fault `invalid`. */
export function decideRegistry(
  values: FlagValues,
  file: RegistryFile,
  environment: Readonly<Record<string, string | undefined>>,
): RegistryOptions {
  const from = (name: string) => environment[name] ?? environment[name.toLowerCase()];
  const proxy = (name: keyof typeof proxies, variable: string) =>
    values[name]?.at(-1) ?? file.proxies?.[name] ?? file[name] ?? from(variable);
  const options: RegistryOptions = {
    ...defaultRegistryOptions,
    mirrors: values["registry-mirror"] ?? file["registry-mirrors"] ?? [],
    insecure: values["insecure-registry"] ?? file["insecure-registries"] ?? [],
    certificates:
      values["registry-certs-dir"] ?? file["registry-certs-dirs"] ?? defaultRegistryOptions.certificates,
    authRealms: values["registry-auth-realm"] ?? file["registry-auth-realms"] ?? [],
    maxDownloads: number("max-concurrent-downloads", values, file) ?? defaultRegistryOptions.maxDownloads,
    maxUploads: number("max-concurrent-uploads", values, file) ?? defaultRegistryOptions.maxUploads,
    maxAttempts: number("max-download-attempts", values, file) ?? defaultRegistryOptions.maxAttempts,
    proxy: {
      http: proxy("http-proxy", "HTTP_PROXY"),
      https: proxy("https-proxy", "HTTPS_PROXY"),
      none: proxy("no-proxy", "NO_PROXY"),
    },
  };
  for (const mirror of options.mirrors) endpointsOf(/^([^=/]+)=/.exec(mirror)?.[1] ?? "docker.io", options);
  return options;
}

function number(
  name: "max-concurrent-downloads" | "max-concurrent-uploads" | "max-download-attempts",
  values: FlagValues,
  file: RegistryFile,
): number | undefined {
  const text = values[name]?.at(-1);
  if (text === undefined) return file[name];
  if (!/^[1-9]\d{0,5}$/.test(text))
    throw new Fault("invalid", `invalid --${name} ${JSON.stringify(text)}: want a whole number above 0`);
  return Number(text);
}
