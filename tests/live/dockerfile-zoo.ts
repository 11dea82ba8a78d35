/**
 * Dockerfiles as people write them, each with what must come of it. Bases are busybox alone. What is asserted of files stands
 * in the Dockerfile itself, as RUN; of the configuration, here. `dockerfile-peer.test.ts` compares them with what another engine
 * makes of them.
 */

export interface ZooCase {
  readonly name: string;
  readonly dockerfile: string;
  readonly files?: Readonly<Record<string, string>>;
  /** Of `docker build`. */
  readonly flags?: readonly string[];
  /** Of the image's configuration, where it must be told. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Needs a Dockerfile syntax that Docker 26 does not have. */
  readonly newer?: boolean;
  /** What the build must fail with. */
  readonly fails?: string;
}

export const app = {
  "package.json": '{"name":"app"}',
  "src/index.js": "console.log(1)",
  "src/lib/a.js": "a",
};

const stages: readonly ZooCase[] = [
  {
    name: "a web application in two stages",
    dockerfile: `FROM busybox AS build
WORKDIR /app
COPY package.json ./
RUN mkdir node_modules && echo dep >node_modules/dep
COPY . .
RUN mkdir dist && cat src/index.js >dist/bundle.js
FROM busybox
WORKDIR /srv
COPY --from=build /app/dist ./
COPY --from=build --chown=1000:1000 /app/package.json ./
RUN test -f bundle.js && test ! -e /app && test "$(busybox stat -c %u package.json)" = 1000
EXPOSE 8080
USER 1000
CMD ["httpd", "-f", "-p", "8080"]
`,
    files: app,
    config: {
      ExposedPorts: { "8080/tcp": {} },
      User: "1000",
      WorkingDir: "/srv",
      Cmd: ["httpd", "-f", "-p", "8080"],
    },
  },
  {
    name: "a compiled program on nothing",
    dockerfile: `FROM busybox AS compile
COPY main.c /src/main.c
RUN mkdir /out && busybox cp /bin/busybox /out/program
FROM scratch
COPY --from=compile /out/program /program
ENTRYPOINT ["/program"]
`,
    files: { "main.c": "int main(){}" },
    config: { Entrypoint: ["/program"], WorkingDir: "/" },
  },
  {
    name: "ONBUILD",
    dockerfile: `FROM busybox AS parent
ONBUILD ARG MODE=prod
ONBUILD COPY package.json /app/
ONBUILD RUN echo $MODE >/app/mode
FROM parent
RUN test "$(cat /app/mode)" = prod && test -f /app/package.json
`,
    files: app,
  },
  {
    name: "COPY from an image and a stage by number",
    dockerfile: `FROM busybox
RUN echo zero >/zero
FROM busybox
COPY --from=0 /zero /a
COPY --from=busybox:latest /bin/busybox /b
RUN test "$(cat /a)" = zero && test -x /b
`,
  },
  {
    name: "a stage nobody needs does not run",
    dockerfile: "FROM busybox AS broken\nRUN false\nFROM busybox\nRUN true\n",
  },
  {
    name: "a target in the middle",
    dockerfile: "FROM busybox AS dev\nENV MODE=dev\nFROM busybox\nRUN false\n",
    flags: ["--target", "dev"],
  },
  {
    name: "links, modes and empty directories survive",
    dockerfile: `FROM busybox AS src
RUN mkdir -p /s/empty && echo x >/s/f && busybox ln -s f /s/l && busybox ln /s/f /s/h && busybox chmod 4711 /s/f
FROM busybox
COPY --from=src /s /d
RUN test -d /d/empty && test -L /d/l && test "$(busybox stat -c %a:%h /d/f)" = 4711:2
`,
  },
  {
    name: "ENTRYPOINT forgets the base's CMD",
    dockerfile: 'FROM busybox AS base\nCMD ["old"]\nFROM base\nENTRYPOINT ["new"]\n',
    config: { Entrypoint: ["new"] },
  },
  {
    name: "HEALTHCHECK NONE over a parent's",
    dockerfile: "FROM busybox AS a\nHEALTHCHECK CMD true\nFROM a\nHEALTHCHECK NONE\n",
    config: { Healthcheck: { Test: ["NONE"] } },
  },
];

const scripts: readonly ZooCase[] = [
  {
    name: "a cron image",
    dockerfile: `FROM busybox
RUN mkdir -p /var/spool/cron/crontabs
COPY --chmod=0600 crontab /var/spool/cron/crontabs/root
RUN test "$(busybox stat -c %a /var/spool/cron/crontabs/root)" = 600
CMD ["crond", "-f"]
`,
    files: { crontab: "* * * * * date\n" },
  },
  {
    name: "scripts in heredocs",
    dockerfile: `FROM busybox
ARG WHO=world
COPY <<EOF /greeting
hello $WHO
EOF
COPY <<'EOF' <<-TABS /raw/
hello $WHO
EOF
	tabs go
	TABS
RUN <<EOF
set -e
test "$(cat /greeting)" = "hello world"
test "$(cat /raw/EOF)" = 'hello $WHO'
test "$(cat /raw/TABS)" = "tabs go"
EOF
RUN <<EOF cat >/joined
one
EOF
RUN <<ONE cat >/first && cat <<TWO >/second
1
ONE
2
TWO
RUN test "$(cat /first /second)" = "$(printf '1\\n2')"
`,
  },
  {
    name: "a heredoc that names its interpreter",
    dockerfile: `FROM busybox
RUN <<EOF
#!/bin/busybox sh
test "$0" = /dev/pipes/EOF && echo ran >/ran
EOF
RUN test "$(cat /ran)" = ran
`,
  },
  {
    name: "SHELL and both forms of commands",
    dockerfile: `FROM busybox
SHELL ["/bin/sh", "-ec"]
RUN false || echo here >/x
RUN ["busybox", "cp", "/x", "/y z"]
RUN test -f "/y z"
ENTRYPOINT echo entry
CMD ["a", "b"]
`,
    config: { Entrypoint: ["/bin/sh", "-ec", "echo entry"], Cmd: ["a", "b"], Shell: ["/bin/sh", "-ec"] },
  },
  {
    name: "a file becomes a directory and goes",
    dockerfile: `FROM busybox
RUN echo x >/thing
RUN rm /thing && mkdir /thing && touch /thing/in
RUN rm -r /thing
RUN test ! -e /thing
`,
  },
  {
    name: "no network",
    dockerfile: 'FROM busybox\nRUN --network=none test "$(ls /sys/class/net)" = lo\n',
  },
  {
    name: "what a command sees",
    dockerfile: `FROM busybox
USER 1000:1001
WORKDIR /work
RUN test "$(id -u):$(id -g)" = 1000:1001 && test "$(pwd)" = /work && test "$(hostname)" = buildkitsandbox
`,
  },
  {
    name: "the escape directive",
    dockerfile: `# escape=\`
FROM busybox
RUN echo one \`
  two >/x
RUN test "$(cat /x)" = "one two"
ENV P=c:\\windows
RUN test "$P" = 'c:\\windows'
`,
  },
  {
    name: "comments and blank lines in continuations",
    dockerfile: `# syntax=docker/dockerfile:1
# what it is

FROM busybox
RUN echo a \\
  # a comment
  b \\

  c >/x
RUN test "$(cat /x)" = "a b c"
`,
    newer: true,
  },
];

const mounts: readonly ZooCase[] = [
  {
    name: "a cache mount",
    dockerfile: `FROM busybox
RUN --mount=type=cache,target=/root/.cache echo one >>/root/.cache/log
RUN --mount=type=cache,target=/root/.cache test "$(head -n 1 /root/.cache/log)" = one
RUN test ! -e /root/.cache
RUN --mount=type=cache,id=other,target=/c,uid=5,gid=6,mode=0700 test "$(busybox stat -c %u:%g:%a /c)" = 5:6:700
`,
    newer: true,
  },
  {
    name: "bind mounts",
    dockerfile: `FROM busybox AS tools
RUN mkdir /t && echo tool >/t/tool
FROM busybox
RUN --mount=type=bind,target=/ctx --mount=type=bind,from=tools,source=/t,target=/t \\
    test "$(cat /ctx/package.json /t/tool)" = '{"name":"app"}tool' && ! touch /ctx/x 2>/dev/null
RUN --mount=type=bind,from=tools,source=/t,target=/t,rw echo lost >/t/tool
RUN --mount=from=tools,source=/t/tool,target=/one/tool test "$(cat /one/tool)" = tool
RUN test ! -e /t && test ! -e /ctx && test ! -e /one
`,
    files: app,
  },
  {
    name: "a tmpfs mount",
    dockerfile: `FROM busybox
RUN --mount=type=tmpfs,target=/fast,size=1m echo x >/fast/x && grep -q ' /fast tmpfs' /proc/mounts
RUN test ! -e /fast/x
`,
  },
  {
    name: "a secret that is not given",
    dockerfile: "FROM busybox\nRUN --mount=type=secret,id=token,required=true true\n",
    fails: "secret token: not found",
  },
];

/** `${…}` as Dockerfiles have it. */
const v = (inner: string) => `\${${inner}}`;

const variables: readonly ZooCase[] = [
  {
    name: "arguments, global and of a stage",
    dockerfile: `ARG TAG=latest
ARG UNUSED=x
FROM busybox:$TAG AS one
ARG TAG
ARG PLAIN
ARG DEF=${v("PLAIN:-none")}
RUN test "$TAG/$PLAIN/$DEF/$UNUSED" = "latest/given/given/"
ENV DEF=env
RUN test "$DEF" = env
FROM one
RUN test "$PLAIN" = given
`,
    flags: ["--build-arg", "PLAIN=given"],
  },
  {
    name: "every substitution",
    dockerfile: `FROM busybox
ARG A=foo/bar/baz.tar.gz
ARG E=
ENV V1=${v("A")} V2=${v("U:-dash")} V3=${v("E-set")} V4=${v("A:+plus")} V5=${v("E:+plus")}
ENV P1=${v("A#*/")} P2=${v("A##*/")} P3=${v("A%/*")} P4=${v("A%%/*")} P5=${v("A/bar/qux")} P6=${v("A//a/4")}
ENV Q1='$A' Q2="\\$A" Q3=\\$A Q4="$A"
RUN test "$V1|$V2|$V3|$V4|$V5" = "foo/bar/baz.tar.gz|dash||plus|"
RUN test "$P1|$P2|$P3|$P4" = "bar/baz.tar.gz|baz.tar.gz|foo/bar|foo"
RUN test "$P5|$P6" = "foo/qux/baz.tar.gz|foo/b4r/b4z.t4r.gz"
RUN test "$Q1|$Q2|$Q3|$Q4" = '$A|$A|$A|foo/bar/baz.tar.gz'
`,
  },
  {
    name: "an argument that must be given",
    dockerfile: `FROM busybox\nARG A\nENV B="${v("A:?say which")}"\n`,
    fails: "A: say which",
  },
  {
    name: "one instruction sees the environment before it",
    dockerfile: `FROM busybox
ENV abc=hello
ENV abc=bye def=$abc
ENV ghi=$abc
RUN test "$def/$ghi" = hello/bye
`,
  },
  {
    name: "platform arguments",
    dockerfile: `FROM --platform=$BUILDPLATFORM busybox
ARG TARGETOS TARGETARCH BUILDPLATFORM TARGETPLATFORM TARGETVARIANT
RUN test "$TARGETOS/$TARGETARCH" = "$TARGETPLATFORM" && test -n "$BUILDPLATFORM"
`,
  },
  {
    name: "proxies leave no trace",
    dockerfile: 'FROM busybox\nRUN test "$HTTP_PROXY" = http://proxy.invalid\n',
    flags: ["--build-arg", "HTTP_PROXY=http://proxy.invalid"],
  },
];

const metadata: readonly ZooCase[] = [
  {
    name: "metadata of every kind",
    dockerfile: `FROM busybox
LABEL org.example.a="b c" plain=x
LABEL multi="line \\
joined"
ENV A=1 B="two words" C=it\\ is
EXPOSE 80 443/tcp 53/udp 7000-7002
VOLUME /data ["/json"]
VOLUME ["/a b"]
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=5s --timeout=3s --start-period=1m --start-interval=1s --retries=4 CMD echo ok
USER nobody:nobody
WORKDIR /home
WORKDIR deep/er
`,
    config: {
      Labels: { "org.example.a": "b c", plain: "x", multi: "line joined" },
      StopSignal: "SIGQUIT",
      User: "nobody:nobody",
      WorkingDir: "/home/deep/er",
    },
  },
  {
    name: "labels of the request, the last word",
    dockerfile: "FROM busybox\nLABEL a=file b=file\n",
    flags: ["--label", "a=request", "--label", "c=request"],
    config: { Labels: { a: "request", b: "file", c: "request" } },
  },
];

const copies: readonly ZooCase[] = [
  {
    name: "where COPY puts things",
    dockerfile: `FROM busybox
WORKDIR /w
COPY package.json renamed
COPY package.json dir/
COPY src /tree
COPY src/ /tree2/
COPY src/*.js /flat/
COPY src/index.js src/lib /two/
RUN test -f /w/renamed && test -f /w/dir/package.json
RUN test -f /tree/index.js && test -f /tree/lib/a.js && test -f /tree2/lib/a.js
RUN test -f /flat/index.js && test ! -e /flat/lib
RUN test -f /two/index.js && test -f /two/a.js
`,
    files: app,
  },
  {
    name: "COPY into what is there",
    dockerfile: `FROM busybox
RUN mkdir -p /d/sub && echo old >/d/index.js && busybox ln -s /d /link
COPY src/index.js /link/
COPY package.json /d
RUN test "$(cat /d/index.js)" = "console.log(1)" && test -f /d/package.json && test -L /link
`,
    files: app,
  },
  {
    name: "COPY with several sources and no slash: one over the other",
    dockerfile: "FROM busybox\nCOPY package.json src/index.js /many\nRUN grep -q console /many\n",
    files: app,
  },
  {
    name: "COPY with owners by name and number",
    dockerfile: `FROM busybox
RUN mkdir -p /etc && echo 'web:x:33:34::/:/bin/sh' >>/etc/passwd && echo 'staff:x:50:' >>/etc/group
COPY --chown=web:staff src /named
COPY --chown=7 package.json /number
COPY --chown=8:9 package.json /made/for/it/
RUN test "$(busybox stat -c %u:%g /named/lib/a.js)" = 33:50
RUN test "$(busybox stat -c %u:%g /number)" = 7:7
`,
    files: app,
  },
  {
    name: "COPY --link",
    dockerfile: `FROM busybox
COPY --link --chmod=755 package.json /linked/
COPY --link src /linked/src
RUN test "$(busybox stat -c %a /linked/package.json)" = 755 && test -f /linked/src/lib/a.js
`,
    files: app,
  },
  {
    name: ".dockerignore",
    dockerfile: `FROM busybox
COPY . /x/
RUN test -f /x/keep.log && test ! -e /x/drop.log && test ! -e /x/src/lib && test -f /x/src/index.js
`,
    files: {
      ...app,
      "keep.log": "",
      "drop.log": "",
      ".dockerignore": "# comment\n*.log\n!keep.log\nsrc/lib\n",
    },
  },
  {
    name: "COPY --parents",
    dockerfile: `FROM busybox
COPY --parents src/lib/a.js /p/
COPY --parents src/./lib/*.js /q/
RUN test -f /p/src/lib/a.js && test -f /q/lib/a.js && test ! -e /q/src
`,
    files: app,
    newer: true,
  },
  {
    name: "COPY --exclude",
    dockerfile: `FROM busybox
COPY --exclude=lib --exclude=*.json . /x/
RUN test -f /x/src/index.js && test ! -e /x/package.json && test -d /x/src/lib
COPY --exclude=**/lib . /y/
RUN test ! -e /y/src/lib
`,
    files: app,
    newer: true,
  },
  {
    name: "COPY --chmod in symbols",
    dockerfile: `FROM busybox
COPY --chmod=u=rwX,go=rX src /s
RUN test "$(busybox stat -c %a /s/lib)" = 755 && test "$(busybox stat -c %a /s/lib/a.js)" = 644
`,
    files: app,
    newer: true,
  },
];

export const zoo: readonly ZooCase[] = [
  ...stages,
  ...scripts,
  ...mounts,
  ...variables,
  ...metadata,
  ...copies,
];
