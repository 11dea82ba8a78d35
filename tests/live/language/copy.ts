/** COPY: what goes where, and --from. */
import { dirFiles, scratch, tree } from "./copied-tree.ts";
import type { Row } from "./row.ts";

const places: readonly Row[] = [
  {
    name: "COPY: a file to a name",
    dockerfile: scratch("COPY a.txt /x"),
    context: { "a.txt": { bytes: "a", mtime: 1_234_567_890 } },
    builder: "both",
    files: { x: "-644 a" },
    history: ["COPY a.txt /x # buildkit"],
  },
  {
    name: "COPY: into a directory that is made",
    dockerfile: scratch("COPY b.txt /new/dir/"),
    context: tree,
    builder: "both",
    files: { "new/": "d755", "new/dir/": "d755", "new/dir/b.txt": "-755 b" },
  },
  {
    name: "COPY: to a name in a directory that is made",
    dockerfile: scratch("COPY b.txt /new/name"),
    context: tree,
    builder: "both",
    files: { "new/": "d755", "new/name": "-755 b" },
  },
  {
    name: "COPY: into a directory that is there, without a slash",
    dockerfile: scratch("WORKDIR /there", "WORKDIR /", "COPY a.txt /there"),
    context: tree,
    builder: "both",
    config: { WorkingDir: "/" },
    files: { "there/": "d755", "there/a.txt": "-644 a" },
  },
  {
    name: "COPY: relative to the working directory",
    dockerfile: scratch("WORKDIR /w/x", "COPY a.txt name", "COPY a.txt ./", "COPY b.txt .", "COPY dir ../up"),
    context: tree,
    builder: "both",
    config: { WorkingDir: "/w/x" },
    files: {
      ...{ "w/": "d755", "w/x/": "d755", "w/x/name": "-644 a", "w/x/a.txt": "-644 a", "w/x/b.txt": "-755 b" },
      ...{ "w/up/": "d755", ...dirFiles("w/up/") },
    },
  },
  {
    name: "COPY: a directory is what is in it",
    dockerfile: scratch("COPY dir /one", "COPY dir/ /two/", "COPY ./dir/. /three"),
    context: tree,
    builder: "both",
    files: {
      "one/": "d755",
      ...dirFiles("one/"),
      "two/": "d755",
      ...dirFiles("two/"),
      "three/": "d755",
      ...dirFiles("three/"),
    },
  },
  {
    name: "COPY: all",
    dockerfile: scratch("COPY . /x"),
    context: { a: "a", ".b": "b" },
    builder: "both",
    files: {
      "x/": "d755",
      "x/a": "-644 a",
      "x/.b": "-644 b",
      "x/Dockerfile": "-644 FROM scratch\nCOPY . /x\n",
    },
  },
  {
    name: "COPY: the mode of a directory that is copied, and of one that was there",
    dockerfile: scratch("COPY a /x/", "COPY b /x/", "COPY b /y/"),
    context: {
      a: { directory: true, mode: 0o711 },
      "a/f": "f",
      b: { directory: true, mode: 0o700 },
      "b/g": "g",
    },
    builder: "both",
    files: { "x/": "d755", "x/f": "-644 f", "x/g": "-644 g", "y/": "d755", "y/g": "-644 g" },
  },
  {
    name: "COPY: several sources",
    dockerfile: scratch("COPY a.txt dir b.txt /x/"),
    context: tree,
    builder: "both",
    files: { "x/": "d755", "x/a.txt": "-644 a", "x/b.txt": "-755 b", ...dirFiles("x/") },
    history: ["COPY a.txt dir b.txt /x/ # buildkit"],
  },
  {
    name: "COPY: several sources to what is no directory by its name, one over the other",
    dockerfile: scratch("COPY a.txt b.txt /x", "COPY dir a.txt /y"),
    context: tree,
    files: { x: "-755 b", "y/": "d755", "y/a.txt": "-644 a", ...dirFiles("y/") },
  },
  {
    name: "COPY: several sources to what is no directory by its name, classic",
    dockerfile: scratch("COPY a.txt b.txt /x"),
    context: tree,
    builder: "classic",
    fails:
      "When using COPY with more than one source file, the destination must be a directory and end with a /",
  },
  {
    name: "COPY: wildcards",
    dockerfile: scratch("COPY *.txt /x/", "COPY d?r/*.m[a-d] dir/de*/*.md /y/", "COPY d* /z/"),
    context: tree,
    builder: "both",
    files: {
      ...{ "x/": "d755", "x/a.txt": "-644 a", "x/b.txt": "-755 b", "y/": "d755", "y/d.md": "-644 d" },
      ...{ "z/": "d755", ...dirFiles("z/") },
    },
  },
  {
    name: "COPY: a wildcard takes what begins with a dot",
    dockerfile: scratch("COPY dir/* /x/"),
    context: tree,
    builder: "both",
    files: { "x/": "d755", "x/.dot": "-644 .", "x/c.txt": "-644 c", "x/d.md": "-644 d" },
  },
  {
    name: "COPY: a wildcard that matches nothing",
    dockerfile: scratch("COPY *.none a.txt /x/"),
    context: tree,
    files: { "x/": "d755", "x/a.txt": "-644 a" },
  },
  {
    name: "COPY: a name with a bracket in it",
    dockerfile: scratch("COPY arr[[]0].txt /x"),
    context: { "arr[0].txt": "a" },
    builder: "both",
    files: { x: "-644 a" },
  },
  {
    name: "COPY: JSON, with blanks in names",
    dockerfile: scratch('COPY ["a b.txt", "/x y/"]'),
    context: { "a b.txt": "a" },
    builder: "both",
    files: { "x y/": "d755", "x y/a b.txt": "-644 a" },
    history: ["COPY a b.txt /x y/ # buildkit"],
  },
  {
    name: "COPY: links of the context stay links",
    dockerfile: scratch("COPY links /x/", "COPY links/l /y"),
    context: { "links/l": { link: "a" }, "links/a": "a", "links/broken": { link: "/no/where" } },
    builder: "both",
    files: { "x/": "d755", "x/a": "-644 a", "x/l": "l a", "x/broken": "l /no/where", y: "-644 a" },
  },
  {
    name: "COPY: to a place behind a link",
    dockerfile:
      "FROM row-base\nRUN mkdir /real && busybox ln -s /real /l\nCOPY a.txt /l/\nCOPY dir /l/\nCOPY b.txt /l/n\n",
    context: tree,
    builder: "both",
    files: {
      l: "l /real",
      "real/": "d755",
      "real/a.txt": "-644 a",
      "real/n": "-755 b",
      ...dirFiles("real/"),
    },
  },
  {
    name: "COPY: a file over a link goes where it leads",
    dockerfile: "FROM row-base\nRUN echo old >/real && busybox ln -s real /l\nCOPY a.txt /l\n",
    context: tree,
    files: { l: "l real", real: "-644 a" },
  },
  {
    name: "COPY: out of the context leads to its top",
    dockerfile: scratch("COPY ../../a.txt /x", "COPY /dir/../b.txt /y"),
    context: tree,
    files: { x: "-644 a", y: "-755 b" },
  },
  {
    name: "COPY: out of the context, classic",
    dockerfile: scratch("COPY ../a.txt /x"),
    context: tree,
    builder: "classic",
    fails: /^COPY failed: forbidden path outside the build context: \.\.\/a\.txt/,
  },
  {
    name: "COPY: over what is there",
    dockerfile: "FROM row-base\nCOPY passwd /etc/\nCOPY dir /etc\n",
    context: { ...tree, passwd: "new" },
    builder: "both",
    files: { "etc/passwd": "-644 new", ...dirFiles("etc/") },
  },
  {
    name: "COPY: a directory over a file, and a file over a directory",
    dockerfile: scratch("COPY a.txt /x", "COPY dir /x"),
    context: tree,
    fails: /^cannot copy to non-directory: .*\/x$/,
  },
  {
    name: "COPY: a source that is not there",
    dockerfile: scratch("COPY nowhere /x"),
    context: tree,
    fails: /"\/nowhere": not found/,
  },
  {
    name: "COPY: a source that is not there, classic",
    dockerfile: scratch("COPY nowhere /x"),
    context: tree,
    builder: "classic",
    fails:
      "COPY failed: file not found in build context or excluded by .dockerignore: stat nowhere: file does not exist",
  },
  {
    name: "COPY: one word",
    dockerfile: scratch("COPY a.txt"),
    builder: "both",
    fails:
      "dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. Destination could not be determined",
  },
  {
    name: "COPY: an address",
    dockerfile: scratch("COPY http://x.invalid/y /"),
    fails: "source can't be a URL for COPY",
  },
  {
    name: "COPY: a repository",
    dockerfile: scratch("COPY https://x.invalid/y.git /"),
    fails: "source can't be a git ref for COPY",
  },
];

const from: readonly Row[] = [
  {
    name: "COPY --from: a stage, by name, by number, in other letters",
    dockerfile: `FROM scratch AS one
COPY --chown=3:4 a.txt /a
FROM scratch
COPY --from=one /a /x
COPY --from=0 /a /y
COPY --from=ONE a /z
`,
    context: tree,
    files: { x: "-644 3:4 a", y: "-644 3:4 a", z: "-644 3:4 a" },
    history: ["COPY /a /x # buildkit", "COPY /a /y # buildkit", "COPY a /z # buildkit"],
  },
  {
    name: "COPY --from: an image",
    dockerfile: scratch("COPY --from=row-base:latest /etc/group /g"),
    builder: "both",
    files: { g: "-644 root:x:0:\nwww:x:44:\n" },
  },
  {
    name: "COPY --from: a named context",
    dockerfile: scratch("COPY --from=side in /x"),
    directories: { side: { in: "side" } },
    options: { "context:side": "local:side" },
    files: { x: "-644 side" },
  },
  {
    name: "COPY --from: a named context stands for a stage",
    dockerfile: "FROM scratch AS side\nCOPY none /in\nFROM scratch\nCOPY --from=side in /x\n",
    directories: { side: { in: "side" } },
    options: { "context:side": "local:side" },
    files: { x: "-644 side" },
  },
  {
    name: "COPY --from: what a stage has of links, modes, empty directories, names for one file",
    dockerfile: `FROM row-base AS one
RUN mkdir -p /s/empty && cd /s && echo x >f && busybox ln f h && busybox ln -s f l && busybox chmod 4711 f && busybox chmod 700 empty
FROM scratch
COPY --from=one /s /d
`,
    files: { "d/": "d755", "d/empty/": "d700", "d/f": "-4711 x\n", "d/h": "= d/f", "d/l": "l f" },
  },
  {
    name: "COPY --from: a link in the middle of the source's path",
    dockerfile: `FROM row-base AS one
RUN mkdir -p /s/real && echo x >/s/real/f && busybox ln -s /s/real /via
FROM scratch
COPY --from=one /via/f /x
COPY --from=one /via /y
`,
    files: { x: "-644 x\n", "y/": "d755", "y/f": "-644 x\n" },
  },
  {
    name: "COPY --from: a stage that is not there",
    dockerfile: scratch("COPY --from=5 / /"),
    fails: "invalid stage index 5",
  },
  {
    name: "COPY --from: itself",
    dockerfile: "FROM scratch AS me\nCOPY --from=me /a /b\n",
    fails: "circular dependency detected on stage: me",
    differs: "Docker 26 looks for an image of that name",
  },
  {
    name: "COPY --from: a variable",
    dockerfile: "ARG S=one\nFROM scratch AS one\nFROM scratch\nCOPY --from=$S / /\n",
    fails:
      'failed to parse stage name "$S": invalid reference format: repository name (library/$S) must be lowercase',
  },
  {
    name: "COPY --from=scratch",
    dockerfile: scratch("COPY --from=scratch / /x/"),
    files: { "x/": "d755" },
  },
];

export const copyRows: readonly Row[] = [...places, ...from];
