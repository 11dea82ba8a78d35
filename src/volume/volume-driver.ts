/** What keeps volumes: the machine itself (`local`), or a program behind a socket that speaks Docker's volume protocol. */

export interface VolumeDriver {
  readonly name: string;
  readonly scope: "local" | "global";
  /** @throws Fault `invalid` for options that cannot be, before anything is made. */
  check?(options: Readonly<Record<string, string>>): void;
  /** Idempotent. */
  create(name: string, options: Readonly<Record<string, string>>): Promise<void>;
  /** Where the files always are, for drivers that know. */
  place?(name: string): string;
  /**
   * The files become those that `fill` puts into a new directory: all of them, or they stay as they were.
   * `intoEmpty`: only while there are none and `alone` says so. @returns Whether they did.
   */
  replace?(
    volume: DrivenVolume,
    fill: (directory: string) => Promise<void>,
    o?: { readonly intoEmpty: { readonly alone: () => boolean } },
  ): Promise<boolean>;
  /** Makes the files be somewhere on this machine, for one more user. @returns where. */
  mount(volume: DrivenVolume, user: string, signal: AbortSignal): Promise<string>;
  /** One user less. Idempotent. */
  unmount(volume: DrivenVolume, user: string): Promise<void>;
}

export interface DrivenVolume {
  readonly name: string;
  readonly mountpoint: string;
  readonly options: Readonly<Record<string, string>>;
}
