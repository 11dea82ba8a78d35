/** Pure. What an exec is asked for with, as the process that the low-level runtime is told of. */
import { environment, renderProcess } from "#runtime/bundle/bundle.ts";
import { renderRlimits } from "#runtime/bundle/resources.ts";
import type { ResolvedUser } from "#runtime/bundle/user.ts";
import type { ConsoleSize } from "#runtime/conmon/control.ts";
import type { ContainerRecord } from "#spec/container.ts";
import { Fault } from "#spec/fault.ts";
import type { Confinement, OciProcess } from "#spec/oci-runtime.ts";

export interface ExecRequest {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly user: string;
  readonly cwd: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly privileged: boolean;
  readonly consoleSize?: ConsoleSize | undefined;
  /** It must not outlive the engine. */
  readonly probe?: boolean | undefined;
}

/** Absolute. @throws Fault `invalid` with `detail.exitCode` for one that is not. */
export function workingDirectory(
  { config }: Pick<ContainerRecord, "config">,
  { cwd }: Pick<ExecRequest, "cwd">,
): string {
  const directory = cwd || config.WorkingDir || "/";
  if (directory.startsWith("/")) return directory;
  const message = "OCI runtime exec failed: exec failed: Cwd must be an absolute path: unknown";
  throw new Fault("invalid", message, { detail: { exitCode: 126 } });
}

export function renderExec(
  { config, host }: Pick<ContainerRecord, "id" | "config" | "host">,
  request: ExecRequest,
  o: {
    readonly cwd: string;
    readonly hostname: string;
    readonly user: ResolvedUser;
    readonly confinement: Confinement;
    /** Of what asks for none. */
    readonly oomScoreAdj: number;
  },
): OciProcess {
  const { tty, consoleSize } = request;
  const { cwd, hostname, user, confinement } = o;
  const env = lastOfEach([...(config.Env ?? []), ...request.env]);
  const rlimits = renderRlimits(host.Ulimits ?? []);
  return {
    ...renderProcess({
      args: request.args,
      env: environment({ Env: env, Tty: tty }, hostname, user.home),
      ...{ cwd, tty, user, confinement },
    }),
    ...(rlimits.length > 0 && { rlimits }),
    ...(tty && consoleSize !== undefined && { consoleSize }),
    oomScoreAdj: host.OomScoreAdj || o.oomScoreAdj,
  };
}

function lastOfEach(env: readonly string[]): string[] {
  return [...new Map(env.map((each) => [each.split("=", 1)[0], each])).values()];
}
