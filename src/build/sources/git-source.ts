/**
 * Git repositories as contexts and as sources of ADD, by git itself.
 * Promises: nothing of a repository runs or is read outside its checkout: no hooks, no protocols but git's own, no
 * configuration of this machine, and a subdirectory is looked up as in a chroot.
 */
import { spawn } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { lookAt, resolveInRoot } from "#build/files/rooted-path.ts";
import { Fault } from "#spec/fault.ts";

export interface GitReference {
  readonly remote: string;
  /** Branch, tag or commit; empty for the default branch. */
  readonly ref: string;
  /** No slash in front; empty for the whole tree. */
  readonly subdirectory: string;
  /** The commit it must be, or its beginning; empty for any. */
  readonly checksum: string;
  readonly keepGitDir: boolean | undefined;
  readonly submodules: boolean;
}

export interface GitAccess {
  /** Of the client's ssh agent. */
  readonly agentSocket?: string | undefined;
  /** For http: what follows `Authorization: `. */
  readonly authorization?: string | undefined;
  readonly signal: AbortSignal;
}

/** 20 minutes: a repository that takes longer is cloned by its user. */
const gitMsMax = 20 * 60_000;
const errorBytesMax = 4096;

/** Undefined for what is no repository's address. @throws Fault `invalid` for a query that git contexts do not have. */
export function parseGitReference(text: string): GitReference | undefined {
  const scp = /^(?:[\w.-]+@[\w.-]+:(?!\/\/))/.test(text);
  const schemed = /^(?:git|ssh|https?|file):\/\//i.test(text);
  if (!scp && !schemed) return undefined;
  const [beforeHash = "", ...hashParts] = text.split("#");
  const [remote = "", query = ""] = beforeHash.split("?", 2);
  const always = scp || /^(?:git|ssh):\/\//i.test(text);
  if (!always && !/\.git$/.test(remote)) return undefined;
  if (/^file:/i.test(text)) return undefined;
  const fragment = hashParts.join("#");
  const colon = fragment.indexOf(":");
  const asked = new URLSearchParams(query);
  for (const key of asked.keys())
    if (!queryKeys.includes(key)) throw new Fault("invalid", `unexpected query ${JSON.stringify(key)}`);
  const subdirectory = asked.get("subdir") ?? (colon < 0 ? "" : fragment.slice(colon + 1));
  const ref = ["ref", "branch", "tag", "commit"].map((key) => asked.get(key)).find(Boolean);
  return {
    remote,
    ref: ref ?? (colon < 0 ? fragment : fragment.slice(0, colon)),
    subdirectory: subdirectory.replace(/^\/+/, ""),
    checksum: asked.get("checksum") ?? asked.get("commit") ?? "",
    keepGitDir: truth(asked.get("keep-git-dir")),
    submodules: truth(asked.get("submodules")) ?? true,
  };
}

/** The same for an address that must be a context: GitHub's need no scheme, nor `.git`. */
export function contextRepository(address: string): GitReference | undefined {
  return parseGitReference(
    address
      .replace(/^(?=github\.com\/)/, "https://")
      .replace(/^(https:\/\/github\.com\/[^#?]+?)(?:\.git)?(?=[#?]|$)/, "$1.git"),
  );
}

const queryKeys = ["ref", "branch", "tag", "commit", "subdir", "checksum", "keep-git-dir", "submodules"];

function truth(value: string | null): boolean | undefined {
  return value === null ? undefined : !["false", "0"].includes(value.toLowerCase());
}

const commitPattern = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/;

/** The commit that a reference means now. @throws Fault `not-found` when the repository has no such ref. */
export async function resolveGit(reference: GitReference, o: GitAccess): Promise<string> {
  const { remote, ref, checksum } = reference;
  const commit = commitPattern.test(ref) ? ref : await advertised(reference, o);
  if (checksum !== "" && !commit.startsWith(checksum))
    throw new Fault("invalid", `expected checksum to match ${checksum}, got ${commit} (${remote})`);
  return commit;
}

async function advertised({ remote, ref }: GitReference, o: GitAccess): Promise<string> {
  const listed = await git(["ls-remote", "--", remote, ...(ref === "" ? ["HEAD"] : [ref, `${ref}^{}`])], o);
  const rows = listed
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split("\t"));
  const names = ref === "" ? ["HEAD"] : [ref, `refs/tags/${ref}^{}`, `refs/tags/${ref}`, `refs/heads/${ref}`];
  for (const name of names) {
    const row = rows.find(([, each]) => each === name);
    if (row?.[0] !== undefined) return row[0];
  }
  throw new Fault("not-found", `repository ${remote} does not contain ref ${ref || "HEAD"}`);
}

/**
 * The files of a commit in `directory`, which must not be there yet; @returns where they are, the subdirectory if one is
 * asked for. @throws Fault `not-found` when the commit has no such directory.
 */
export async function checkoutGit(
  reference: GitReference,
  commit: string,
  directory: string,
  o: GitAccess & { readonly keepGitDir: boolean },
): Promise<string> {
  await mkdir(directory, { mode: 0o755 });
  const inside = ["-C", directory];
  await git(["init", "-q", directory], o);
  await git([...inside, "remote", "add", "origin", reference.remote], o);
  // Not every server gives out a commit by its name; then all of the ref is fetched.
  const wanted = reference.ref === "" || commitPattern.test(reference.ref) ? commit : reference.ref;
  try {
    await git([...inside, "fetch", "-q", "--depth=1", "--no-tags", "origin", commit], o);
  } catch (error) {
    o.signal.throwIfAborted();
    if (wanted === commit) await git([...inside, "fetch", "-q", "origin"], o);
    else await git([...inside, "fetch", "-q", "--no-tags", "origin", wanted], o);
    if (error === undefined) throw error;
  }
  await git([...inside, "checkout", "-q", "--detach", commit], o);
  if (reference.submodules && lookAt(`${directory}/.gitmodules`)?.isFile() === true)
    await git([...inside, "submodule", "update", "-q", "--init", "--recursive", "--depth=1"], o);
  if (!o.keepGitDir) await rm(`${directory}/.git`, { recursive: true, force: true });
  if (reference.subdirectory === "") return directory;
  const place = resolveInRoot(directory, reference.subdirectory);
  if (lookAt(place)?.isDirectory() === true && place.startsWith(`${directory}/`)) return place;
  throw new Fault("not-found", `${reference.subdirectory}: no such directory in ${reference.remote}`);
}

/** What a repository must not be able to make git do. */
const careful = {
  "core.hooksPath": "/dev/null",
  "core.fsmonitor": "false",
  "protocol.allow": "never",
  "protocol.http.allow": "always",
  "protocol.https.allow": "always",
  "protocol.ssh.allow": "always",
  "protocol.git.allow": "always",
  "advice.detachedHead": "false",
  "init.defaultBranch": "main",
} as const;

async function git(args: readonly string[], o: GitAccess): Promise<string> {
  const settings = Object.entries({
    ...careful,
    ...(o.authorization !== undefined && { "http.extraHeader": `Authorization: ${o.authorization}` }),
  });
  const numbered = settings.flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ]);
  const child = spawn("git", [...args], {
    env: {
      ...{ PATH: "/usr/local/bin:/usr/bin:/bin", HOME: "/nonexistent", LANG: "C" },
      ...{ GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null", GIT_TERMINAL_PROMPT: "0" },
      GIT_SSH_COMMAND: "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=accept-new",
      GIT_CONFIG_COUNT: String(settings.length),
      ...Object.fromEntries(numbered),
      ...(o.agentSocket !== undefined && { SSH_AUTH_SOCK: o.agentSocket }),
    },
    stdio: ["ignore", "pipe", "pipe"],
    signal: AbortSignal.any([o.signal, AbortSignal.timeout(gitMsMax)]),
  });
  let said = "";
  let complaint = "";
  child.stdout.on("data", (part: Buffer) => {
    said += part.toString();
  });
  child.stderr.on("data", (part: Buffer) => {
    complaint = (complaint + part.toString()).slice(-errorBytesMax);
  });
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once("error", reject);
  child.once("close", resolve);
  const code = await promise.catch((cause: unknown) => {
    o.signal.throwIfAborted();
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT")
      throw new Fault("unavailable", "git is not installed on the engine's machine: install it", { cause });
    throw cause;
  });
  if (code === 0) return said;
  o.signal.throwIfAborted();
  const verb = args.find((word) => /^[a-z-]+$/.test(word) && !word.startsWith("-")) ?? "git";
  throw new Fault(
    "invalid",
    `failed to fetch from git (${verb}): ${complaint.trim() || `exit code ${code}`}`,
  );
}
