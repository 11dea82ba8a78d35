/** Pure. Who a process is, by `--user` and the image's own passwd(5) and group(5), as Docker reads them. */
import { Fault } from "#spec/fault.ts";

export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  readonly home: string;
}

export interface UserFiles {
  /** Empty when the image has none. */
  readonly passwd: string;
  readonly group: string;
}

/** Past this is not for ids: Linux's (uid_t)-1 has a meaning of its own. */
const idMax = 2 ** 31 - 1;

interface User {
  /** Empty when no line of passwd has it. */
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/**
 * `spec` is `user`, `uid`, `user:group`, any of both as names or numbers, or empty for root. A number is a number, whatever
 * names the image has. Without a group the user's own counts, and those that list the user. `groupAdd` are more groups, by
 * name or number. The group itself is among the additional ones: a process that gives it up must not gain by it
 * (CVE-2022-36109).
 * @throws Fault `invalid` in Docker's words, also for ids in the files that are none (CVE-2024-40635).
 */
export function resolveUser(spec: string, files: UserFiles, groupAdd: readonly string[] = []): ResolvedUser {
  const colon = spec.indexOf(":");
  const [userText, groupText] = colon < 0 ? [spec, ""] : [spec.slice(0, colon), spec.slice(colon + 1)];
  const user = findUser(userText, files.passwd);
  const gid = groupText === "" ? user.gid : findGroup(groupText, files.group, "unable");
  const listed = groupText === "" && user.name !== "" ? groupsOf(user.name, files.group) : [];
  const added = groupAdd.map((each) => findGroup(each, files.group, "Unable"));
  return { uid: user.uid, gid, additionalGids: [...new Set([gid, ...listed, ...added])], home: user.home };
}

function findUser(text: string, passwd: string): User {
  const number = text === "" ? 0 : asId(text);
  const wanted = number === undefined ? undefined : checked(number);
  for (const [name = "", , uid = "", gid = "", , home = ""] of linesOf(passwd)) {
    if (wanted === undefined ? name !== text : idIn(uid) !== wanted) continue;
    return { name, uid: checked(idIn(uid)), gid: checked(idIn(gid)), home: home === "" ? "/" : home };
  }
  if (wanted === undefined)
    throw new Fault("invalid", `unable to find user ${text}: no matching entries in passwd file`);
  return { name: "", uid: wanted, gid: 0, home: "/" };
}

function findGroup(text: string, group: string, unable: string): number {
  const number = asId(text);
  if (number !== undefined) return checked(number);
  for (const [name = "", , gid = ""] of linesOf(group)) if (name === text) return checked(idIn(gid));
  throw new Fault("invalid", `${unable} to find group ${text}: no matching entries in group file`);
}

function groupsOf(user: string, group: string): number[] {
  const gids: number[] = [];
  for (const [, , gid = "", members = ""] of linesOf(group))
    if (members.includes(user) && members.split(",").includes(user)) gids.push(checked(idIn(gid)));
  return gids;
}

/** Undefined for a name. Digits beyond what numbers hold stay beyond every bound. */
function asId(text: string): number | undefined {
  return /^-?\d+$/.test(text) ? Number(text) : undefined;
}

/** As it stands in a file: nothing is 0, as Go reads it, and no number at all is no id. */
function idIn(text: string): number {
  return text === "" ? 0 : (asId(text) ?? Number.NaN);
}

function checked(id: number): number {
  if (!(id >= 0 && id <= idMax)) throw new Fault("invalid", `uids and gids must be in range 0-${idMax}`);
  return id;
}

/** Fields of each line, one line at a time: the files are an image's, and may be long. */
function* linesOf(text: string): Generator<string[]> {
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf("\n", at);
    const line = text.slice(at, end < 0 ? text.length : end).trim();
    at = end < 0 ? text.length : end + 1;
    if (line !== "" && !line.startsWith("#")) yield line.split(":", fieldsMax);
  }
}

/** A line of passwd has seven; what is behind them counts for nothing. */
const fieldsMax = 7;
