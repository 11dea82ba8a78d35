/** COPY: its other flags, and files that stand in the Dockerfile. */
import { dirFiles, scratch, tree } from "./copied-tree.ts";
import type { Row } from "./row.ts";

const flags: readonly Row[] = [
  {
    name: "COPY --chown: names, numbers, one of each",
    dockerfile: `FROM row-base
COPY --chown=web:www a.txt /one
COPY --chown=web a.txt /two
COPY --chown=7 a.txt /three
COPY --chown=7:www a.txt /four
COPY --chown=web:9 dir /made/
`,
    context: tree,
    files: {
      ...{ one: "-644 33:44 a", two: "-644 33:44 a", three: "-644 7:7 a", four: "-644 7:44 a" },
      ...{ "made/": "d755 33:9", "made/.dot": "-644 33:9 .", "made/c.txt": "-644 33:9 c" },
      ...{ "made/deep/": "d755 33:9", "made/deep/d.md": "-644 33:9 d" },
    },
    history: [
      "COPY --chown=web:www a.txt /one # buildkit",
      "COPY --chown=web a.txt /two # buildkit",
      "COPY --chown=7 a.txt /three # buildkit",
      "COPY --chown=7:www a.txt /four # buildkit",
      "COPY --chown=web:9 dir /made/ # buildkit",
    ],
  },
  {
    name: "COPY --chown: directories that are made for it",
    dockerfile: scratch("COPY --chown=5:6 a.txt /p/q/x"),
    context: tree,
    files: { "p/": "d755 5:6", "p/q/": "d755 5:6", "p/q/x": "-644 5:6 a" },
  },
  {
    name: "COPY --chown: does not touch what is there",
    dockerfile: "FROM row-base\nCOPY --chown=5:6 a.txt /www/\n",
    context: tree,
    builder: "both",
    files: { "www/a.txt": "-644 5:6 a" },
  },
  {
    name: "COPY --chown: of a variable; USER has no say",
    dockerfile: "FROM row-base\nARG U=web:www\nUSER 9\nCOPY --chown=$U a.txt /x\nCOPY a.txt /y\n",
    context: tree,
    builder: "both",
    config: { User: "9" },
    files: { x: "-644 33:44 a", y: "-644 a" },
  },
  {
    name: "COPY --chown: of a link, the link alone",
    dockerfile: scratch("COPY --chown=5:6 links /x/"),
    context: { "links/l": { link: "a" }, "links/a": "a" },
    files: { "x/": "d755 5:6", "x/a": "-644 5:6 a", "x/l": "l 5:6 a" },
  },
  {
    name: "COPY --chown: a name that is not there",
    dockerfile: "FROM row-base\nCOPY --chown=none a.txt /\n",
    context: tree,
    fails:
      "unable to convert uid/gid chown string to host mapping: can't find uid for user none: no such user: none",
    differs: "BuildKit takes root for one it does not know",
  },
  {
    name: "COPY --chown: a name where there is no list",
    dockerfile: scratch("COPY --chown=web a.txt /"),
    context: tree,
    fails:
      "unable to convert uid/gid chown string to host mapping: can't find uid for user web: no such user: web",
    differs: "Docker 26 speaks of an invalid user index",
  },
  {
    name: "COPY --chmod: octal, of files and directories",
    dockerfile: scratch(
      "COPY --chmod=0640 a.txt /x",
      "COPY --chmod=4755 a.txt /y",
      "COPY --chmod=750 dir /d",
    ),
    context: tree,
    files: {
      ...{ x: "-640 a", y: "-4755 a", "d/": "d755", "d/.dot": "-750 .", "d/c.txt": "-750 c" },
      ...{ "d/deep/": "d750", "d/deep/d.md": "-750 d" },
    },
    history: [
      "COPY --chmod=0640 a.txt /x # buildkit",
      "COPY --chmod=4755 a.txt /y # buildkit",
      "COPY --chmod=750 dir /d # buildkit",
    ],
  },
  {
    name: "COPY --chmod: symbols",
    dockerfile: scratch(
      "COPY --chmod=u=rwX,go=rX dir /one",
      "COPY --chmod=go-rwx b.txt /two",
      "COPY --chmod=+x a.txt /three",
      "COPY --chmod=a=rw,o-w,u+s a.txt /four",
      "COPY --chmod=g=u b.txt /five",
    ),
    context: tree,
    files: {
      ...{ "one/": "d755", ...dirFiles("one/") },
      ...{ two: "-700 b", three: "-755 a", four: "-4664 a", five: "-775 b" },
    },
    newer: true,
  },
  {
    name: "COPY --chmod: with --chown and of a variable",
    dockerfile: scratch("ARG M=600", "COPY --chmod=$M --chown=1:2 a.txt /x"),
    context: tree,
    files: { x: "-600 1:2 a" },
    history: ["(ARG M=600)", "COPY --chown=1:2 --chmod=600 a.txt /x # buildkit"],
    newer: true,
  },
  {
    name: "COPY --chmod: links keep theirs",
    dockerfile: scratch("COPY --chmod=600 links /x"),
    context: { "links/l": { link: "a" }, "links/a": "a" },
    files: { "x/": "d755", "x/a": "-600 a", "x/l": "l a" },
  },
  {
    name: "COPY --chmod: too great",
    dockerfile: scratch("COPY --chmod=10000 a.txt /"),
    context: tree,
    fails: "invalid chmod parameter: '10000'. it should be octal string and between 0 and 07777",
    newer: true,
  },
  {
    name: "COPY --chmod: no mode",
    dockerfile: scratch("COPY --chmod=u!x a.txt /"),
    context: tree,
    fails: "invalid chmod parameter: 'u!x'. it should be octal, or symbolic as in u=rwX,go-w",
    newer: true,
  },
  {
    name: "COPY --link",
    dockerfile:
      "FROM row-base\nCOPY --link a.txt /x/\nCOPY --link=true --chown=5:6 dir /d\nCOPY --link=false b.txt /\n",
    context: tree,
    files: {
      ...{ "x/": "d755", "x/a.txt": "-644 a", "b.txt": "-755 b", "d/": "d755 5:6", "d/.dot": "-644 5:6 ." },
      ...{ "d/c.txt": "-644 5:6 c", "d/deep/": "d755 5:6", "d/deep/d.md": "-644 5:6 d" },
    },
    history: ["COPY a.txt /x/ # buildkit", "COPY --chown=5:6 dir /d # buildkit", "COPY b.txt / # buildkit"],
  },
  {
    name: "COPY --link: knows nothing of what is below: a link there is replaced",
    dockerfile: "FROM row-base\nRUN mkdir /real && busybox ln -s /real /l\nCOPY --link a.txt /l/\n",
    context: tree,
    files: { "l/": "d755", "l/a.txt": "-644 a", "real/": "d755" },
    differs: "Docker 26's storage drivers cannot merge: it copies as without --link",
  },
  {
    name: "COPY --link: neither yes nor no",
    dockerfile: scratch("COPY --link=maybe a.txt /"),
    fails: "dockerfile parse error on line 2: expecting boolean value for flag --link, not: maybe",
    newer: true,
  },
  {
    name: "COPY --parents",
    dockerfile: scratch("COPY --parents a.txt dir/deep/d.md /x/", "COPY --parents dir /y"),
    context: tree,
    files: {
      ...{
        "x/": "d755",
        "x/a.txt": "-644 a",
        "x/dir/": "d755",
        "x/dir/deep/": "d755",
        "x/dir/deep/d.md": "-644 d",
      },
      ...{ "y/": "d755", "y/dir/": "d755", ...dirFiles("y/dir/") },
    },
    history: ["COPY --parents a.txt dir/deep/d.md /x/ # buildkit", "COPY --parents dir /y # buildkit"],
    newer: true,
  },
  {
    name: "COPY --parents: from the pivot on",
    dockerfile: scratch("COPY --parents ./dir/./deep/d.md dir/./*.txt /x/"),
    context: tree,
    files: { "x/": "d755", "x/deep/": "d755", "x/deep/d.md": "-644 d", "x/c.txt": "-644 c" },
    newer: true,
  },
  {
    name: "COPY --parents: wildcards, over any depth",
    dockerfile: scratch("COPY --parents **/*.txt /x/", "COPY --parents */deep /y/"),
    context: tree,
    files: {
      ...{
        "x/": "d755",
        "x/a.txt": "-644 a",
        "x/b.txt": "-755 b",
        "x/dir/": "d755",
        "x/dir/c.txt": "-644 c",
      },
      ...{ "y/": "d755", "y/dir/": "d755", "y/dir/deep/": "d755", "y/dir/deep/d.md": "-644 d" },
    },
    newer: true,
  },
  {
    name: "COPY --parents --from: directories as they are there",
    dockerfile: `FROM row-base AS one
RUN mkdir -p /p/q && echo x >/p/q/f && busybox chmod 700 /p/q && busybox chown 5:6 /p
FROM scratch
COPY --parents --from=one /p/q/f /d/
`,
    files: { "d/": "d755", "d/p/": "d755 5:6", "d/p/q/": "d700", "d/p/q/f": "-644 x\n" },
    newer: true,
  },
  {
    name: "COPY --parents: a source that is not there",
    dockerfile: scratch("COPY --parents dir/none /x/"),
    context: tree,
    fails: /"\/dir\/none": not found/,
    newer: true,
  },
  {
    name: "COPY --exclude",
    dockerfile: scratch(
      "COPY --exclude=*.txt --exclude=deep dir /x/",
      "COPY --exclude=**/*.txt --exclude=.* --exclude=Dockerfile . /y/",
    ),
    context: tree,
    files: {
      ...{ "x/": "d755", "x/.dot": "-644 ." },
      ...{
        "y/": "d755",
        "y/dir/": "d755",
        "y/dir/.dot": "-644 .",
        "y/dir/deep/": "d755",
        "y/dir/deep/d.md": "-644 d",
      },
    },
    newer: true,
  },
  {
    name: "COPY --exclude: an exception, and all of several sources",
    dockerfile: scratch("COPY --exclude=*.txt --exclude=!b.txt a.txt b.txt dir /x/"),
    context: tree,
    files: {
      "x/": "d755",
      "x/b.txt": "-755 b",
      "x/.dot": "-644 .",
      "x/deep/": "d755",
      "x/deep/d.md": "-644 d",
    },
    newer: true,
  },
  {
    name: "COPY: a flag nobody knows",
    dockerfile: scratch("COPY --frm=x a /"),
    fails: "dockerfile parse error on line 2: unknown flag: --frm (did you mean from?)",
    newer: true,
  },
  {
    name: "COPY --checksum is ADD's",
    dockerfile: scratch("COPY --checksum=sha256:0 a /"),
    fails: "dockerfile parse error on line 2: unknown flag: --checksum",
    newer: true,
  },
];

const inline: readonly Row[] = [
  {
    name: "COPY <<EOF: one file, with variables",
    dockerfile: 'FROM scratch\nARG WHO=world\nCOPY <<EOF /x\nhello $WHO "q" \\$WHO ${NONE:-d}\n  two\nEOF\n',
    files: { x: '-644 hello world "q" $WHO d\n  two\n' },
    history: ["(ARG WHO=world)", "COPY <<EOF /x # buildkit"],
  },
  {
    name: "COPY <<'EOF': as it stands",
    dockerfile: "FROM scratch\nCOPY <<'EOF' <<\"E2\" /d/\n$A \\$B\nEOF\n`x`\nE2\n",
    files: { "d/": "d755", "d/EOF": "-644 $A \\$B\n", "d/E2": "-644 `x`\n" },
  },
  {
    name: "COPY <<-EOF: tabs go",
    dockerfile: "FROM scratch\nCOPY <<-EOF /x\n\t\thello\n\t  two\n\tEOF\n",
    files: { x: "-644 hello\n  two\n" },
  },
  {
    name: "COPY: heredocs and files",
    dockerfile: "FROM scratch\nCOPY a.txt <<one <<two dir /d/\n1\none\n2\ntwo\n",
    context: tree,
    files: { "d/": "d755", "d/a.txt": "-644 a", "d/one": "-644 1\n", "d/two": "-644 2\n", ...dirFiles("d/") },
  },
  {
    name: "COPY <<EOF with --chmod and --chown",
    dockerfile: "FROM scratch\nCOPY --chmod=755 --chown=5:6 <<run.sh /bin/\n#!/bin/sh\nrun.sh\n",
    files: { "bin/": "d755 5:6", "bin/run.sh": "-755 5:6 #!/bin/sh\n" },
  },
  {
    name: "COPY <<EOF: empty",
    dockerfile: "FROM scratch\nCOPY <<EOF /x\nEOF\n",
    files: { x: "-644 " },
  },
  {
    name: "COPY <<EOF: a heredoc for a destination",
    dockerfile: "FROM scratch\nCOPY a.txt <<EOF\nx\nEOF\n",
    fails: "dockerfile parse error on line 2: COPY cannot accept a heredoc as a destination",
  },
  {
    name: "ADD <<EOF: an archive's name does not make it one",
    dockerfile: "FROM scratch\nADD <<x.tar /d/\nnot packed\nx.tar\n",
    files: { "d/": "d755", "d/x.tar": "-644 not packed\n" },
  },
];

export const copyFlagRows: readonly Row[] = [...flags, ...inline];
