/**
 * What a row of the conformance table is: a Dockerfile, what it is built from, and all that must come of it.
 * Rows are data, one file for each instruction; `language.test.ts` builds them.
 */

/** A file of a context: its text, or more. */
export type ContextFile =
  | string
  | {
      readonly bytes?: string | Uint8Array;
      /** @default 0644 */
      readonly mode?: number;
      /** A symbolic link to it. */
      readonly link?: string;
      /** Seconds. */
      readonly mtime?: number;
      readonly directory?: true;
    };

export type ContextFiles = Readonly<Record<string, ContextFile>>;

export interface Row {
  readonly name: string;
  readonly dockerfile: string | Uint8Array;
  readonly context?: ContextFiles;
  /** BuildKit's attributes by their own names: `build-arg:X`, `target`, `context:NAME`. */
  readonly options?: Readonly<Record<string, string>>;
  /** Other directories of the client, by name. */
  readonly directories?: Readonly<Record<string, ContextFiles>>;
  /** By id; a file's content. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Ids of agents, each with the same one behind it. */
  readonly agents?: readonly string[];
  readonly entitlements?: readonly string[];
  /** @default "buildkit" */
  readonly builder?: "buildkit" | "classic" | "both";
  /**
   * Of the configuration, what is there beside what the base has: exactly this. `null` for what the base has and it has not.
   * @default {}
   */
  readonly config?: Readonly<Record<string, unknown>>;
  /**
   * What is there beside the base's files, exactly, by path; directories end in `/`. In the words of `image-seen.ts`:
   * `-644 text`, `d755`, `l target`, `-600 33:44 text`, `= other` for a hard link, `gone`.
   */
  readonly files?: Readonly<Record<string, string>>;
  /** Seconds, for files whose time counts. */
  readonly times?: Readonly<Record<string, number>>;
  /** `created_by` of each line beside the base's. */
  readonly history?: readonly string[];
  /** What it is refused with, whole; or an expression for what holds a digest. Nothing else is expected then. */
  readonly fails?: string | RegExp;
  /** What was warned of: `Rule: detail (line 2)`. Not looked at when absent. */
  readonly warns?: readonly string[];
  /** What its commands must have said, in any line. */
  readonly says?: readonly string[];
  /** Of the syntax of today, which Docker 26 does not have by itself: it is not asked. */
  readonly newer?: true;
  /** Docker 26 is known to do otherwise, and why that is not followed. */
  readonly differs?: string;
}

/** The image that rows stand on: `BaseImage.archive`. */
export const base = "row-base";

/** `${…}` as Dockerfiles have it. */
export const variable = (inner: string): string => `\${${inner}}`;
