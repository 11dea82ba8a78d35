/** Pure. What an engine tells of the last build of a context; wherry's own. */

/** `changed`: something it reads did. `new`: not in the build before. `gone`: its result is not kept any more. `refused`: `--no-cache`. */
export type MissKind = "changed" | "new" | "gone" | "refused";

export interface BuildOutcomeAnswer {
  Dockerfile: string;
  /** Empty for the last stage. */
  Target: string;
  /** An address, or empty for the client's own files. */
  Context: string;
  /** What the client said of where its files are. */
  Origin: string;
  /** RFC 3339. */
  BuiltAt: string;
  Steps: number;
  Missed: {
    Step: string;
    Kind: MissKind;
    /** `changed src/a.js`, `added b`, `removed c`, `changed variable V`. */
    Changes: string[];
  }[];
}
