/** The docker CLI with buildx and compose as plugins, unmodified, on an engine under test. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { type CliResult, dockerCli, type EngineUnderTest } from "./engine-under-test.ts";

const places = [
  join(homedir(), ".docker"),
  ...["/usr/libexec", "/usr/local/libexec", "/usr/lib", "/usr/local/lib"].map((each) => join(each, "docker")),
];

function plugin(name: string): string | undefined {
  return places.map((each) => join(each, "cli-plugins", name)).find((each) => existsSync(each));
}

export const buildxPlugin = dockerCli === null ? undefined : plugin("docker-buildx");
export const composePlugin = dockerCli === null ? undefined : plugin("docker-compose");

export class BuildxUnderTest {
  readonly engine: EngineUnderTest;
  readonly environment: Record<string, string>;
  readonly #root: string;

  constructor(engine: EngineUnderTest) {
    this.engine = engine;
    this.#root = mkdtempSync(join(engine.directory, "client-"));
    const config = join(this.#root, "config");
    mkdirSync(join(config, "cli-plugins"), { recursive: true });
    for (const each of [buildxPlugin, composePlugin])
      if (each !== undefined)
        symlinkSync(each, join(config, "cli-plugins", each.slice(each.lastIndexOf("/") + 1)));
    this.environment = {
      DOCKER_BUILDKIT: "1",
      DOCKER_CONFIG: config,
      BUILDX_CONFIG: join(this.#root, "buildx"),
      BUILDX_NO_DEFAULT_ATTESTATIONS: "1",
      DOCKER_CLI_HINTS: "false",
    };
  }

  /** A directory with files in it; empty for another with the same name. */
  context(name: string, files: Readonly<Record<string, string>>): string {
    const directory = join(this.#root, name);
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory);
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), text);
    }
    return directory;
  }

  /** A place for something that is made. */
  place(name: string): string {
    return join(this.#root, name);
  }

  async docker(
    args: readonly string[],
    o: { input?: string; env?: Record<string, string> } = {},
  ): Promise<CliResult> {
    return await this.engine.cli("docker", args, { ...o, env: { ...this.environment, ...o.env } });
  }

  /** @throws with everything it said when it fails. What it tells of its progress. */
  async ok(
    args: readonly string[],
    o: { input?: string; env?: Record<string, string> } = {},
  ): Promise<CliResult> {
    const result = await this.docker(args, o);
    if (result.code !== 0)
      throw new Error(`${args.join(" ")}: ${result.code}\n${result.stdout}${result.stderr}`);
    return result;
  }

  /** `docker build --progress plain`. */
  async build(...args: string[]): Promise<CliResult> {
    return await this.docker(["build", "--progress", "plain", ...args]);
  }
}
