/** Commands about the engine itself. */
import { type Command, formatFlag, write } from "#cli/flags/command.ts";
import { humanSize } from "#cli/flags/units.ts";
import type { SystemInfo, VersionInfo } from "#spec/docker-wire.ts";
import { compileTemplate } from "#spec/template.ts";

const clientFacts = { Version: "0.1.0", ApiVersion: "1.50", Os: "linux" } as const;

const version: Command = {
  usage: "[OPTIONS]",
  flags: [{ ...formatFlag, short: "f" }],
  least: 0,
  most: 0,
  run: async ({ client, flags, io }) => {
    const format = flags.text("format");
    let server: VersionInfo | undefined;
    let failure: unknown;
    try {
      server = await (await client()).version();
    } catch (thrown) {
      failure = thrown;
    }
    const facts = { Client: clientFacts, Server: server ?? null };
    if (format === "json") await write(io.stdout, `${JSON.stringify(facts)}\n`);
    else if (format !== undefined) await write(io.stdout, `${compileTemplate(format)(facts)}\n`);
    else await write(io.stdout, versionText(server));
    if (failure !== undefined) throw failure;
    return 0;
  },
};

function versionText(server: VersionInfo | undefined): string {
  const line = (name: string, value: string) => ` ${`${name}:`.padEnd(19)}${value}\n`;
  const own = `Client: Wherry\n${line("Version", clientFacts.Version)}${line("API version", clientFacts.ApiVersion)}${line("OS/Arch", `${process.platform}/${process.arch === "x64" ? "amd64" : process.arch}`)}`;
  if (server === undefined) return own;
  return `${own}\nServer: Wherry\n${line("Version", server.Version)}${line("API version", `${server.ApiVersion} (minimum version ${server.MinAPIVersion})`)}${line("Git commit", server.GitCommit)}${line("Built", server.BuildTime ?? "")}${line("OS/Arch", `${server.Os}/${server.Arch}`)}`;
}

const info: Command = {
  usage: "[OPTIONS]",
  flags: [{ ...formatFlag, short: "f" }],
  least: 0,
  most: 0,
  run: async ({ client, flags, io }) => {
    const facts = await (await client()).info();
    const format = flags.text("format");
    if (format === "json") await write(io.stdout, `${JSON.stringify(facts)}\n`);
    else if (format !== undefined) await write(io.stdout, `${compileTemplate(format)(facts)}\n`);
    else await write(io.stdout, infoText(facts));
    return 0;
  },
};

function infoText(facts: SystemInfo): string {
  const proxies: [string, string][] = [
    ["HTTP Proxy", facts.HttpProxy],
    ["HTTPS Proxy", facts.HttpsProxy],
    ["No Proxy", facts.NoProxy],
  ];
  const lines: [string, string | number][] = [
    ["Containers", facts.Containers],
    [" Running", facts.ContainersRunning],
    [" Paused", facts.ContainersPaused],
    [" Stopped", facts.ContainersStopped],
    ["Images", facts.Images],
    ["Server Version", facts.ServerVersion],
    ["Storage Driver", facts.Driver],
    ["Logging Driver", facts.LoggingDriver],
    ["Cgroup Driver", facts.CgroupDriver],
    ["Cgroup Version", facts.CgroupVersion ?? ""],
    ["Default Runtime", facts.DefaultRuntime],
    ["Kernel Version", facts.KernelVersion],
    ["Operating System", facts.OperatingSystem],
    ["OSType", facts.OSType],
    ["Architecture", facts.Architecture],
    ["CPUs", facts.NCPU],
    ["Total Memory", humanSize(facts.MemTotal, 4)],
    ["Name", facts.Name],
    ["ID", facts.ID],
    ["Docker Root Dir", facts.DockerRootDir],
    ...proxies.filter(([, value]) => value !== ""),
  ];
  return `Server:\n${lines.map(([name, value]) => ` ${name}: ${value}\n`).join("")}${registries(facts)}`;
}

function registries({ RegistryConfig }: SystemInfo): string {
  const { InsecureRegistryCIDRs = [], IndexConfigs = {}, Mirrors } = RegistryConfig ?? {};
  const plain = Object.values(IndexConfigs).flatMap(({ Name, Secure }) => (Secure ? [] : [Name]));
  const section = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? "" : ` ${title}:\n${lines.map((line) => `  ${line}\n`).join("")}`;
  return (
    section("Insecure Registries", [...plain, ...InsecureRegistryCIDRs]) +
    section("Registry Mirrors", Mirrors ?? [])
  );
}

export const commands: Readonly<Record<string, Command>> = { version, info };
