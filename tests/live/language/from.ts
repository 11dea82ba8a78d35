/** FROM, and ARG before it. */
import { type Row, variable } from "./row.ts";

export const fromRows: readonly Row[] = [
  {
    name: "FROM scratch",
    dockerfile: "FROM scratch\nLABEL a=b\n",
    config: { Labels: { a: "b" } },
    history: ["(LABEL a=b)"],
  },
  { name: "FROM an image, and nothing else", dockerfile: "FROM row-base\n", builder: "both", history: [] },
  {
    name: "FROM in small letters, an image with its tag",
    dockerfile: 'from row-base:latest\ncmd ["x"]\n',
    builder: "both",
    config: { Cmd: ["x"] },
  },
  {
    name: "FROM a stage takes its configuration and files, not its triggers",
    dockerfile: `FROM scratch AS one
COPY a /a
ENV A=1
WORKDIR /w
USER 5
ONBUILD LABEL never=x
FROM one AS two
FROM two
ENV B=2
`,
    context: { a: "a" },
    builder: "both",
    config: {
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=1", "B=2"],
      WorkingDir: "/w",
      User: "5",
      Labels: { never: "x" },
    },
    files: { a: "-644 a", "w/": "d755" },
  },
  {
    name: "FROM … AS in any letters",
    dockerfile: "FROM scratch As Upper.Name_1-x\nLABEL a=1\nFROM upper.name_1-x\n",
    config: { Labels: { a: "1" } },
  },
  {
    name: "FROM: the later of two stages with a name",
    dockerfile: "FROM scratch AS a\nLABEL n=1\nFROM scratch AS a\nLABEL n=2\nFROM a\n",
    config: { Labels: { n: "2" } },
  },
  {
    name: "FROM: a stage before an image of its name",
    dockerfile: "FROM scratch AS row-base\nLABEL mine=1\nFROM row-base\n",
    config: { Labels: { mine: "1" } },
  },
  {
    name: "FROM --platform",
    dockerfile: "FROM --platform=linux/amd64 row-base\nENV A=$TARGETARCH\n",
    config: { Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A="] },
  },
  {
    name: "FROM --platform of an argument",
    dockerfile:
      "FROM --platform=$BUILDPLATFORM scratch\nARG TARGETPLATFORM BUILDOS\nLABEL p=$TARGETPLATFORM b=$BUILDOS\n",
    options: { platform: "linux/amd64" },
    config: { Labels: { p: "linux/amd64", b: "linux" } },
  },
  {
    name: "FROM --platform of nothing",
    dockerfile: "FROM --platform=$NOTHING scratch\n",
    fails: "empty platform value from expression $NOTHING",
    newer: true,
  },
  {
    name: "FROM --platform nobody knows",
    dockerfile: "FROM --platform=linux/amd64/v1/x/y scratch\nLABEL a=b\n",
    fails: /platform/,
  },
  {
    name: "FROM with an argument",
    dockerfile: `ARG NAME=row
ARG TAG=latest
FROM ${variable("NAME")}-base:$TAG
LABEL l=$NAME
`,
    builder: "both",
    config: { Labels: { l: "" } },
  },
  {
    name: "FROM with an argument of the request",
    dockerfile: "ARG B=nowhere\nFROM $B\nARG B\nLABEL b=$B\n",
    options: { "build-arg:B": "row-base" },
    builder: "both",
    config: { Labels: { b: "row-base" } },
  },
  {
    name: "ARG before FROM knows those before it",
    dockerfile: `ARG A=row
ARG B=${variable("A")}-base C=latest
FROM $B:$C
ARG B
LABEL b=$B c=$C
`,
    config: { Labels: { b: "row-base", c: "" } },
  },
  {
    name: "ARG before FROM without a value",
    dockerfile: `ARG NAME
FROM ${variable("NAME:-row-base")}
`,
    builder: "both",
  },
  {
    name: "FROM: + when set",
    dockerfile: `ARG DEBUG=1
FROM row-base AS final-debug
LABEL d=1
FROM row-base AS final
FROM final${variable("DEBUG:+-debug")}
`,
    config: { Labels: { d: "1" } },
  },
  { name: "FROM of an empty name", dockerfile: "FROM $B\n", fails: "base name ($B) should not be blank" },
  {
    name: "FROM with two words",
    dockerfile: "FROM row-base twice\n",
    builder: "both",
    fails: "dockerfile parse error on line 1: FROM requires either one or three arguments",
  },
  {
    name: "FROM with nothing",
    dockerfile: "FROM\n",
    builder: "both",
    fails: "dockerfile parse error on line 1: FROM requires either one or three arguments",
  },
  {
    name: "FROM: a stage whose name is a number",
    dockerfile: "FROM scratch AS 1x\n",
    builder: "both",
    fails:
      'dockerfile parse error on line 1: invalid name for build stage: "1x", name can\'t start with a number or contain symbols',
  },
  {
    name: "FROM: a flag nobody knows",
    dockerfile: "FROM --plattform=linux/amd64 scratch\n",
    fails: "dockerfile parse error on line 1: unknown flag: --plattform (did you mean platform?)",
    newer: true,
  },
  {
    name: "a target that is not there",
    dockerfile: "FROM scratch AS build\nLABEL a=b\n",
    options: { target: "biuld" },
    fails: 'target stage "biuld" could not be found (did you mean build?)',
    newer: true,
  },
  {
    name: "a target in other letters",
    dockerfile: "FROM scratch AS one\nLABEL n=1\nFROM scratch AS two\nLABEL n=2\n",
    options: { target: "ONE" },
    builder: "both",
    config: { Labels: { n: "1" } },
  },
  {
    name: "stages nobody needs are not built",
    dockerfile:
      "FROM row-base AS bad\nRUN exit 3\nFROM nowhere.invalid/none AS worse\nFROM scratch\nLABEL a=b\n",
    config: { Labels: { a: "b" } },
  },
  { name: "nothing before FROM", dockerfile: "RUN x\n", fails: "no build stage in current context" },
  {
    name: "ARG alone",
    dockerfile: "ARG x=1\n",
    fails: "dockerfile contains no stages to build",
    differs: "it brings Docker 26 down",
  },
  { name: "a Dockerfile of comments", dockerfile: "# nothing\n\n", fails: "file with no instructions" },
  { name: "an empty Dockerfile", dockerfile: "", fails: "the Dockerfile cannot be empty" },
];
