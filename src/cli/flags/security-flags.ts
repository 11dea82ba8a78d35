/** `--security-opt`: what the CLI itself makes of it before the engine sees it. */
import { Fault } from "#spec/fault.ts";

export interface SecurityOptions {
  readonly SecurityOpt: string[];
  /** Present when `systempaths=unconfined` was given, and empty: nothing is hidden. */
  readonly MaskedPaths?: string[];
  readonly ReadonlyPaths?: string[];
}

/** A seccomp profile is sent as the text of its file. @throws Fault `invalid` in docker's words. */
export async function securityOptions(
  options: readonly string[],
  readText: (path: string) => Promise<string>,
): Promise<SecurityOptions> {
  const sent: string[] = [];
  let open = false;
  for (const option of options) {
    const [key, value] = cut(option);
    if (key !== "no-new-privileges" && (value === undefined || value === ""))
      throw new Fault("invalid", `Invalid --security-opt: ${JSON.stringify(option)}`);
    if (option === "systempaths=unconfined") open = true;
    else if (key === "seccomp" && value !== "unconfined" && value !== "builtin")
      sent.push(`seccomp=${await profileText(value ?? "", readText)}`);
    else sent.push(option);
  }
  return { SecurityOpt: sent, ...(open && { MaskedPaths: [], ReadonlyPaths: [] }) };
}

function cut(option: string): [string, string | undefined] {
  const equals = option.indexOf("=");
  const at = equals < 0 ? option.indexOf(":") : equals;
  return at < 0 ? [option, undefined] : [option.slice(0, at), option.slice(at + 1)];
}

async function profileText(path: string, readText: (path: string) => Promise<string>): Promise<string> {
  let text: string;
  try {
    text = await readText(path);
  } catch (cause) {
    throw new Fault("invalid", `opening seccomp profile (${path}) failed: open ${path}: ${reason(cause)}`, {
      cause,
    });
  }
  try {
    return JSON.stringify(JSON.parse(text));
  } catch (cause) {
    throw new Fault(
      "invalid",
      `compacting json for seccomp profile (${path}) failed: ${Fault.from(cause).message}`,
      { cause },
    );
  }
}

function reason(thrown: unknown): string {
  const code = thrown instanceof Error && "code" in thrown ? thrown.code : "";
  return code === "ENOENT" ? "no such file or directory" : Fault.from(thrown).message;
}
