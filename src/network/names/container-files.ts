/** A container's `/etc/hosts` and `/etc/resolv.conf`, from its request and the host's own files. */
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import type { ContainerRecord, HostConfig } from "#spec/container.ts";
import { addressesOf, type Sandbox } from "#spec/network.ts";
import type { Upstream } from "./dns-forwarder.ts";
import { changeOwnLines, extendHosts, renderHosts } from "./name-files.ts";
import { isLoopback, parseResolvConf, renderResolvConf } from "./resolv-conf.ts";

/** For every container that says nothing itself; where nobody does, the host's own. */
export interface DnsDefaults {
  readonly servers: readonly string[];
  readonly search: readonly string[];
  readonly options: readonly string[];
}

export const noDns: DnsDefaults = { servers: [], search: [], options: [] };

/** Pure. Each list for itself, as dockerd has it. */
export function dnsOf(host: HostConfig, defaults: DnsDefaults): DnsDefaults {
  const or = (asked: readonly string[] | null | undefined, usual: readonly string[]) =>
    asked !== undefined && asked !== null && asked.length > 0 ? asked : usual;
  return {
    servers: or(host.Dns, defaults.servers),
    search: or(host.DnsSearch, defaults.search),
    options: or(host.DnsOptions, defaults.options),
  };
}

export async function containerFiles(
  { config, host }: Pick<ContainerRecord, "config" | "host">,
  sandbox: Sandbox,
  o: {
    readonly hostname: string;
    /** The host as containers reach it: at most one address of each family. */
    readonly gateways: readonly string[];
    readonly dns: DnsDefaults;
  },
): Promise<{ hosts: string; resolvConf: string }> {
  const sharesHost = sandbox.netnsPath === undefined;
  const extra = host.ExtraHosts ?? [];
  const hosts = sharesHost
    ? extendHosts(await textOf("/etc/hosts"), extra, ["127.0.0.1"])
    : renderHosts({
        hostname: o.hostname,
        domainname: config.Domainname ?? "",
        // IPv4 first on each network, as dockerd has it.
        addresses: sandbox.endpoints.flatMap(addressesOf),
        extra,
        gateways: o.gateways,
      });
  return { hosts, resolvConf: await resolvConfOf(host, sandbox, o.dns) };
}

async function resolvConfOf(host: HostConfig, sandbox: Sandbox, dns: DnsDefaults): Promise<string> {
  const sharesHost = sandbox.netnsPath === undefined;
  const embedded = answersNames(sandbox);
  const asked = dnsOf(host, sharesHost ? noDns : dns);
  return renderResolvConf({
    host: await hostResolvConf(sharesHost || embedded),
    nameservers: asked.servers,
    search: asked.search,
    options: asked.options,
    sharesHost,
    embedded,
  });
}

/** On networks of a user's the engine answers questions for names. */
function answersNames({ netnsPath, endpoints }: Sandbox): boolean {
  return netnsPath !== undefined && endpoints.some(({ dnsNames }) => dnsNames.length > 0);
}

/** Whom the host asks for names. Those on its loopback are asked from there. */
export async function hostServers(): Promise<Upstream[]> {
  const { nameservers } = parseResolvConf(await textOf("/etc/resolv.conf"));
  return nameservers.map((address) => ({ address, port: 53 }));
}

/** Written in place: the container has the file itself, not its name. */
export async function editNameFiles(
  { config, host }: Pick<ContainerRecord, "config" | "host">,
  o: {
    readonly before: Sandbox;
    readonly after: Sandbox;
    readonly files: { readonly hosts: string; readonly resolvConf: string };
    readonly hostname: string;
    readonly dns: DnsDefaults;
  },
): Promise<void> {
  const text = await textOf(o.files.hosts);
  const edited = changeOwnLines(text, {
    hostname: o.hostname,
    domainname: config.Domainname ?? "",
    before: o.before.endpoints.flatMap(addressesOf),
    after: o.after.endpoints.flatMap(addressesOf),
  });
  if (edited !== text) await writeFile(o.files.hosts, edited);
  if (answersNames(o.before) || !answersNames(o.after)) return;
  // From now on the engine answers, unless somebody wrote servers of their own there.
  const untouched = await resolvConfOf(host, o.before, o.dns);
  if ((await textOf(o.files.resolvConf)) === untouched)
    await writeFile(o.files.resolvConf, await resolvConfOf(host, o.after, o.dns));
}

/** Empty where there is no such file. */
export async function textOf(path: string): Promise<string> {
  return await readFile(path, "utf8").catch(() => "");
}

/** systemd-resolved's own list, when the host's file only points at it. */
async function hostResolvConf(asItIs: boolean): Promise<string> {
  const text = await textOf("/etc/resolv.conf");
  const behind = "/run/systemd/resolve/resolv.conf";
  const servers = [...text.matchAll(/^nameserver\s+(\S+)/gm)].map((match) => match[1] ?? "");
  const onlyLoopback = servers.length > 0 && servers.every(isLoopback);
  return onlyLoopback && !asItIs && existsSync(behind) ? await textOf(behind) : text;
}
