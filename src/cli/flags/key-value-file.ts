/** Pure. Files of `KEY=VALUE` lines, as `--env-file` and `--label-file` take them. */
import { Fault } from "#spec/fault.ts";

/**
 * Empty lines and those that begin with `#` are skipped. A key alone takes its value from `lookUp`, and is left out where
 * that has none; without `lookUp` it stays out.
 * @throws Fault `invalid` in docker's words, with the file's name.
 */
export function parseKeyValueFile(
  bytes: Uint8Array,
  name: string,
  lookUp: (key: string) => string | undefined,
): string[] {
  const refuse = (reason: string) => new Fault("invalid", `invalid env file (${name}): ${reason}`);
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw refuse("invalid utf8 bytes");
  }
  return text.split(/\r?\n/).flatMap((raw) => {
    const line = raw.trimStart();
    if (line === "" || line.startsWith("#")) return [];
    const at = line.indexOf("=");
    const key = at < 0 ? line : line.slice(0, at);
    if (key === "") throw refuse(`no variable name on line '${line}'`);
    if (/[ \t]/.test(key)) throw refuse(`variable '${key}' contains whitespaces`);
    if (at >= 0) return [line];
    const found = lookUp(key);
    return found === undefined ? [] : [`${key}=${found}`];
  });
}
