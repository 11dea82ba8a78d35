/** Pure. A full disk in a sentence that says what to do. */
import { Fault } from "#spec/fault.ts";

const codes: Readonly<Record<string, string>> = {
  ENOSPC: "no space or no inodes are left",
  EDQUOT: "the disk quota is used up",
};

/** A Fault `unavailable` in place of an error that means a full disk, naming `directory`; any other error as it is. */
export function explainFull(error: unknown, directory: string): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reason = codes[code];
  if (reason === undefined) return error;
  return new Fault(
    "unavailable",
    `${reason} on the disk that holds ${directory}: remove what is not needed`,
    {
      cause: error,
    },
  );
}
