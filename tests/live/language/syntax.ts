/** What stands between instructions: directives, comments, continuations, marks; and what is ignored of a context. */
import type { ContextFiles, Row } from "./row.ts";

const label = (
  name: string,
  dockerfile: string,
  labels: Record<string, string>,
  more: Partial<Row> = {},
): Row => ({
  name,
  dockerfile,
  config: { Labels: labels },
  builder: "both",
  ...more,
});

const written: readonly Row[] = [
  label("comments and blank lines", "# one\n\n  # two\nFROM scratch\n   # three\n\n  LABEL a=b\n#\n", {
    a: "b",
  }),
  {
    name: "a comment behind an instruction is none",
    dockerfile: "FROM scratch\nLABEL a=b # no comment\n",
    builder: "both",
    fails: 'Syntax error - can\'t find = in "#". Must be of the form: name=value',
  },
  label("blanks before an instruction", "   FROM scratch\n\t LABEL\t a=b  \n", { a: "b" }),
  label("a continuation", "FROM scratch\nLABEL a=b \\\n   c=d\n", { a: "b", c: "d" }),
  label("a continuation with blanks behind it", "FROM scratch\nLABEL a=b \\  \n   c=d\n", { a: "b", c: "d" }),
  label("a comment within a continuation", "FROM scratch\nLABEL a=b \\\n # x\n   c=d\n", { a: "b", c: "d" }),
  label("an empty line within a continuation", "FROM scratch\nLABEL a=b \\\n\n   c=d\n", { a: "b", c: "d" }),
  label("a continuation at the end of the file", "FROM scratch\nLABEL a=b \\\n", { a: "b" }),
  label("no newline at the end", "FROM scratch\nLABEL a=b", { a: "b" }),
  label("lines that end as Windows' do", "FROM scratch\r\nLABEL a=b \\\r\n  c=d\r\n# x\r\nLABEL e=f\r\n", {
    a: "b",
    c: "d",
    e: "f",
  }),
  label("a byte order mark", "\uFEFFFROM scratch\nLABEL a=b\n", { a: "b" }),
  label("words in any letters", "fRoM scratch\nLaBeL A=b\n", { A: "b" }),
  label("letters of other alphabets", "FROM scratch\nLABEL grüße=ñandú\n", { grüße: "ñandú" }),
  label("the escape directive", "# escape=`\nFROM scratch\nLABEL a=c:\\x b=`$x `\n  c=d\n", {
    a: "c:\\x",
    b: "$x",
    c: "d",
  }),
  label("a directive in other letters and with blanks", "#  EsCaPe =  ` \nFROM scratch\nLABEL a=`$x\n", {
    a: "$x",
  }),
  label("a directive after a comment is none", "# x\n# escape=`\nFROM scratch\nLABEL a=\\$x\n", { a: "$x" }),
  label("a directive after an empty line is none", "\n# escape=`\nFROM scratch\nLABEL a=\\$x\n", { a: "$x" }),
  label(
    "a directive nobody knows is a comment, and ends them",
    "# frobnicate=1\n# escape=`\nFROM scratch\nLABEL a=\\$x\n",
    { a: "$x" },
  ),
  label(
    "syntax, of any version of Docker's",
    "# syntax=docker/dockerfile:1\nFROM scratch\nLABEL a=b\n",
    { a: "b" },
    { newer: true, builder: "buildkit" },
  ),
  label(
    "syntax, with its registry and a digest",
    "# syntax=docker.io/docker/dockerfile:1.4@sha256:0000000000000000000000000000000000000000000000000000000000000000\nFROM scratch\nLABEL a=b\n",
    { a: "b" },
    { newer: true, builder: "buildkit" },
  ),
  label(
    "syntax behind a shebang",
    "#!/usr/bin/env docker\n# escape=`\nFROM scratch\nLABEL a=`$x\n",
    { a: "$x" },
    { newer: true, builder: "buildkit" },
  ),
  label(
    "check",
    "# check=skip=all\nFROM scratch\nLABEL a b\n",
    { a: "b" },
    { newer: true, builder: "buildkit", warns: [] },
  ),
  label(
    "several directives",
    "# syntax=docker/dockerfile:1\n# escape=`\n# check=skip=all\nFROM scratch\nLABEL a=`$x\n",
    { a: "$x" },
    { newer: true, builder: "buildkit" },
  ),
  {
    name: "syntax: another frontend",
    dockerfile: "# syntax=example.com/f:1\nFROM scratch\n",
    fails: 'custom frontend "example.com/f:1" is not supported',
    newer: true,
  },
  {
    name: "escape: neither of the two",
    dockerfile: "# escape=x\nFROM scratch\n",
    builder: "both",
    fails: /invalid escape token 'x' does not match ` or \\/i,
  },
  {
    name: "escape: twice",
    dockerfile: "# escape=`\n# escape=\\\nFROM scratch\n",
    builder: "both",
    fails: /only one escape parser directive can be used/,
  },
  {
    name: "an instruction nobody knows",
    dockerfile: "FROM scratch\nLABLE a=b\n",
    fails: "dockerfile parse error on line 2: unknown instruction: LABLE (did you mean LABEL?)",
  },
  {
    name: "an instruction like none",
    dockerfile: "FROM scratch\nXYZZY a\n",
    fails: "dockerfile parse error on line 2: unknown instruction: XYZZY",
  },
  {
    name: "a line that is too long",
    dockerfile: `FROM scratch\nLABEL a=${"x".repeat(66_000)}\n`,
    fails: /dockerfile line greater than max allowed size of 65535/,
    builder: "classic",
  },
];

const tree: ContextFiles = {
  a: "a",
  "a.log": "l",
  "b.md": "m",
  "d/a.log": "l",
  "d/x": "x",
  "d/e/a.log": "l",
  "d/e/y": "y",
  ".git/HEAD": "h",
};
const all = ["a", "a.log", "b.md", "d/a.log", "d/x", "d/e/a.log", "d/e/y", ".git/HEAD"];

/** What is left of the tree, below /c. */
function ignoring(name: string, lines: string, left: readonly string[], more: Partial<Row> = {}): Row {
  const files: Record<string, string> = { "c/": "d755" };
  for (const path of left) {
    const parts = path.split("/");
    for (let count = 1; count < parts.length; count++)
      files[`c/${parts.slice(0, count).join("/")}/`] = "d755";
    if (path in tree) files[`c/${path}`] = `-644 ${String(tree[path])}`;
  }
  return {
    name: `.dockerignore: ${name}`,
    dockerfile: "FROM scratch\nCOPY . /c/\n",
    context: { ...tree, ".dockerignore": lines },
    files,
    ...more,
  };
}

const without = (...names: string[]) => all.filter((each) => !names.includes(each));
const own = ["Dockerfile", ".dockerignore"];

const ignored: readonly Row[] = [
  ignoring("a name at the top only", `${own.join("\n")}\na.log\n`, without("a.log")),
  ignoring("a name at any depth", `${own.join("\n")}\n**/a.log\n`, without("a.log", "d/a.log", "d/e/a.log")),
  ignoring("a directory", `${own.join("\n")}\nd\n`, without("d/a.log", "d/x", "d/e/a.log", "d/e/y")),
  ignoring(
    "a directory with a slash on both sides",
    `${own.join("\n")}\n/d/\n`,
    without("d/a.log", "d/x", "d/e/a.log", "d/e/y"),
  ),
  ignoring(
    "a star does not cross directories",
    `${own.join("\n")}\n*.log\n*/*.log\n`,
    without("a.log", "d/a.log"),
  ),
  ignoring("a question mark and a set", `${own.join("\n")}\n?.md\n[a-c].log\n`, without("b.md", "a.log")),
  ignoring("two stars at the end leave the directory", `${own.join("\n")}\nd/**\n`, [
    ...without("d/a.log", "d/x", "d/e/a.log", "d/e/y"),
    "d/",
  ]),
  ignoring("an exception", `${own.join("\n")}\n**/*.log\n!d/e/a.log\n`, without("a.log", "d/a.log")),
  ignoring("an exception within what is left out", "*\n!d/e\n", ["d/e/a.log", "d/e/y"]),
  ignoring("an exception that is left out again", "*\n!d\nd/e\n", ["d/a.log", "d/x"]),
  ignoring(
    "comments, blank lines, blanks",
    `${own.join("\n")}\n# a\n\n   a.log  \n#b.md\n`,
    without("a.log"),
  ),
  ignoring("dots in a pattern", `${own.join("\n")}\n./d/../a.log\n`, without("a.log")),
  ignoring("what begins with a dot", ".*\nDockerfile\n", without(".git/HEAD")),
  ignoring(
    "of POST /build, which dockerd leaves to its clients",
    `${own.join("\n")}\na.log\n!d\n`,
    without("a.log"),
    {
      builder: "classic",
      differs:
        "dockerd sees to the Dockerfile and the ignore file alone; a client that does not know .dockerignore gets what it says",
    },
  ),
  {
    ...ignoring("lines that end as Windows' do", `${own.join("\r\n")}\r\na.log\r\n`, without("a.log")),
  },
  {
    name: ".dockerignore: a file that is named all the same is not there",
    dockerfile: "FROM scratch\nCOPY a /x\n",
    context: { ...tree, ".dockerignore": "a\n" },
    fails: /"\/a": not found/,
  },
  {
    name: ".dockerignore: the Dockerfile and itself may be left out",
    dockerfile: "FROM scratch\nCOPY . /c/\n",
    context: { a: "a", ".dockerignore": "Dockerfile\n.dockerignore\n" },
    builder: "both",
    files: { "c/": "d755", "c/a": "-644 a" },
  },
  {
    name: "an ignore file of the Dockerfile's own goes before the other",
    dockerfile: "FROM scratch\n",
    context: {
      a: "a",
      b: "b",
      ".dockerignore": "*\n",
      "build/other": "FROM scratch\nCOPY . /c/\n",
      "build/other.dockerignore": "b\n.dockerignore\nDockerfile\nbuild\n",
    },
    options: { filename: "build/other" },
    files: { "c/": "d755", "c/a": "-644 a" },
  },
];

export const syntaxRows: readonly Row[] = [...written, ...ignored];
