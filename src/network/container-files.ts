/** A container's `/etc/hosts` and `/etc/resolv.conf`, from its request and the host's own files. */
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import type { ContainerRecord } from "#spec/container.ts";
import type { Sandbox } from "#spec/network.ts";
import { changeOwnLines, extendHosts, isLoopback, renderHosts, renderResolvConf } from "./name-files.ts";

export async function containerFiles(
  { config, host }: Pick<ContainerRecord, "config" | "host">,
  sandbox: Sandbox,
  o: {
    readonly hostname: string;
    /** The host as containers of the default bridge see it. */
    readonly gateway: string;
    /** Servers for every container that names none. */
    readonly dns: readonly string[];
  },
): Promise<{ hosts: string; resolvConf: string }> {
  const sharesHost = sandbox.netnsPath === undefined;
  const extra = host.ExtraHosts ?? [];
  const hosts = sharesHost
    ? extendHosts(await textOf("/etc/hosts"), extra, "127.0.0.1")
    : renderHosts({
        hostname: o.hostname,
        domainname: config.Domainname ?? "",
        addresses: sandbox.endpoints.map(({ ipAddress }) => ipAddress).filter((each) => each !== ""),
        extra,
        gateway: o.gateway,
      });
  const asked = host.Dns ?? [];
  const resolvConf = renderResolvConf({
    host: await hostResolvConf(sharesHost),
    nameservers: asked.length > 0 ? asked : sharesHost ? [] : o.dns,
    search: host.DnsSearch ?? [],
    options: host.DnsOptions ?? [],
    sharesHost,
  });
  return { hosts, resolvConf };
}

/** Written in place: the container has the file itself, not its name. */
export async function editNameFiles(
  { config }: Pick<ContainerRecord, "config">,
  o: {
    readonly before: Sandbox;
    readonly after: Sandbox;
    readonly files: { readonly hosts: string };
    readonly hostname: string;
  },
): Promise<void> {
  const addresses = ({ endpoints }: Sandbox) =>
    endpoints.map(({ ipAddress }) => ipAddress).filter((each) => each !== "");
  const text = await textOf(o.files.hosts);
  const edited = changeOwnLines(text, {
    hostname: o.hostname,
    domainname: config.Domainname ?? "",
    before: addresses(o.before),
    after: addresses(o.after),
  });
  if (edited !== text) await writeFile(o.files.hosts, edited);
}

async function textOf(path: string): Promise<string> {
  return await readFile(path, "utf8").catch(() => "");
}

/** systemd-resolved's own list, when the host's file only points at it. */
async function hostResolvConf(sharesHost: boolean): Promise<string> {
  const text = await textOf("/etc/resolv.conf");
  const behind = "/run/systemd/resolve/resolv.conf";
  const servers = [...text.matchAll(/^nameserver\s+(\S+)/gm)].map((match) => match[1] ?? "");
  const onlyLoopback = servers.length > 0 && servers.every(isLoopback);
  return onlyLoopback && !sharesHost && existsSync(behind) ? await textOf(behind) : text;
}
