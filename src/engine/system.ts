/** What `info` and `version` tell of this engine; what the machine is comes from outside. */
import type { MachineLimits } from "#spec/machine-limits.ts";
import type { Records } from "#store/records.ts";
import type { LogConfig } from "#telemetry/log-config.ts";
import type { RuntimePart } from "./parts.ts";

export interface MachineFacts {
  readonly hostname: string;
  readonly kernelRelease: string;
  /** `x86_64`. */
  readonly machine: string;
  /** In Go's words: `amd64`. */
  readonly architecture: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly operatingSystem: string;
  readonly operatingSystemVersion: string;
  readonly cgroupVersion: "1" | "2";
  readonly limits: MachineLimits;
  /** Of the data root: `extfs`. */
  readonly fileSystem: string;
  /** Whether what a container writes can be limited. */
  readonly limitsRootSizes: boolean;
  /** What AppArmor keeps containers to that ask for no profile; undefined where there is none. */
  readonly apparmorProfile: string | undefined;
}

export interface SystemFacts {
  /** Of this engine, the same over restarts. */
  readonly id: string;
  readonly hostname: string;
  readonly dataRoot: string;
  readonly kernelVersion: string;
  readonly machine: string;
  readonly operatingSystem: string;
  readonly osVersion: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly cgroupVersion: "1" | "2";
  readonly runtimeName: "crun" | "runc";
  readonly runtimeVersion: string;
  readonly conmonVersion: string;
  readonly labels: readonly string[];
  readonly limits: MachineLimits;
  /** Low-level runtimes containers can ask for. */
  readonly runtimes: readonly string[];
  /** Where specifications of CDI devices are looked for. */
  readonly cdiDirectories: readonly string[];
  readonly logConfig: LogConfig;
  /** Of the data root: `extfs`. */
  readonly fileSystem: string;
  /** Whether what a container writes can be limited. */
  readonly limitsRootSizes: boolean;
  readonly apparmorProfile: string | undefined;
}

export interface SystemParts {
  readonly records: Records;
  readonly runtime: Pick<RuntimePart, "facts">;
  readonly machine: () => MachineFacts;
  readonly dataRoot: string;
  readonly labels: () => readonly string[];
  /** What containers get that ask for no driver of logs. */
  readonly logConfig: LogConfig;
  readonly newId: () => string;
}

export class System {
  readonly #parts: SystemParts;
  readonly #id: string;

  constructor(parts: SystemParts) {
    this.#parts = parts;
    const table = parts.records.table<string>("engine");
    const known = table.get("id");
    this.#id = known ?? parts.newId();
    if (known === undefined) table.put("id", this.#id);
  }

  facts(): SystemFacts {
    const { dataRoot, labels, logConfig, machine, runtime } = this.#parts;
    const seen = machine();
    return {
      id: this.#id,
      hostname: seen.hostname,
      dataRoot,
      kernelVersion: seen.kernelRelease,
      machine: seen.machine,
      operatingSystem: seen.operatingSystem,
      osVersion: seen.operatingSystemVersion,
      cpus: seen.cpus,
      memoryBytes: seen.memoryBytes,
      cgroupVersion: seen.cgroupVersion,
      runtimeName: runtime.facts.name,
      runtimeVersion: runtime.facts.version,
      conmonVersion: runtime.facts.conmonVersion,
      labels: labels(),
      limits: seen.limits,
      runtimes: runtime.facts.installed,
      cdiDirectories: runtime.facts.cdiDirectories,
      logConfig,
      fileSystem: seen.fileSystem,
      limitsRootSizes: seen.limitsRootSizes,
      apparmorProfile: seen.apparmorProfile,
    };
  }
}
