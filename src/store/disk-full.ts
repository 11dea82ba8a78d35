/** Pure. A full disk in a sentence that says what to do. */
import { Fault } from "#spec/fault.ts";

const codes: Readonly<Record<string, string>> = {
  ENOSPC: "no space left on device",
  SQLITE_FULL: "no space left on device",
  EDQUOT: "disk quota exceeded",
};

/** A Fault `unavailable` in place of an error that means a full disk, naming `directory`; any other error as it is. */
export function explainFull(error: unknown, directory: string): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reason = codes[code];
  if (reason === undefined) return error;
  return new Fault(
    "unavailable",
    `${reason}: the disk that holds ${directory} has no free blocks or inodes, remove what is not needed`,
    {
      cause: error,
    },
  );
}
