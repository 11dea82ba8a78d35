/** What is kept of a volume, and what the keeping needs. */
import type { Fault } from "#spec/fault.ts";
import type { Records } from "#store/records.ts";
import type { PluginDirectories } from "./plugins.ts";

export interface VolumeRecord {
  readonly name: string;
  readonly driver: string;
  /** RFC 3339. */
  readonly created: string;
  readonly mountpoint: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  /** The name it had, as long as it is not certain that its files have come along. */
  readonly from?: string;
}

export type VolumeAction = "create" | "destroy" | "rename" | "restore";

export interface VolumesParts {
  readonly records: Records;
  readonly root: string;
  /** Holds what is made ready for containers that run; a reboot ends it. */
  readonly mountRoot: string;
  readonly plugins: PluginDirectories;
  /** Ids of the containers that have a volume. */
  readonly usersOf: (name: string) => readonly string[];
  /** Those of them that run. */
  readonly runningUsersOf: (name: string) => readonly string[];
  readonly emit: (action: VolumeAction, name: string, attributes: Record<string, string>) => void;
  readonly now: () => string;
  /** How long removed volumes are kept, milliseconds; 0: not at all. */
  readonly trashMs: number;
  /** Told of what fails where no request is there to be told. */
  readonly report: (fault: Fault) => void;
  readonly randomHex: (bytes: number) => string;
}
