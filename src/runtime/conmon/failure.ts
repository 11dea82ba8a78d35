/** Pure. What low-level runtimes say when a process cannot be started, as Docker says it, with Docker's exit codes. */
import { Fault } from "#spec/fault.ts";

/** What a shell exits with for the same. */
const exitCodes = { notFound: 127, notExecutable: 126 } as const;
/** What Docker has for the rest. */
const otherExitCodes = { container: 128, exec: 126 } as const;

const notFound = /executable file .*not found|no such file or directory|not found in \$PATH/i;
const notExecutable = /permission denied|exec format error|is a directory|not a directory/i;
/** crun's word for a directory. */
const directoryOpened = /open executable: operation not permitted/i;
const noWorkingDirectory = /^chdir (?:to )?`(?<path>.*)`: (?<why>.*)$/i;

/** crun colours what it says to a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what such a sequence begins with
const escapeSequence = /\u001b\[[\d;]*m/g;

/**
 * The fault of a start that failed, with `detail.exitCode`. `said` is the runtime's text, `command` what was to run.
 * Only what speaks of the command itself makes 126 or 127; a missing mount source is no missing command.
 */
export function startFailure(kind: "container" | "exec", said: string, command: string): Fault {
  const text = inDockersWords(messageOf(said));
  const aboutCommand = /\b(?:exec|executable|execve|find)\b/i.test(text) || text.includes(`\`${command}\``);
  const known =
    aboutCommand && notFound.test(text)
      ? "notFound"
      : aboutCommand && notExecutable.test(text)
        ? "notExecutable"
        : undefined;
  const exitCode = known === undefined ? otherExitCodes[kind] : exitCodes[known];
  const reason =
    known === "notFound"
      ? `exec: ${JSON.stringify(command)}: ${command.includes("/") ? `stat ${command}: no such file or directory` : "executable file not found in $PATH"}`
      : known === "notExecutable"
        ? `exec: ${JSON.stringify(command)}: ${notExecutable.exec(text)?.[0]?.toLowerCase() ?? "permission denied"}`
        : text;
  const frame =
    kind === "container"
      ? "failed to create task for container: failed to create shim task: OCI runtime create failed: unable to start container process"
      : "OCI runtime exec failed: exec failed: unable to start container process";
  return new Fault("invalid", `${frame}: ${reason}: unknown`, { detail: { exitCode } });
}

function inDockersWords(text: string): string {
  const { path, why = "" } = noWorkingDirectory.exec(text)?.groups ?? {};
  return path === undefined
    ? text.replace(directoryOpened, "open executable: permission denied")
    : `chdir to cwd (${JSON.stringify(path)}) set in config.json failed: ${why.toLowerCase()}`;
}

/** crun writes plain lines, runc JSON or logfmt; all end in what matters. */
function messageOf(said: string): string {
  const lines = said.split("\n").filter((line) => line.trim() !== "");
  const last = lines.find((line) => /error/i.test(line)) ?? lines.at(-1) ?? "the runtime gave no reason";
  const logfmt = /msg="((?:[^"\\]|\\.)*)"/.exec(last)?.[1]?.replace(/\\"/g, '"');
  return (logfmt ?? last)
    .replace(escapeSequence, "")
    .replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z?:?\s*/, "")
    .replace(/^(?:\[[^\]]*\]:?\s*)?(?:error:\s*)?/i, "")
    .trim();
}
