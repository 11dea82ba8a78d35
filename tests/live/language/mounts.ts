/** RUN --mount, each type with each of its options. */
import type { Row } from "./row.ts";

const context = { f: "file", "d/g": "deep" };
const run = (...lines: string[]) => `FROM row-base\n${lines.map((line) => `RUN ${line}\n`).join("")}`;
const bad = (name: string, mount: string, message: string | RegExp, more: Partial<Row> = {}): Row => ({
  name: `RUN --mount: ${name}`,
  dockerfile: run(`--mount=${mount} true`),
  context,
  fails: message,
  ...more,
});

const bind: readonly Row[] = [
  {
    name: "RUN --mount=type=bind: the context, not written to",
    dockerfile: run("--mount=type=bind,target=/c cat /c/f /c/d/g >/a && ! touch /c/x 2>/dev/null"),
    context,
    files: { a: "-644 filedeep" },
    history: ["RUN /bin/sh -c cat /c/f /c/d/g >/a && ! touch /c/x 2>/dev/null # buildkit"],
  },
  {
    name: "RUN --mount without a type is a bind",
    dockerfile: run("--mount=target=/c cat /c/f >/a"),
    context,
    files: { a: "-644 file" },
  },
  {
    name: "RUN --mount=type=bind,source: a directory and a file, each by other names of the keys",
    dockerfile: run("--mount=type=bind,source=d,dst=/c --mount=src=/f,destination=/one cat /c/g /one >/a"),
    context,
    files: { a: "-644 deepfile" },
  },
  {
    name: "RUN --mount=type=bind: a relative target is below the directory",
    dockerfile: "FROM row-base\nWORKDIR /tmp\nRUN --mount=target=c cat /tmp/c/f >/tmp/a\n",
    context,
    config: { WorkingDir: "/tmp" },
    files: { "tmp/a": "-644 file" },
  },
  {
    name: "RUN --mount=type=bind,from: a stage, an image",
    dockerfile: `FROM row-base AS one
RUN echo stage >/s
FROM row-base
RUN --mount=from=one,source=/s,target=/x/s --mount=from=row-base,source=/etc,target=/e \\
  cat /x/s >/a && test -f /e/passwd
`,
    files: { a: "-644 stage\n" },
  },
  {
    name: "RUN --mount=type=bind,from: a named context",
    dockerfile: run("--mount=from=other,target=/o cat /o/in >/a"),
    directories: { other: { in: "side" } },
    options: { "context:other": "local:other" },
    files: { a: "-644 side" },
  },
  {
    name: "RUN --mount=type=bind,rw: what is written is lost",
    dockerfile: `FROM row-base AS one
RUN echo stage >/s
FROM row-base
RUN --mount=from=one,target=/o,rw echo lost >/o/s && cat /o/s >/a
RUN --mount=from=one,target=/o,readwrite=true echo lost >/o/t && cat /o/s >/b
`,
    files: { a: "-644 lost\n", b: "-644 stage\n" },
  },
  {
    name: "RUN --mount=type=bind,readonly=false",
    dockerfile: run("--mount=target=/c,ro=false echo x >/c/new && cat /c/new >/a"),
    context,
    files: { a: "-644 x\n" },
  },
  {
    name: "RUN --mount: variables in its values",
    dockerfile: "FROM row-base\nARG D=d\nRUN --mount=source=$D,target=/c-$D cat /c-d/g >/a\n",
    context,
    files: { a: "-644 deep" },
  },
  {
    name: "RUN --mount: a value in quotes",
    dockerfile: run('--mount=type=bind,\\"target=/c,x\\" cat "/c,x/f" >/a'),
    context,
    files: { a: "-644 file" },
  },
  {
    name: "RUN --mount=type=bind: a source that is not there",
    dockerfile: run("--mount=source=nowhere,target=/c true"),
    context,
    fails: /"\/nowhere": not found$/,
  },
];

const cache: readonly Row[] = [
  {
    name: "RUN --mount=type=cache: kept between steps, not in the image",
    dockerfile: run(
      "--mount=type=cache,target=/cache-one echo one >>/cache-one/log",
      "--mount=type=cache,target=/cache-one cat /cache-one/log >/a && test $(wc -l </cache-one/log) = 1",
      "test ! -e /cache-one/log",
    ),
    options: { "build-arg:BUILDKIT_CACHE_MOUNT_NS": "kept" },
    files: { a: "-644 one\n" },
  },
  {
    name: "RUN --mount=type=cache,id: one under two paths",
    dockerfile: run(
      "--mount=type=cache,id=shelf,target=/x echo in >/x/f",
      "--mount=type=cache,id=shelf,target=/y cat /y/f >/a",
      "--mount=type=cache,target=/x test ! -e /x/f",
    ),
    options: { "build-arg:BUILDKIT_CACHE_MOUNT_NS": "id" },
    files: { a: "-644 in\n" },
  },
  {
    name: "RUN --mount=type=cache,mode,uid,gid",
    dockerfile: run("--mount=type=cache,target=/x,mode=0710,uid=5,gid=6 busybox stat -c %a:%u:%g /x >/a"),
    options: { "build-arg:BUILDKIT_CACHE_MOUNT_NS": "mode" },
    files: { a: "-644 710:5:6\n" },
  },
  {
    name: "RUN --mount=type=cache: mode and owner as a rule",
    dockerfile: run("--mount=type=cache,target=/x busybox stat -c %a:%u:%g /x >/a"),
    options: { "build-arg:BUILDKIT_CACHE_MOUNT_NS": "rule" },
    files: { a: "-644 755:0:0\n" },
  },
  {
    name: "RUN --mount=type=cache,ro",
    dockerfile: run("--mount=type=cache,target=/x,ro ! touch /x/f 2>/dev/null && echo no >/a"),
    options: { "build-arg:BUILDKIT_CACHE_MOUNT_NS": "ro" },
    files: { a: "-644 no\n" },
  },
  {
    name: "RUN --mount=type=cache,from,source: begins with a stage's files",
    dockerfile: `FROM row-base AS seed
RUN mkdir -p /s/t && echo seed >/s/t/f
FROM row-base
RUN --mount=type=cache,from=seed,source=/s/t,target=/x cat /x/f >/a && echo more >>/x/f
RUN --mount=type=cache,from=seed,source=/s/t,target=/x cat /x/f >/b
`,
    options: { "build-arg:BUILDKIT_CACHE_MOUNT_NS": "seed" },
    files: { a: "-644 seed\n", b: "-644 seed\nmore\n" },
  },
  {
    name: "RUN --mount=type=cache,sharing: each word of it",
    dockerfile: run(
      "--mount=type=cache,target=/x,sharing=shared echo s >/x/f",
      "--mount=type=cache,target=/x,sharing=private cat /x/f >/a",
      "--mount=type=cache,target=/x,sharing=locked cat /x/f >>/a",
    ),
    options: { "build-arg:BUILDKIT_CACHE_MOUNT_NS": "sharing" },
    files: { a: "-644 s\ns\n" },
  },
];

const tmpfs: readonly Row[] = [
  {
    name: "RUN --mount=type=tmpfs",
    dockerfile: run("--mount=type=tmpfs,target=/t echo x >/t/f && grep -c ' /t tmpfs ' /proc/mounts >/a"),
    files: { a: "-644 1\n" },
  },
  {
    name: "RUN --mount=type=tmpfs,size",
    dockerfile: run(
      "--mount=type=tmpfs,target=/t,size=64k ! dd if=/dev/zero of=/t/f bs=1k count=128 2>/dev/null && wc -c </t/f >/a",
    ),
    files: { a: "-644 65536\n" },
  },
];

const secret: readonly Row[] = [
  {
    name: "RUN --mount=type=secret: where it is, how it is",
    dockerfile: run(
      "--mount=type=secret,id=s cat /run/secrets/s >/a && busybox stat -c :%a:%u:%g /run/secrets/s >>/a",
    ),
    secrets: { s: "hidden" },
    files: { a: "-644 hidden:400:0:0\n" },
  },
  {
    name: "RUN --mount=type=secret,target,mode,uid,gid",
    dockerfile: run(
      "--mount=type=secret,id=s,target=/tmp/x,mode=0440,uid=5,gid=6 busybox stat -c %a:%u:%g /tmp/x >/a",
    ),
    secrets: { s: "hidden" },
    files: { a: "-644 440:5:6\n" },
  },
  {
    name: "RUN --mount=type=secret: a source and a target alone are its id",
    dockerfile: run(
      "--mount=type=secret,source=s,target=/tmp/y cat /tmp/y >/a",
      "--mount=type=secret,target=/tmp/s cat /tmp/s >>/a",
    ),
    secrets: { s: "hidden" },
    files: { a: "-644 hiddenhidden" },
  },
  {
    name: "RUN --mount=type=secret,env",
    dockerfile: run('--mount=type=secret,id=s,env=TOKEN echo "$TOKEN" >/a && test ! -e /run/secrets/s'),
    secrets: { s: "hidden" },
    files: { a: "-644 hidden\n" },
    history: ['RUN /bin/sh -c echo "$TOKEN" >/a && test ! -e /run/secrets/s # buildkit'],
    newer: true,
  },
  {
    name: "RUN --mount=type=secret,env,target: both",
    dockerfile: run('--mount=type=secret,id=s,env=TOKEN,target=/tmp/t echo "$TOKEN" >/a && cat /tmp/t >>/a'),
    secrets: { s: "hidden" },
    files: { a: "-644 hidden\nhidden" },
    newer: true,
  },
  {
    name: "RUN --mount=type=secret: not given",
    dockerfile: run("--mount=type=secret,id=none test ! -e /run/secrets/none"),
    files: {},
  },
  {
    name: "RUN --mount=type=secret,required: not given",
    dockerfile: run("--mount=type=secret,id=none,required true"),
    fails: "secret none: not found",
  },
];

const ssh: readonly Row[] = [
  {
    name: "RUN --mount=type=ssh",
    dockerfile: run(
      '--mount=type=ssh test -S "$SSH_AUTH_SOCK" && echo "$SSH_AUTH_SOCK" >/a && busybox stat -c %a:%u:%g "$SSH_AUTH_SOCK" >>/a',
    ),
    agents: ["default"],
    files: { a: "-644 /run/buildkit/ssh_agent.0\n600:0:0\n" },
  },
  {
    name: "RUN --mount=type=ssh,id,target,mode,uid,gid",
    dockerfile: run(
      '--mount=type=ssh,id=k,target=/tmp/agent,mode=0660,uid=5,gid=6 echo "$SSH_AUTH_SOCK" >/a && busybox stat -c %a:%u:%g /tmp/agent >>/a',
    ),
    agents: ["k"],
    files: { a: "-644 /tmp/agent\n660:5:6\n" },
  },
  {
    name: "RUN --mount=type=ssh: not given; its place is said all the same",
    dockerfile: run('--mount=type=ssh test ! -e "$SSH_AUTH_SOCK" && echo "$SSH_AUTH_SOCK" >/a'),
    files: { a: "-644 /run/buildkit/ssh_agent.0\n" },
  },
  {
    name: "RUN --mount=type=ssh,required: not given",
    dockerfile: run("--mount=type=ssh,required true"),
    fails: 'no SSH key "default" forwarded from the client',
    differs: "Docker passes the client's words on",
  },
];

const refused: readonly Row[] = [
  bad("a type nobody knows", "type=bnd,target=/x", 'unsupported mount type "bnd" (did you mean bind?)'),
  bad(
    "a key nobody knows",
    "type=bind,targt=/x",
    "unexpected key 'targt' in 'targt=/x' (did you mean target?)",
  ),
  bad("a key without its value", "type=bind,target", "invalid field 'target' must be a key=value pair"),
  bad(
    "a variable in from",
    "from=$X,target=/x",
    "dockerfile parse error on line 2: 'from' doesn't support variable expansion, define alias stage instead",
  ),
  bad(
    "required of a bind",
    "type=bind,target=/x,required=true",
    "unexpected key 'required' for mount type 'bind'",
  ),
  bad("size of a bind", "type=bind,target=/x,size=1m", "unexpected key 'size' for mount type 'bind'"),
  bad("size of a cache", "type=cache,target=/x,size=1m", "unexpected key 'size' for mount type 'cache'"),
  bad("mode of a bind", "type=bind,target=/x,mode=0700", 'mode not allowed for "bind" type mounts'),
  bad("uid of a tmpfs", "type=tmpfs,target=/x,uid=1", 'uid not allowed for "tmpfs" type mounts'),
  bad("gid of a bind", "type=bind,target=/x,gid=1", 'gid not allowed for "bind" type mounts'),
  bad("a mode that is none", "type=cache,target=/x,mode=rw", "invalid value rw for mode"),
  bad("a uid that is none", "type=cache,target=/x,uid=web", "invalid value web for uid"),
  bad("a gid that is none", "type=cache,target=/x,gid=-1", "invalid value -1 for gid"),
  bad("a size that is none", "type=tmpfs,target=/x,size=big", "invalid value for size: big"),
  bad("readonly that is neither", "target=/x,ro=maybe", "invalid value for ro: maybe"),
  bad("sharing of a bind", "target=/x,sharing=shared", "invalid cache sharing set for bind mount"),
  bad(
    "sharing nobody knows",
    "type=cache,target=/x,sharing=shard",
    'unsupported sharing value "shard" (did you mean shared?)',
  ),
  bad("from of a secret", "type=secret,id=s,from=row-base", "secret mount should not have a from"),
  bad("sharing of a secret", "type=secret,id=s,sharing=shared", "secret mount should not define sharing"),
  bad("a secret without a name", "type=secret", "invalid secret mount. one of source, target required"),
  bad("a secret with source and id", "type=secret,source=a,id=b", "both source and id can't be set"),
  bad("ssh with a source", "type=ssh,source=/x", "ssh does not support source"),
  bad("a target that is all", "target=/", 'invalid mount target "/"'),
  bad("no target", "type=bind", /^invalid mount target "/),
];

export const mountRows: readonly Row[] = [...bind, ...cache, ...tmpfs, ...secret, ...ssh, ...refused];
