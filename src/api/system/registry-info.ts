/** Pure. What `GET /info` says of how registries are spoken to. */
import type { RegistryFacts } from "#api/api-parts.ts";
import type { SystemInfo } from "#spec/docker-wire.ts";
import { defaultDomain } from "#spec/reference.ts";

type RegistryInfo = Pick<SystemInfo, "RegistryConfig" | "HttpProxy" | "HttpsProxy" | "NoProxy">;

export function registryInfo({ mirrors, insecure, proxy }: RegistryFacts): RegistryInfo {
  const byDomain = mirrors.map((text) => {
    const [, domain = defaultDomain, url = ""] = /^(?:([^=/]+)=)?(.*)$/.exec(text) ?? [];
    return { domain, url: `${url.replace(/\/+$/, "")}/` };
  });
  const mirrorsOf = (name: string) => byDomain.flatMap(({ domain, url }) => (domain === name ? [url] : []));
  const hosts = insecure.filter((each) => !each.includes("/"));
  const names = new Set([defaultDomain, ...byDomain.map(({ domain }) => domain), ...hosts]);
  const own = mirrorsOf(defaultDomain);
  return {
    RegistryConfig: {
      InsecureRegistryCIDRs: [...insecure.filter((each) => each.includes("/")), "127.0.0.0/8"],
      IndexConfigs: Object.fromEntries(
        [...names].map((name) => [
          name,
          {
            Name: name,
            Mirrors: mirrorsOf(name),
            Secure: !hosts.includes(name),
            Official: name === defaultDomain,
          },
        ]),
      ),
      Mirrors: own.length === 0 ? null : own,
    },
    HttpProxy: masked(proxy.http),
    HttpsProxy: masked(proxy.https),
    NoProxy: proxy.none ?? "",
  };
}

/** As Docker shows it: without the name and password in it. */
function masked(text: string | undefined): string {
  return (text ?? "").replace(/^([a-z]+:\/\/)[^/@]*@/i, "$1xxxxx:xxxxx@");
}
