/** Pure. `ADD --checksum`. */
import { Fault } from "#spec/fault.ts";

/** Of a repository it is a commit, which whoever fetches it looks at. @throws Fault `invalid` in the words of Go's digests. */
export function checkChecksum(checksum: string, sources: readonly string[]): void {
  if (checksum === "") return;
  const [source = "", ...more] = sources;
  if (more.length > 0) throw new Fault("invalid", "checksum can't be specified for multiple sources");
  if (!/^(?:(?:https?|git|ssh):\/\/|github\.com\/|[\w.-]+@[\w.-]+:)/i.test(source))
    throw new Fault("invalid", "checksum requires HTTP(S) or Git sources");
  if (!/^https?:\/\//i.test(source) || !checksum.includes(":")) return;
  const [, algorithm, hex = ""] = /^([a-z0-9+._-]+):([0-9A-Za-z]*)$/.exec(checksum) ?? [];
  if (algorithm === undefined) throw new Fault("invalid", "invalid checksum digest format");
  if (algorithm !== "sha256") throw new Fault("invalid", "unsupported digest algorithm");
  if (hex.length !== 64) throw new Fault("invalid", "invalid checksum digest length");
  if (!/^[0-9a-f]*$/.test(hex)) throw new Fault("invalid", "invalid checksum digest format");
}
