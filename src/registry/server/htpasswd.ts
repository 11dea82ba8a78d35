/** Pure. Files of users as `htpasswd -B` writes them: `name:hash` lines, bcrypt alone. */
import { Fault } from "#spec/fault.ts";

/** In the order of the file. @throws Fault `invalid` for hashes that are not bcrypt. */
export function parseHtpasswd(text: string, path: string): ReadonlyMap<string, string> {
  const hashes = new Map<string, string>();
  for (const line of text.split("\n").map((each) => each.trim())) {
    if (line === "" || line.startsWith("#")) continue;
    const colon = line.indexOf(":");
    const hash = line.slice(colon + 1);
    if (colon < 1 || !/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/.test(hash))
      throw new Fault(
        "invalid",
        `${path}: the password of ${JSON.stringify(line.slice(0, Math.max(0, colon)))} is not bcrypt's: write it with htpasswd -B or 'wherry registry user add'`,
      );
    hashes.set(line.slice(0, colon), hash);
  }
  return hashes;
}

/** The file with this user's line, and no other of his; `hash` undefined: without it. Comments stay. */
export function changedHtpasswd(text: string, name: string, hash: string | undefined): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const at = lines.findIndex((line) => line.trim().startsWith(`${name}:`));
  const others = lines.filter((line) => !line.trim().startsWith(`${name}:`));
  if (hash !== undefined) others.splice(at < 0 ? others.length : at, 0, `${name}:${hash}`);
  return others.map((line) => `${line}\n`).join("");
}

/** @throws Fault `invalid` for what no line can begin with. */
export function checkUserName(name: string): void {
  if (!/^[^\s:#][^\n:]{0,254}$/.test(name))
    throw new Fault(
      "invalid",
      `${JSON.stringify(name)} is no user's name: it has no colon and no line break`,
    );
}
