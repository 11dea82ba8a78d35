/** ARG: defaults, scopes, and the arguments that are there without one. */
import type { Row } from "./row.ts";

export const argRows: readonly Row[] = [
  {
    name: "ARG: a default, and none",
    dockerfile: "FROM scratch\nARG A=1\nARG B\nARG C=\nLABEL a=$A b=$B c=$C\n",
    builder: "both",
    config: { Labels: { a: "1", b: "", c: "" } },
    history: ["(ARG A=1)", "(ARG B)", "(ARG C=)", "(LABEL a=1 b= c=)"],
  },
  {
    name: "ARG: what the request gave, before and after its line",
    dockerfile: "FROM scratch\nLABEL before=$A\nARG A=1\nLABEL after=$A\n",
    options: { "build-arg:A": "given" },
    builder: "both",
    config: { Labels: { before: "", after: "given" } },
    history: ["(LABEL before=)", "(ARG A=1)", "(LABEL after=given)"],
  },
  {
    name: "ARG: several in one line, quoted",
    dockerfile: 'FROM scratch\nARG A="x y" B=\'p q\' C=it\\ is\nLABEL l="$A|$B|$C"\n',
    builder: "both",
    config: { Labels: { l: "x y|p q|it is" } },
  },
  {
    name: "ARG: a global one is asked for by name",
    dockerfile: "ARG G=global\nFROM scratch\nLABEL before=$G\nARG G\nLABEL after=$G\n",
    builder: "both",
    config: { Labels: { before: "", after: "global" } },
    history: ["(LABEL before=)", "(ARG G)", "(LABEL after=global)"],
  },
  {
    name: "ARG: a stage's default goes before the global one",
    dockerfile: "ARG G=global\nFROM scratch\nARG G=mine\nLABEL g=$G\n",
    config: { Labels: { g: "mine" } },
  },
  {
    name: "ARG: another stage does not know it",
    dockerfile: "FROM scratch AS one\nARG A=1\nFROM scratch\nLABEL a=$A\n",
    config: { Labels: { a: "" } },
  },
  {
    name: "ARG: a stage that stands on the one it was said in",
    dockerfile: "FROM scratch AS one\nARG A=1\nFROM one\nLABEL a=$A\n",
    config: { Labels: { a: "1" } },
  },
  {
    name: "ARG: leaves no trace in the environment",
    dockerfile: 'FROM row-base\nARG A=1\nRUN echo $A >/a\nCMD ["x"]\n',
    builder: "both",
    config: { Cmd: ["x"] },
    files: { a: "-644 1\n" },
    history: ["(ARG A=1)", "RUN |1 A=1 /bin/sh -c echo $A >/a # buildkit", '(CMD ["x"])'],
  },
  {
    name: "ARG: one of an earlier one",
    dockerfile: "FROM scratch\nARG A=1\nARG B=$A-$A\nLABEL b=$B\n",
    builder: "both",
    config: { Labels: { b: "1-1" } },
  },
  {
    name: "ARG: said twice, the later default counts",
    dockerfile: "FROM scratch\nARG A=1\nARG A=2\nLABEL a=$A\n",
    config: { Labels: { a: "2" } },
  },
  {
    name: "ARG: nothing before the sign",
    dockerfile: "FROM scratch\nARG =x\n",
    builder: "both",
    fails: "dockerfile parse error on line 2: ARG names can not be blank",
  },
  {
    name: "ARG: with nothing",
    dockerfile: "FROM scratch\nARG\n",
    builder: "both",
    fails: "dockerfile parse error on line 2: ARG requires at least one argument",
  },
  {
    name: "ARG: platforms",
    dockerfile: `FROM scratch
ARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT BUILDPLATFORM BUILDOS BUILDARCH BUILDVARIANT
LABEL t=$TARGETPLATFORM,$TARGETOS,$TARGETARCH,$TARGETVARIANT b=$BUILDPLATFORM,$BUILDOS,$BUILDARCH,$BUILDVARIANT
`,
    options: { platform: "linux/arm/v7" },
    config: { Labels: { t: "linux/arm/v7,linux,arm,v7", b: "linux/amd64,linux,amd64," } },
  },
  {
    name: "ARG: platforms must be asked for",
    dockerfile: "FROM scratch\nLABEL t=$TARGETPLATFORM,$TARGETSTAGE\n",
    config: { Labels: { t: "," } },
  },
  {
    name: "ARG: the target's name",
    dockerfile: "FROM scratch AS out\nARG TARGETSTAGE\nLABEL s=$TARGETSTAGE\nFROM scratch\n",
    options: { target: "out" },
    config: { Labels: { s: "out" } },
    newer: true,
  },
  {
    name: "ARG: the target's name when there is none",
    dockerfile: "FROM scratch\nARG TARGETSTAGE\nLABEL s=$TARGETSTAGE\n",
    config: { Labels: { s: "default" } },
    newer: true,
  },
  {
    name: "ARG: proxies need no line and leave no trace",
    dockerfile: "FROM row-base\nRUN echo $HTTP_PROXY $http_proxy $no_proxy $ALL_PROXY >/p\n",
    options: {
      "build-arg:HTTP_PROXY": "http://p:1",
      "build-arg:no_proxy": "n",
      "build-arg:ALL_PROXY": "all",
    },
    files: { p: "-644 http://p:1 http://p:1 n all\n" },
    history: ["RUN /bin/sh -c echo $HTTP_PROXY $http_proxy $no_proxy $ALL_PROXY >/p # buildkit"],
  },
  {
    name: "ARG: a proxy with a line is an argument like others",
    dockerfile: "FROM row-base\nARG HTTP_PROXY\nRUN echo $HTTP_PROXY >/p\n",
    options: { "build-arg:HTTP_PROXY": "http://p:1" },
    files: { p: "-644 http://p:1\n" },
    history: ["(ARG HTTP_PROXY)", "RUN |1 HTTP_PROXY=http://p:1 /bin/sh -c echo $HTTP_PROXY >/p # buildkit"],
  },
  {
    name: "ARG: one given that nobody asked for",
    dockerfile: "FROM scratch\nLABEL a=b\n",
    options: { "build-arg:NOBODY": "x" },
    config: { Labels: { a: "b" } },
  },
];
