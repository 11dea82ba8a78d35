/** Pure. What low-level runtimes say when a process cannot be started, as Docker says it, with Docker's exit codes. */
import { Fault } from "#spec/fault.ts";

/** What a shell exits with for the same. */
const exitCodes = { notFound: 127, notExecutable: 126, other: 128 } as const;

const notFound = /executable file .*not found|no such file or directory|not found in \$PATH/i;
const notExecutable = /permission denied|exec format error|is a directory|not a directory/i;

/**
 * The fault of a start that failed, with `detail.exitCode`. `said` is the runtime's text, `command` what was to run.
 * Only what speaks of the command itself makes 126 or 127; a missing mount source is no missing command.
 */
export function startFailure(kind: "container" | "exec", said: string, command: string): Fault {
  const text = messageOf(said);
  const aboutCommand = /\b(?:exec|executable|execve|find)\b/i.test(text) || text.includes(`\`${command}\``);
  const exitCode =
    aboutCommand && notFound.test(text)
      ? exitCodes.notFound
      : aboutCommand && notExecutable.test(text)
        ? exitCodes.notExecutable
        : exitCodes.other;
  const reason =
    exitCode === exitCodes.notFound
      ? `exec: ${JSON.stringify(command)}: ${command.includes("/") ? `stat ${command}: no such file or directory` : "executable file not found in $PATH"}`
      : exitCode === exitCodes.notExecutable
        ? `exec: ${JSON.stringify(command)}: ${notExecutable.exec(text)?.[0]?.toLowerCase() ?? "permission denied"}`
        : text;
  const frame =
    kind === "container"
      ? "failed to create task for container: failed to create shim task: OCI runtime create failed: unable to start container process"
      : "OCI runtime exec failed: exec failed: unable to start container process";
  return new Fault("invalid", `${frame}: ${reason}: unknown`, { detail: { exitCode } });
}

/** crun writes plain lines, runc JSON or logfmt; all end in what matters. */
function messageOf(said: string): string {
  const lines = said.split("\n").filter((line) => line.trim() !== "");
  const last = lines.find((line) => /error/i.test(line)) ?? lines.at(-1) ?? "the runtime gave no reason";
  const logfmt = /msg="((?:[^"\\]|\\.)*)"/.exec(last)?.[1]?.replace(/\\"/g, '"');
  return (logfmt ?? last)
    .replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z?:?\s*/, "")
    .replace(/^(?:\[[^\]]*\]:?\s*)?(?:error:\s*)?/i, "")
    .trim();
}
