/** CMD, ENTRYPOINT, SHELL, WORKDIR. */
import type { Row } from "./row.ts";
import { bad, path, scratch } from "./setting-rows.ts";

const commands: readonly Row[] = [
  {
    name: "CMD: exec form",
    dockerfile: scratch('CMD ["a", "b c", "$HOME", "\\u00e9"]'),
    builder: "both",
    config: { Cmd: ["a", "b c", "$HOME", "é"] },
    history: ['(CMD ["a" "b c" "$HOME" "é"])'],
  },
  {
    name: "CMD: the shell's form",
    dockerfile: scratch('CMD echo "a b"   $HOME'),
    builder: "both",
    config: { Cmd: ["/bin/sh", "-c", 'echo "a b"   $HOME'] },
    history: ['(CMD ["/bin/sh" "-c" "echo \\"a b\\"   $HOME"])'],
  },
  { name: "CMD: an empty list", dockerfile: scratch("CMD []"), builder: "both", history: ["(CMD [])"] },
  {
    name: "CMD: the last counts",
    dockerfile: scratch('CMD ["a"]', 'CMD ["b"]'),
    builder: "both",
    config: { Cmd: ["b"] },
  },
  {
    name: "CMD: single quotes are the shell's",
    dockerfile: scratch("CMD ['a']"),
    builder: "both",
    config: { Cmd: ["/bin/sh", "-c", "['a']"] },
  },
  {
    name: "CMD: JSON over two lines, in small letters",
    dockerfile: scratch('cmd [ "a", \\', '  "b" ]'),
    builder: "both",
    config: { Cmd: ["a", "b"] },
  },
  {
    name: "CMD: of nothing",
    dockerfile: scratch("CMD"),
    config: { Cmd: ["/bin/sh", "-c", ""] },
    history: ['(CMD ["/bin/sh" "-c" ""])'],
  },
  {
    name: "CMD: a list of what is no text",
    dockerfile: scratch('CMD ["a", 1]'),
    fails: "when using JSON array syntax, arrays must be comprised of strings only",
  },
  {
    name: "ENTRYPOINT: exec form, with a CMD",
    dockerfile: scratch('CMD ["b"]', 'ENTRYPOINT ["a"]'),
    builder: "both",
    config: { Entrypoint: ["a"], Cmd: ["b"] },
    history: ['(CMD ["b"])', '(ENTRYPOINT ["a"])'],
  },
  {
    name: "ENTRYPOINT: the shell's form",
    dockerfile: scratch("ENTRYPOINT exec top -b"),
    builder: "both",
    config: { Entrypoint: ["/bin/sh", "-c", "exec top -b"] },
  },
  {
    name: "ENTRYPOINT: forgets the base's CMD",
    dockerfile: 'FROM row-base\nENTRYPOINT ["a"]\n',
    builder: "both",
    config: { Entrypoint: ["a"], Cmd: null },
  },
  {
    name: "ENTRYPOINT: an empty list takes the base's away",
    dockerfile: 'FROM scratch AS a\nENTRYPOINT ["a"]\nFROM a\nENTRYPOINT []\nCMD ["c"]\n',
    builder: "both",
    config: { Cmd: ["c"] },
  },
  {
    name: "SHELL: for what comes after it",
    dockerfile: scratch("ENTRYPOINT a", 'SHELL ["/bin/bash", "-eo", "pipefail", "-c"]', "CMD b"),
    builder: "both",
    config: {
      Entrypoint: ["/bin/sh", "-c", "a"],
      Shell: ["/bin/bash", "-eo", "pipefail", "-c"],
      Cmd: ["/bin/bash", "-eo", "pipefail", "-c", "b"],
    },
    history: [
      '(ENTRYPOINT ["/bin/sh" "-c" "a"])',
      "(SHELL [/bin/bash -eo pipefail -c])",
      '(CMD ["/bin/bash" "-eo" "pipefail" "-c" "b"])',
    ],
  },
  {
    name: "SHELL: a stage that stands on it",
    dockerfile: 'FROM scratch AS a\nSHELL ["/s"]\nFROM a\nCMD x\n',
    builder: "both",
    config: { Shell: ["/s"], Cmd: ["/s", "x"] },
  },
  bad("SHELL: not JSON", "SHELL /bin/sh -c", "SHELL requires the arguments to be in JSON form"),
  bad("SHELL: an empty list", "SHELL []", "SHELL requires at least one argument"),
];

const directories: readonly Row[] = [
  {
    name: "WORKDIR: made when it is not there, relative to the last",
    dockerfile: "FROM scratch\nWORKDIR /a\nWORKDIR b/c\nWORKDIR ../d\nWORKDIR /e/f\n",
    builder: "both",
    config: { WorkingDir: "/e/f" },
    files: { "a/": "d755", "a/b/": "d755", "a/b/c/": "d755", "a/b/d/": "d755", "e/": "d755", "e/f/": "d755" },
    history: ["WORKDIR /a", "WORKDIR /a/b/c", "WORKDIR /a/b/d", "WORKDIR /e/f"],
  },
  {
    name: "WORKDIR: what is there stays as it is",
    dockerfile: "FROM row-base\nWORKDIR /www\n",
    config: { WorkingDir: "/www" },
    files: {},
  },
  {
    name: "WORKDIR: belongs to the user of the moment",
    dockerfile: "FROM row-base\nUSER web:www\nWORKDIR /srv/app\n",
    config: { User: "web:www", WorkingDir: "/srv/app" },
    files: { "srv/": "d755 33:44", "srv/app/": "d755 33:44" },
  },
  {
    name: "WORKDIR: of a user that is not there yet",
    dockerfile: "FROM row-base\nUSER later:later\nWORKDIR /srv\n",
    config: { User: "later:later", WorkingDir: "/srv" },
    files: { "srv/": "d755" },
  },
  {
    name: "WORKDIR: a windows path is a name like others",
    dockerfile: "FROM scratch\nWORKDIR c:\\\\x\n",
    config: { WorkingDir: "/c:\\x" },
    files: { "c:\\x/": "d755" },
  },
  {
    name: "WORKDIR: with blanks and a variable",
    dockerfile: "FROM scratch\nENV D=x\nWORKDIR /a b/$D\n",
    config: { Env: [path, "D=x"], WorkingDir: "/a b/x" },
    files: { "a b/": "d755", "a b/x/": "d755" },
  },
  {
    name: "WORKDIR: in its shortest form",
    dockerfile: "FROM scratch\nWORKDIR /e/./f//g/../\n",
    config: { WorkingDir: "/e/f" },
    files: { "e/": "d755", "e/f/": "d755" },
    newer: true,
  },
  { name: "WORKDIR: the root", dockerfile: "FROM row-base\nWORKDIR /\n", history: ["(WORKDIR /)"] },
  {
    name: "WORKDIR: of nothing",
    dockerfile: "FROM scratch\nWORKDIR\n",
    builder: "both",
    fails: "dockerfile parse error on line 2: WORKDIR requires exactly one argument",
  },
  {
    name: "WORKDIR: a file is there",
    dockerfile: "FROM scratch\nCOPY a /a\nWORKDIR /a\n",
    context: { a: "a" },
    fails: /not a directory/,
  },
];

export const commandRows: readonly Row[] = [...commands, ...directories];
