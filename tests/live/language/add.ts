/** ADD: archives, addresses, repositories, and its flags. */
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import type { Row } from "./row.ts";

/** d/, d/f with a 600 mode and d/l that leads to it, all of 7:8 and of the year 2001. */
const packed = {
  gz: "H4sIAAAAAAACA+3UPQ7DIAxAYR+FG+CaGM5TCUWqVHXoz/2LaKYMiTqEJe9bbOYnXKMcTpvi3mfbfvOiy7sTLWnKPnnfNZuaBJcBPq/39RmCnFSN85D+WXWjv637p9T6K/0Pd3sITqzG+5j7X8o/99/NJdjM/wcAAAAAAAAAAAAAANjzBRJccuIAKAAA",
  bz2: "QlpoOTFBWSZTWR7Hd/MAAK77gPGAAgBAAP+AAAPlJR4ABAggAJKK/VTZTRoAA0GnqCKJCYagaMRoD9t5xnpWpcAEbzegpzujs8KTI8rIltUSEIvfTLu0szYV0hXFgHXaLwcrGXN1pphhlamIogsU5IOdCyIpwKgr6AmSbeVyPnMYYZzVRD+LuSKcKEgPY7v5gA==",
  xz: "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4Cf/AIhdADILvBunjDRE4cIPLUAms7F2quP538kmJ+jjAeOe1Jqj700FGDHv3B4UE0cS5TtUNySK2QK+B2Oxi849BTxzx7tH3ZF7pE+iw80/magn0T6q5OAnQteStGhxeculUUeFVVgdI+MOyRlJZEqpxqb+ZbskGOj3auRwAlgpIB2x4rf7ncoUZariBwAAnukhU7TXdoAAAaQBgFAAAB42Xf2xxGf7AgAAAAAEWVo=",
  zst: "KLUv/WQAJyUDANIEDhGQTQckBkrv7vM9lDB1/4MiA2qA5siew0JqW4MOQsYbFVIBcAi+2AQdD/P9s6Qp5Ny7ODfz/DekDyBgt2cD/d+DL6qhzDEGLB36qgNMLcjdcIgB6aCneGBqghRe7fEpDAFT3KBF",
};
const bytes = (text: string) => Buffer.from(text, "base64");
const archives = {
  "a.bin": bytes(packed.bz2),
  "a.tgz": bytes(packed.bz2),
};
const unpacked = (at: string) => ({
  [`${at}d/`]: "d755 7:8",
  [`${at}d/f`]: "-600 7:8 in",
  [`${at}d/l`]: "l 7:8 f",
});
const scratch = (...lines: string[]) => `FROM scratch\n${lines.join("\n")}\n`;
const sha256 = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;

/** Stands for an address where `served` and the repository `repo.git` are. */
export const lab = "http://lab";
export const served: Readonly<Record<string, string | Uint8Array>> = {
  "/dir/file.txt": "from afar",
  "/a.tar.bz2": bytes(packed.bz2),
};

const local: readonly Row[] = [
  ...(Object.keys(packed) as (keyof typeof packed)[]).map(
    (kind): Row => ({
      name: `ADD: an archive, ${kind}`,
      dockerfile: scratch("ADD a /x/"),
      context: { a: { bytes: bytes(packed[kind]) } },
      builder: "both",
      files: { "x/": "d755", ...unpacked("x/") },
      times: { "x/d/f": 1_000_000_000, "x/d/": 1_000_000_000 },
    }),
  ),
  {
    name: "ADD: an archive, not compressed; its name does not count",
    dockerfile: scratch("ADD a.tar /x", "ADD a.txt /y"),
    context: { "a.tar": { bytes: plain() }, "a.txt": { bytes: plain() } },
    builder: "both",
    files: { "x/": "d755", ...unpacked("x/"), "y/": "d755", ...unpacked("y/") },
  },
  {
    name: "ADD: what is none by its content is a file",
    dockerfile: scratch("ADD not.tar.gz /x/", "ADD not.tar.gz /y"),
    context: { "not.tar.gz": "plain" },
    builder: "both",
    files: { "x/": "d755", "x/not.tar.gz": "-644 plain", y: "-644 plain" },
  },
  {
    name: "ADD: several, by a pattern, beside files and directories",
    dockerfile: scratch("ADD a.* d other /x/"),
    context: { ...contextOf(archives), "d/in": "in", other: "o" },
    builder: "both",
    files: { "x/": "d755", ...unpacked("x/"), "x/in": "-644 in", "x/other": "-644 o" },
  },
  {
    name: "ADD: an archive over what is there",
    dockerfile:
      "FROM row-base\nRUN mkdir -p /x/d && echo old >/x/d/f && echo keep >/x/d/keep\nADD a.bin /x/\n",
    context: contextOf(archives),
    files: { "x/": "d755", ...unpacked("x/"), "x/d/keep": "-644 keep\n" },
  },
  {
    name: "ADD --chown: of an archive, which keeps its own, and of a file",
    dockerfile: scratch("ADD --chown=5:6 a.bin /x/", "ADD --chown=5:6 f /y/"),
    context: { ...contextOf(archives), f: "f" },
    files: { "x/": "d755 5:6", ...unpacked("x/"), "y/": "d755 5:6", "y/f": "-644 5:6 f" },
  },
  {
    name: "ADD --chmod, --link: of files",
    dockerfile: scratch("ADD --chmod=600 f /x", "ADD --link f /y/"),
    context: { f: "f" },
    files: { x: "-600 f", "y/": "d755", "y/f": "-644 f" },
    history: ["ADD --chmod=600 f /x # buildkit", "ADD f /y/ # buildkit"],
  },
  {
    name: "ADD --exclude",
    dockerfile: scratch("ADD --exclude=*.log d /x/"),
    context: { "d/a.log": "l", "d/b": "b" },
    files: { "x/": "d755", "x/b": "-644 b" },
    newer: true,
  },
  {
    name: "ADD --unpack=false",
    dockerfile: scratch("ADD --unpack=false a.bin /x/"),
    context: contextOf(archives),
    files: { "x/": "d755", "x/a.bin": `-644 ${hashOf(archives["a.bin"])}` },
    newer: true,
  },
  {
    name: "ADD: a source that is not there",
    dockerfile: scratch("ADD none /x"),
    fails: /"\/none": not found/,
  },
  {
    name: "ADD --checksum: of a local file",
    dockerfile: scratch(`ADD --checksum=${sha256("f")} f /x`),
    context: { f: "f" },
    fails: /^checksum (?:requires HTTP\(S\) or Git sources|can't be specified for non-HTTP)/,
  },
  {
    name: "ADD --from is COPY's",
    dockerfile: scratch("ADD --from=x a /"),
    fails: "dockerfile parse error on line 2: unknown flag: --from",
    newer: true,
  },
];

/** The peer does not reach the address. */
const remote: readonly Row[] = [
  {
    name: "ADD: an address, to a directory and to a name",
    dockerfile: scratch(`ADD ${lab}/dir/file.txt?x=1 /x/`, `ADD ${lab}/dir/file.txt /y`),
    files: { "x/": "d755", "x/file.txt": "-600 from afar", y: "-600 from afar" },
  },
  {
    name: "ADD: an archive from an address stays one; --unpack opens it",
    dockerfile: scratch(`ADD ${lab}/a.tar.bz2 /x/`, `ADD --unpack ${lab}/a.tar.bz2 /y/`),
    files: {
      ...{ "x/": "d755", "x/a.tar.bz2": `-600 ${hashOf(archives["a.bin"])}` },
      ...{ "y/": "d755", ...unpacked("y/") },
    },
  },
  {
    name: "ADD --checksum, --chown, --chmod: of an address",
    dockerfile: scratch(
      `ADD --checksum=${sha256("from afar")} --chown=5:6 --chmod=640 ${lab}/dir/file.txt /x`,
    ),
    files: { x: "-640 5:6 from afar" },
  },
  {
    name: "ADD --checksum: another file",
    dockerfile: scratch(`ADD --checksum=${sha256("other")} ${lab}/dir/file.txt /x`),
    fails: /digest mismatch/,
  },
  {
    name: "ADD: an address that has nothing",
    dockerfile: scratch(`ADD ${lab}/none /x`),
    fails: /status 404 Not Found/,
  },
  {
    name: "ADD: a repository, and a directory of it",
    dockerfile: scratch(`ADD ${lab}/repo.git /x`, `ADD ${lab}/repo.git#main:sub /y`),
    files: {
      ...{ "x/": "d755", "x/a": "-644 one", "x/sub/": "d755", "x/sub/b": "-644 two" },
      ...{ "y/": "d755", "y/b": "-644 two" },
    },
  },
  {
    name: "ADD --keep-git-dir, --chown: of a repository",
    dockerfile: `FROM row-base
ADD --keep-git-dir=true ${lab}/repo.git /tmp/r
RUN test -f /tmp/r/.git/HEAD && rm -r /tmp/r
ADD --chown=5:6 ${lab}/repo.git#main:sub /x
`,
    files: { "x/": "d755 5:6", "x/b": "-644 5:6 two" },
  },
];

function contextOf(files: Readonly<Record<string, Uint8Array>>) {
  return Object.fromEntries(Object.entries(files).map(([name, content]) => [name, { bytes: content }]));
}

function plain(): Uint8Array {
  return gunzipSync(bytes(packed.gz));
}

function hashOf(content: Uint8Array): string {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}

export const addRows: readonly Row[] = local;
export const remoteRows: readonly Row[] = remote.map((row) => ({ ...row, newer: true }));
