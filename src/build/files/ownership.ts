/** Pure. `--chown` and `--chmod`: names looked up in the image's own files. */
import type { Dialect } from "#build/language/step.ts";
import { Fault, isFault } from "#spec/fault.ts";

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
 * `user[:group]`, names or numbers. Without a group, the classic builder takes the user's word for the group too; BuildKit
 * a name's own group, and for a number the same.
 * @throws Fault `invalid` in Docker's words for a name the image does not know.
 */
export function parseOwner(text: string, files: AccountFiles, dialect: Dialect): Owner {
  const [user = "", group, ...more] = text.split(":");
  if (more.length > 0) throw new Fault("invalid", `invalid chown string format: ${text}`);
  if (dialect === "buildkit" && group === undefined && !/^\d+$/.test(user))
    return {
      uid: lookUp(user, files.passwd, "uid for user", "user"),
      gid: Number(fieldsOf(user, files.passwd)?.[3] ?? 0),
    };
  return {
    uid: lookUp(user, files.passwd, "uid for user", "user"),
    gid: lookUp(group ?? user, files.group, "gid for group", "group"),
  };
}

function lookUp(word: string, file: string, what: string, noun: string): number {
  if (/^\d+$/.test(word)) return Number(word);
  const id = fieldsOf(word, file)?.[2];
  if (word !== "" && id !== undefined && /^\d+$/.test(id)) return Number(id);
  throw new Fault(
    "invalid",
    `unable to convert uid/gid chown string to host mapping: can't find ${what} ${word}: no such ${noun}: ${word}`,
  );
}

/** Who owns a WORKDIR made while `user` is USER: root for a name that the image does not know, as BuildKit has it. */
export function directoryOwner(user: string, files: AccountFiles): Owner {
  try {
    return user === "" ? { uid: 0, gid: 0 } : parseOwner(user, files, "buildkit");
  } catch (error) {
    if (!isFault(error, "invalid")) throw error;
    return { uid: 0, gid: 0 };
  }
}

/** passwd is name:password:uid:gid:…, group is name:password:gid:…. */
function fieldsOf(word: string, file: string): string[] | undefined {
  return file
    .split("\n")
    .map((line) => line.split(":"))
    .find(([name]) => name === word);
}

/** New permission bits from old ones. */
export type ModeChange = (bits: number, directory: boolean) => number;

/**
 * `--chmod`: octal, or as chmod(1) has it (`u=rwX,go-w`); undefined for an empty text.
 * @throws Fault `invalid` for anything else.
 */
export function parseMode(text: string): ModeChange | undefined {
  if (text === "") return undefined;
  if (/^[0-7]{1,5}$/.test(text) && Number.parseInt(text, 8) <= 0o7777) {
    const bits = Number.parseInt(text, 8);
    return () => bits;
  }
  const clauses = text.split(",").map((clause) => /^([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)$/.exec(clause));
  if (clauses.some((clause) => clause === null))
    throw new Fault(
      "invalid",
      /^\d/.test(text)
        ? `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`
        : `invalid chmod parameter: '${text}'. it should be octal, or symbolic as in u=rwX,go-w`,
    );
  const changes = clauses.flatMap((clause) => {
    const [, who = "", operations = ""] = clause ?? [];
    return [...operations.matchAll(/([-+=])([ugo]|[rwxXst]*)/g)].map(([, operator = "", what = ""]) =>
      symbolicChange(who === "" || who.includes("a") ? "ugo" : who, operator, what),
    );
  });
  return (bits, directory) => changes.reduce((now, change) => change(now, directory), bits);
}

const shifts: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };
const special: Readonly<Record<string, number>> = { u: 0o4000, g: 0o2000, o: 0 };

function symbolicChange(who: string, operator: string, what: string): ModeChange {
  return (bits, directory) => {
    const copied = shifts[what];
    const execute = what.includes("x") || (what.includes("X") && (directory || (bits & 0o111) !== 0));
    const listed = (what.includes("r") ? 4 : 0) | (what.includes("w") ? 2 : 0) | (execute ? 1 : 0);
    const three = copied === undefined ? listed : (bits >> copied) & 0o7;
    let set = what.includes("t") ? 0o1000 : 0;
    let cleared = 0;
    for (const class_ of who) {
      set |= three << (shifts[class_] ?? 0);
      cleared |= 0o7 << (shifts[class_] ?? 0);
      if (what.includes("s")) set |= special[class_] ?? 0;
    }
    if (operator === "+") return bits | set;
    return operator === "-" ? bits & ~set : (bits & ~cleared) | set;
  };
}
