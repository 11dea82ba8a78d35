/** Instructions that only say something of the image. */
import type { Row } from "./row.ts";
import { bad, path, scratch } from "./setting-rows.ts";

const words: readonly Row[] = [
  {
    name: "LABEL: quotes, blanks, several, over lines",
    dockerfile: scratch(
      'LABEL a=1 "b c"="d e" f=\'g h\' i=it\\ is j="say \\"x\\"" \\',
      "  k=last",
      'LABEL com.example.l.m-n_o="p=q"',
    ),
    builder: "both",
    config: {
      Labels: {
        a: "1",
        "b c": "d e",
        f: "g h",
        i: "it is",
        j: 'say "x"',
        k: "last",
        "com.example.l.m-n_o": "p=q",
      },
    },
    history: ['(LABEL a=1 b c=d e f=g h i=it is j=say "x" k=last)', "(LABEL com.example.l.m-n_o=p=q)"],
  },
  {
    name: "LABEL: the old form",
    dockerfile: scratch("LABEL key some  value = x"),
    builder: "both",
    config: { Labels: { key: "some  value = x" } },
  },
  {
    name: "LABEL: joined over lines within quotes",
    dockerfile: scratch('LABEL a="one \\', 'two"'),
    builder: "both",
    config: { Labels: { a: "one two" } },
  },
  {
    name: "LABEL: the last counts, the base's stay",
    dockerfile: "FROM scratch AS a\nLABEL x=1 y=1\nFROM a\nLABEL y=2\n",
    builder: "both",
    config: { Labels: { x: "1", y: "2" } },
  },
  {
    name: "LABEL: of the request",
    dockerfile: scratch("LABEL x=file"),
    options: { "label:x": "request", "label:a": "more" },
    config: { Labels: { x: "request", a: "more" } },
    history: ["(LABEL x=file)"],
  },
  {
    name: "LABEL: empty",
    dockerfile: scratch('LABEL a= b=""'),
    builder: "both",
    config: { Labels: { a: "", b: "" } },
  },
  bad("LABEL: of nothing", "LABEL", "LABEL requires at least one argument"),
  bad("LABEL: a word without a sign", "LABEL a=b c", "", {
    fails: 'Syntax error - can\'t find = in "c". Must be of the form: name=value',
  }),
  bad("LABEL: no name", 'LABEL ="x"', "LABEL names can not be blank"),
  {
    name: "ENV: both forms",
    dockerfile: scratch(
      "ENV A=1 B=\"two words\" C=it\\ is D='$A'",
      "ENV E some  value = x",
      'ENV F="$B" A=2',
    ),
    builder: "both",
    config: {
      Env: [path, "A=2", "B=two words", "C=it is", "D=$A", "E=some  value = x", "F=two words"],
    },
    history: ["(ENV A=1 B=two words C=it is D=$A)", "(ENV E=some  value = x)", "(ENV F=two words A=2)"],
  },
  {
    name: "ENV: PATH goes on",
    dockerfile: scratch("ENV PATH=/opt/bin:$PATH"),
    config: { Env: ["PATH=/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] },
  },
  {
    name: "ENV: quotes in the old form",
    dockerfile: scratch("ENV A \"x y\"  'z'"),
    builder: "both",
    config: { Env: [path, "A=x y  z"] },
  },
  bad("ENV: of nothing", "ENV", "ENV requires at least one argument"),
  bad("ENV: a name alone", "ENV A", "", { fails: "ENV must have two arguments" }),
  bad("ENV: no name", "ENV =x", "ENV names can not be blank"),
];

const more: readonly Row[] = [
  {
    name: "EXPOSE: protocols and ranges",
    dockerfile: scratch("EXPOSE 80 443/tcp 53/udp 7000-7002 9000/sctp 5000/TCP"),
    builder: "both",
    config: {
      ExposedPorts: {
        "80/tcp": {},
        "443/tcp": {},
        "53/udp": {},
        "7000/tcp": {},
        "7001/tcp": {},
        "7002/tcp": {},
        "9000/sctp": {},
        "5000/tcp": {},
      },
    },
  },
  {
    name: "EXPOSE: words in a variable",
    dockerfile: scratch('ARG P="80 81"', "EXPOSE $P"),
    config: { ExposedPorts: { "80/tcp": {}, "81/tcp": {} } },
  },
  {
    name: "EXPOSE: a host's part is left out",
    dockerfile: scratch("EXPOSE 8080:80 127.0.0.1:8443:443"),
    builder: "both",
    config: { ExposedPorts: { "80/tcp": {}, "443/tcp": {} } },
  },
  bad("EXPOSE: of nothing", "EXPOSE", "EXPOSE requires at least one argument"),
  bad("EXPOSE: no number", "EXPOSE web", "invalid containerPort: web", {
    fails: /^[Ii]nvalid containerPort: web$/,
  }),
  bad("EXPOSE: too great", "EXPOSE 65536", "invalid containerPort: 65536", {
    fails: /^[Ii]nvalid containerPort: 65536$/,
  }),
  bad("EXPOSE: backwards", "EXPOSE 9-8", "invalid containerPort: 9-8", {
    fails: /^[Ii]nvalid containerPort: 9-8$/,
  }),
  bad("EXPOSE: a protocol nobody knows", "EXPOSE 80/http", "", { fails: /invalid proto: http/i }),
  {
    name: "VOLUME: words and JSON",
    dockerfile: scratch("VOLUME /a /b", 'VOLUME ["/c d", "e"]'),
    builder: "both",
    config: { Volumes: { "/a": {}, "/b": {}, "/c d": {}, e: {} } },
    history: ["(VOLUME [/a /b])", "(VOLUME [/c d e])"],
  },
  bad("VOLUME: of nothing", "VOLUME", "VOLUME requires at least one argument"),
  bad("VOLUME: empty", 'VOLUME [""]', "VOLUME specified can not be an empty string"),
  {
    name: "VOLUME: a variable that is empty",
    dockerfile: scratch("VOLUME $NONE"),
    fails: "VOLUME specified can not be an empty string",
  },
  {
    name: "USER: name, number, group",
    dockerfile: scratch("USER web", "USER 5:6"),
    builder: "both",
    config: { User: "5:6" },
    history: ["(USER web)", "(USER 5:6)"],
  },
  bad("USER: of nothing", "USER", "USER requires exactly one argument"),
  {
    name: "USER: one that is not there",
    dockerfile: "FROM row-base\nUSER nobody-here\nRUN true\n",
    fails: /unable to find user nobody-here/,
  },
  {
    name: "STOPSIGNAL: a name",
    dockerfile: scratch("STOPSIGNAL SIGQUIT"),
    builder: "both",
    config: { StopSignal: "SIGQUIT" },
    history: ["(STOPSIGNAL SIGQUIT)"],
  },
  {
    name: "STOPSIGNAL: a number",
    dockerfile: scratch("STOPSIGNAL 9"),
    builder: "both",
    config: { StopSignal: "9" },
  },
  {
    name: "STOPSIGNAL: a name without SIG, in small letters",
    dockerfile: scratch("STOPSIGNAL rtmin+3"),
    builder: "both",
    config: { StopSignal: "rtmin+3" },
  },
  bad("STOPSIGNAL: none that there is", "STOPSIGNAL SIGNONE", "", { fails: "invalid signal: SIGNONE" }),
  bad("STOPSIGNAL: nought", "STOPSIGNAL 0", "", { fails: "invalid signal: 0" }),
  bad("STOPSIGNAL: of nothing", "STOPSIGNAL", "STOPSIGNAL requires exactly one argument"),
  {
    name: "HEALTHCHECK: every flag",
    dockerfile: scratch(
      "HEALTHCHECK --interval=5s --timeout=1m30s --start-period=1h --start-interval=250ms --retries=4 CMD curl -f http://x/ || exit 1",
    ),
    config: {
      Healthcheck: {
        Test: ["CMD-SHELL", "curl -f http://x/ || exit 1"],
        Interval: 5_000_000_000,
        Timeout: 90_000_000_000,
        StartPeriod: 3_600_000_000_000,
        StartInterval: 250_000_000,
        Retries: 4,
      },
    },
    history: [
      `(HEALTHCHECK &{["CMD-SHELL" "curl -f http://x/ || exit 1"] "5s" "1m30s" "1h0m0s" "250ms" '\\x04'})`,
    ],
  },
  {
    name: "HEALTHCHECK: exec form",
    dockerfile: scratch('HEALTHCHECK CMD ["probe", "-q"]'),
    builder: "both",
    config: { Healthcheck: { Test: ["CMD", "probe", "-q"] } },
  },
  {
    name: "HEALTHCHECK: NONE",
    dockerfile: scratch("HEALTHCHECK CMD x", "HEALTHCHECK none"),
    builder: "both",
    config: { Healthcheck: { Test: ["NONE"] } },
  },
  {
    name: "HEALTHCHECK: nought is the rule",
    dockerfile: scratch("HEALTHCHECK --interval=0s CMD x"),
    builder: "both",
    config: { Healthcheck: { Test: ["CMD-SHELL", "x"] } },
  },
  bad("HEALTHCHECK: of nothing", "HEALTHCHECK", "HEALTHCHECK requires at least one argument"),
  bad("HEALTHCHECK: NONE with more", "HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments"),
  bad("HEALTHCHECK: another kind", "HEALTHCHECK curl x", 'Unknown type "CURL" in HEALTHCHECK (try CMD)'),
  bad("HEALTHCHECK: CMD of nothing", "HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD"),
  bad(
    "HEALTHCHECK: too often",
    "HEALTHCHECK --interval=10us CMD x",
    'Interval "interval" cannot be less than 1ms',
  ),
  bad(
    "HEALTHCHECK: backwards",
    "HEALTHCHECK --timeout=-1s CMD x",
    'Interval "timeout" cannot be less than 1ms',
  ),
  bad(
    "HEALTHCHECK: a time that is none",
    "HEALTHCHECK --interval=soon CMD x",
    'time: invalid duration "soon"',
  ),
  bad(
    "HEALTHCHECK: retries that are none",
    "HEALTHCHECK --retries=-1 CMD x",
    "--retries cannot be negative (-1)",
  ),
  {
    name: "MAINTAINER",
    dockerfile: scratch("MAINTAINER Me <me@example.org>"),
    builder: "both",
    config: { author: "Me <me@example.org>" },
    history: ["(MAINTAINER Me <me@example.org>)"],
  },
  {
    name: "ONBUILD: kept as written",
    dockerfile: scratch("ONBUILD COPY  . /x", "onbuild run echo \\", "  $A", 'ONBUILD CMD ["a", "b"]'),
    builder: "both",
    config: { OnBuild: ["COPY  . /x", "run echo   $A", 'CMD ["a", "b"]'] },
    history: [],
  },
  {
    name: "ONBUILD: done in the order of its making, before the rest",
    dockerfile: `FROM scratch AS parent
ONBUILD ARG V=1
ONBUILD COPY a /a-$V
ONBUILD LABEL order=first
FROM parent
LABEL order=second
`,
    context: { a: "x" },
    builder: "both",
    config: { Labels: { order: "second" } },
    files: { "a-1": "-644 x" },
    history: ["(ARG V=1)", "COPY a /a-1 # buildkit", "(LABEL order=first)", "(LABEL order=second)"],
  },
  {
    name: "ONBUILD: a trigger with --from",
    dockerfile: `FROM scratch AS files
COPY a /a
FROM scratch AS parent
ONBUILD COPY --from=files /a /b
FROM parent
`,
    context: { a: "x" },
    files: { b: "-644 x" },
    newer: true,
  },
  {
    name: "ONBUILD: a heredoc",
    dockerfile: "FROM scratch AS parent\nONBUILD COPY <<EOF /x\nhello\nEOF\nFROM parent\n",
    files: { x: "-644 hello\n" },
    newer: true,
  },
  bad("ONBUILD: in itself", "ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
  bad("ONBUILD: FROM", "ONBUILD FROM x", "FROM isn't allowed as an ONBUILD trigger"),
  bad("ONBUILD: MAINTAINER", "ONBUILD MAINTAINER x", "MAINTAINER isn't allowed as an ONBUILD trigger"),
  bad("ONBUILD: of nothing", "ONBUILD", "ONBUILD requires at least one argument"),
];

export const settingRows: readonly Row[] = [...words, ...more];
