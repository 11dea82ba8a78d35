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

interface PasswdLine {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface GroupLine {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/**
 * `spec` is `user`, `uid`, `user:group`, any of both as names or numbers, or empty for root. Without a group the user's
 * own counts, and those that list the user. `groupAdd` are more groups, by name or number. The group itself is among the
 * additional ones: a process that gives it up must not gain by it (CVE-2022-36109).
 * @throws Fault `invalid` in Docker's words.
 */
export function resolveUser(spec: string, files: UserFiles, groupAdd: readonly string[] = []): ResolvedUser {
  const colon = spec.indexOf(":");
  const [userText, groupText] = colon < 0 ? [spec, ""] : [spec.slice(0, colon), spec.slice(colon + 1)];
  const groups = parseGroup(files.group);
  const user = findUser(userText, parsePasswd(files.passwd));
  const gid = groupText === "" ? user.gid : findGroup(groupText, groups, "unable");
  const listed =
    groupText === ""
      ? groups.filter(({ members }) => members.includes(user.name)).map((each) => each.gid)
      : [];
  const added = groupAdd.map((each) => findGroup(each, groups, "Unable"));
  return { uid: user.uid, gid, additionalGids: [...new Set([gid, ...listed, ...added])], home: user.home };
}

function findUser(text: string, lines: readonly PasswdLine[]): PasswdLine {
  const number = text === "" ? 0 : asId(text);
  const found =
    lines.find(({ name }) => text !== "" && name === text) ?? lines.find(({ uid }) => uid === number);
  if (found !== undefined) return found;
  if (number === undefined)
    throw new Fault("invalid", `unable to find user ${text}: no matching entries in passwd file`);
  return { name: "", uid: checked(number), gid: 0, home: "/" };
}

function findGroup(text: string, lines: readonly GroupLine[], unable: string): number {
  const number = asId(text);
  const found = lines.find(({ name }) => name === text) ?? lines.find(({ gid }) => gid === number);
  if (found !== undefined) return found.gid;
  if (number === undefined)
    throw new Fault("invalid", `${unable} to find group ${text}: no matching entries in group file`);
  return checked(number);
}

function asId(text: string): number | undefined {
  return /^-?\d+$/.test(text) ? Number(text) : undefined;
}

function checked(id: number): number {
  if (id < 0 || id > idMax) throw new Fault("invalid", `uids and gids must be in range 0-${idMax}`);
  return id;
}

function parsePasswd(text: string): PasswdLine[] {
  return fieldsOf(text).map(([name = "", , uid = "", gid = "", , home = ""]) => ({
    name,
    uid: Number(uid || 0),
    gid: Number(gid || 0),
    home: home === "" ? "/" : home,
  }));
}

function parseGroup(text: string): GroupLine[] {
  return fieldsOf(text).map(([name = "", , gid = "", members = ""]) => ({
    name,
    gid: Number(gid || 0),
    members: members.split(",").filter((member) => member !== ""),
  }));
}

function fieldsOf(text: string): string[][] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"));
}
