/** Pure. `--chown` and `--chmod`: names looked up in the image's own files. */
import { Fault } from "#spec/fault.ts";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The image's account files; empty text for a file that is not there. */
export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

/**
 * `user[:group]`, names or numbers; without a group the user's word is taken for the group too, as Docker does.
 * @throws Fault `invalid` in Docker's words for a name the image does not know.
 */
export function parseOwner(text: string, files: AccountFiles): Owner {
  const [user = "", group = user, ...more] = text.split(":");
  if (more.length > 0) throw new Fault("invalid", `invalid chown string format: ${text}`);
  return {
    uid: lookUp(user, files.passwd, "uid for user", "user"),
    gid: lookUp(group, files.group, "gid for group", "group"),
  };
}

function lookUp(word: string, file: string, what: string, noun: string): number {
  if (/^\d+$/.test(word)) return Number(word);
  // passwd is name:password:uid:…, group is name:password:gid:….
  const fields = file
    .split("\n")
    .map((line) => line.split(":"))
    .find(([name]) => name === word);
  const id = fields?.[2];
  if (word !== "" && id !== undefined && /^\d+$/.test(id)) return Number(id);
  throw new Fault(
    "invalid",
    `unable to convert uid/gid chown string to host mapping: can't find ${what} ${word}: no such ${noun}: ${word}`,
  );
}

/** Permission bits of `--chmod`; undefined for an empty text. @throws Fault `invalid` for anything but octal. */
export function parseMode(text: string): number | undefined {
  if (text === "") return undefined;
  if (/^[0-7]{1,5}$/.test(text) && Number.parseInt(text, 8) <= 0o7777) return Number.parseInt(text, 8);
  throw new Fault(
    "invalid",
    `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`,
  );
}
