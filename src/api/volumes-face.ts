/** What the api needs of volumes, and no more. */

interface Waiting {
  readonly signal: AbortSignal;
}

export interface VolumeRecord {
  readonly name: string;
  readonly driver: string;
  readonly created: string;
  readonly mountpoint: string;
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

export interface EngineVolumeCopies {
  /** A new volume with all that another one has. @throws Fault `conflict` when the name is taken. */
  clone(source: string, o: Waiting & { name: string; labels: Record<string, string> }): Promise<VolumeRecord>;
  /** @throws Fault `conflict` while a container uses it, or the name is taken. */
  rename(name: string, to: string): Promise<void>;
  /** What `source` has becomes what it has. @throws Fault `conflict` while a container with it runs. */
  restore(name: string, source: string, o: Waiting): Promise<void>;
}

/** How volumes go. */
export interface VolumeRemoval {
  /** For good, not into the trash. */
  now?: boolean | undefined;
  /** What is removed by one request has it in common. */
  removal?: string | undefined;
}

export interface TrashEntry {
  readonly id: string;
  readonly removal: string;
  readonly volume: VolumeRecord;
  /** RFC 3339. */
  readonly removedAt: string;
}

export interface EngineTrash {
  /** A name for a removal. */
  newRemoval(): string;
  /** Oldest first. */
  list(): TrashEntry[];
  keptUntil(entry: TrashEntry): string;
  sizeOf(entry: TrashEntry): Promise<number>;
  /** For good. @returns bytes given back. */
  empty(wanted: (entry: TrashEntry) => boolean): Promise<number>;
}

/** `Files`: how files go in and out of one. */
export interface EngineVolumes<Files> {
  list(): VolumeRecord[];
  /** With what plugins keep that was not made here; in sentences, which of them did not answer in time. */
  listAll(o: Waiting): Promise<{ readonly volumes: VolumeRecord[]; readonly warnings: string[] }>;
  get(name: string): VolumeRecord;
  /** Idempotent. An absent name makes an anonymous one. */
  create(o: {
    name?: string | undefined;
    driver?: string | undefined;
    options: Record<string, string>;
    labels: Record<string, string>;
  }): Promise<VolumeRecord>;
  /** @throws Fault `not-found`, or `conflict` while a container uses it. */
  remove(name: string, o: VolumeRemoval & { force: boolean }): Promise<void>;
  /** A protected one is not removed. @throws Fault `not-found`. */
  protect(name: string, on: boolean): void;
  /** Removed volumes are there again. @throws Fault `not-found`, or `conflict` when a name is taken. */
  undo(o: { what?: string | undefined; name?: string | undefined }): VolumeRecord[];
  readonly trash: EngineTrash;
  readonly copies: EngineVolumeCopies;
  readonly files: Files & {
    /** A tar as the whole volume, its owner and mode included. */
    fill(name: string, tar: AsyncIterable<Uint8Array>, o: Waiting): Promise<void>;
  };
}
