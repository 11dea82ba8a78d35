/** Substitutions, in every form and every place that takes them. */
import { type Row, variable as v } from "./row.ts";

/** One expression, what `ARG` says of its variables, and what it comes to. */
const forms: readonly [name: string, args: readonly string[], word: string, value: string][] = [
  ["plain", ["A=x"], "$A", "x"],
  ["in braces", ["A=x"], `${v("A")}y`, "xy"],
  ["unset", [], "<$A>", "<>"],
  [":- of unset", [], v("A:-d"), "d"],
  [":- of empty", ["A="], v("A:-d"), "d"],
  ["- of unset", [], v("A-d"), "d"],
  ["- of empty", ["A="], `<${v("A-d")}>`, "<>"],
  [":+ of set", ["A=x"], v("A:+d"), "d"],
  [":+ of empty", ["A="], `<${v("A:+d")}>`, "<>"],
  ["+ of empty", ["A="], v("A+d"), "d"],
  ["+ of unset", [], `<${v("A+d")}>`, "<>"],
  ["? of set", ["A=x"], v("A?no"), "x"],
  [":? of set", ["A=x"], v("A:?no"), "x"],
  ["? of empty", ["A="], `<${v("A?no")}>`, "<>"],
  ["one in another", ["B=b"], v(`A:-${v("C:-$B")}`), "b"],
  ["a word with a slash and a colon", [], v("A:-http://h:1/p"), "http://h:1/p"],
  ["escaped", ["A=x"], "\\$A", "$A"],
  ["escaped, in braces", ["A=x"], `\\${v("A")}`, v("A")],
  ["in single quotes", ["A=x"], "'$A'", "$A"],
  ["in double quotes", ["A=x"], '"$A $A"', "x x"],
  ["escaped in double quotes", ["A=x"], '"\\$A"', "$A"],
  ["a backslash in double quotes", [], '"a\\b"', "a\\b"],
  ["a backslash bare", [], "a\\b", "ab"],
  ["quotes in the other's", [], `"it's" `, "it's"],
  ["a dollar alone", [], "a$", "a$"],
  ["a name ends at what cannot be in one", ["A=x"], "$A-$A.$A", "x-x.x"],
  ["a digit", [], "<$1>", "<>"],
  ["a name that begins with an underscore", ["_a9=x"], "$_a9", "x"],
];
const newer: typeof forms = [
  ["# shortest", ["A=foo/bar/baz"], v("A#*/"), "bar/baz"],
  ["## longest", ["A=foo/bar/baz"], v("A##*/"), "baz"],
  ["% shortest", ["A=foo.tar.gz"], v("A%.*"), "foo.tar"],
  ["%% longest", ["A=foo.tar.gz"], v("A%%.*"), "foo"],
  ["# that does not match", ["A=foo"], v("A#x*"), "foo"],
  ["# with ?", ["A=foo"], v("A#??"), "o"],
  ["# of an escaped star", ["A=*oo"], v("A#\\*"), "oo"],
  ["/ the first", ["A=a.b.c"], v("A/./-"), "a-b.c"],
  ["// all", ["A=a.b.c"], v("A//./-"), "a-b-c"],
  ["// with a star is greedy", ["A=axbxc"], v("A//x*x/-"), "a-c"],
  ["/ by nothing", ["A=abc"], v("A/b/"), "ac"],
  ["/ of an escaped slash", ["A=a/b"], v("A/\\//-"), "a-b"],
  ["/ by a variable", ["A=abc", "B=x"], v("A/b/$B"), "axc"],
  ["# by a variable", ["A=v1.2", "B=v"], v("A#$B"), "1.2"],
];

const row = ([name, args, word, value]: (typeof forms)[number]): Row => ({
  name: `variables: ${name}`,
  dockerfile: `FROM scratch\n${args.map((each) => `ARG ${each}\n`).join("")}LABEL v=${word}\n`,
  config: { Labels: { v: value } },
});

const refusals: readonly [name: string, word: string, message: string][] = [
  [":? of unset", v("A:?give-it"), "A: give-it"],
  [":? without words", v("A:?"), "A: is not allowed to be unset"],
  ["? of unset", v("A?"), "A: is not allowed to be unset"],
  ["a modifier nobody knows", v("A:x"), "unsupported modifier (:x) in substitution"],
  ["a brace that does not end", "${A", "syntax error: missing '}'"],
  ["no name", v(""), "syntax error: bad substitution"],
];

export const variableRows: readonly Row[] = [
  ...forms.map((form) => row(form)),
  ...newer.map((form): Row => ({ ...row(form), newer: true })),
  ...refusals.map(
    ([name, word, message]): Row => ({
      name: `variables: ${name}`,
      dockerfile: `FROM scratch\nLABEL v=${word}\n`,
      fails: `failed to process ${JSON.stringify(word)}: ${message}`,
      ...(name === "a brace that does not end" && { newer: true as const }),
    }),
  ),
  {
    name: "variables: a quote that does not end",
    dockerfile: "FROM scratch\nARG A=x\nSTOPSIGNAL 'x\n",
    fails: `failed to process "'x": unexpected end of statement while looking for matching single-quote`,
  },
  {
    name: "variables: which instructions take them",
    dockerfile: `FROM scratch
ARG S=src D=dst P=7000 U=9 W=work V=vol SIG=SIGHUP K=key N=name
ADD $S /$D/add
COPY --chown=$U $S /$D/copy
ENV $K=$S
EXPOSE $P ${v("P")}-7002/udp
LABEL "$K"=$S
STOPSIGNAL $SIG
USER $U
VOLUME /$V
WORKDIR /$W
ONBUILD RUN echo $S
CMD $S
`,
    context: { src: "s" },
    config: {
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "key=src"],
      ExposedPorts: { "7000/tcp": {}, "7000/udp": {}, "7001/udp": {}, "7002/udp": {} },
      Labels: { key: "src" },
      StopSignal: "SIGHUP",
      User: "9",
      Volumes: { "/vol": {} },
      WorkingDir: "/work",
      OnBuild: ["RUN echo $S"],
      Cmd: ["/bin/sh", "-c", "$S"],
    },
    files: { "dst/": "d755", "dst/add": "-644 s", "dst/copy": "-644 9:9 s", "work/": "d755 9:9" },
  },
  {
    name: "variables: all words of one instruction see what was before it",
    dockerfile: "FROM scratch\nENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc\n",
    builder: "both",
    config: {
      Env: [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "abc=bye",
        "def=hello",
        "ghi=bye",
      ],
    },
  },
  {
    name: "variables: of ENV and ARG the later counts; the image has the former",
    dockerfile: `FROM row-base
ARG A=arg
ENV A=env
LABEL one=$A
ARG A=again
LABEL two=$A
RUN echo $A >/two
ENV A=$A-env
LABEL three=$A
RUN echo $A >/three
`,
    config: {
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=again-env"],
      Labels: { one: "env", two: "again", three: "again-env" },
    },
    files: { two: "-644 again\n", three: "-644 again-env\n" },
  },
  {
    name: "variables: an ARG without a value hides no ENV",
    dockerfile: "FROM scratch\nENV A=env\nARG A\nLABEL a=$A\n",
    config: {
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=env"],
      Labels: { a: "env" },
    },
  },
];
