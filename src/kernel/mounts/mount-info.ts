/** Pure. The lines of /proc/PID/mountinfo (proc_pid_mountinfo(5)). */

export interface MountInfo {
  readonly id: number;
  readonly parentId: number;
  /** `major:minor`. */
  readonly device: string;
  /** The part of the file system that is shown. */
  readonly root: string;
  readonly target: string;
  /** Of the mount: `ro`, `nosuid` … */
  readonly options: readonly string[];
  readonly propagation: "private" | "shared" | "slave" | "shared,slave" | "unbindable";
  readonly type: string;
  readonly source: string;
  /** Of the file system. */
  readonly superOptions: readonly string[];
}

/** `text` has one character a byte; paths come out as text. Lines that say too little are left out. */
export function parseMountInfo(text: string): MountInfo[] {
  const mounts: MountInfo[] = [];
  for (const line of text.split("\n")) {
    const fields = line.split(" ");
    const dash = fields.indexOf("-", 6);
    const [id, parentId, device, root, target, options] = fields;
    const [type, source, superOptions] = fields.slice(dash + 1);
    if (dash < 0 || device === undefined || root === undefined || target === undefined) continue;
    if (options === undefined || type === undefined || source === undefined) continue;
    mounts.push({
      id: Number(id),
      parentId: Number(parentId),
      device,
      root: unescapeField(root),
      target: unescapeField(target),
      options: options.split(","),
      propagation: propagationOf(fields.slice(6, dash)),
      type,
      source: unescapeField(source),
      superOptions: (superOptions ?? "").split(","),
    });
  }
  return mounts;
}

function propagationOf(tags: readonly string[]): MountInfo["propagation"] {
  if (tags.includes("unbindable")) return "unbindable";
  const shared = tags.some((tag) => tag.startsWith("shared:"));
  const slave = tags.some((tag) => tag.startsWith("master:"));
  if (shared) return slave ? "shared,slave" : "shared";
  return slave ? "slave" : "private";
}

/** Space, tab, newline and backslash are written as three octal digits. */
function unescapeField(field: string): string {
  const bytes = field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(bytes, "latin1").toString("utf8");
}
