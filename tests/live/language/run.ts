/** RUN: forms, heredocs, network, security, devices. Mounts have a file of their own. */
import type { Row } from "./row.ts";

const heredoc = (...lines: string[]) => `FROM row-base\n${lines.join("\n")}\n`;

export const runRows: readonly Row[] = [
  {
    name: "RUN: the shell's form and the other",
    dockerfile: 'FROM row-base\nRUN echo "a  $HOME" >/a\nRUN ["/bin/busybox", "touch", "/b $HOME"]\n',
    builder: "both",
    files: { a: "-644 a  /root\n", "b $HOME": "-644 " },
    history: ['RUN /bin/sh -c echo "a  $HOME" >/a # buildkit', "RUN /bin/busybox touch /b $HOME # buildkit"],
  },
  {
    name: "RUN: JSON that is none goes to the shell",
    dockerfile: "FROM row-base\nRUN [ 'a' = 'a' ] && echo yes >/y\n",
    builder: "both",
    files: { y: "-644 yes\n" },
  },
  {
    name: "RUN: over several lines, with comments between",
    dockerfile: "FROM row-base\nRUN echo a \\\n# no part of it\n  b \\\n    c >/x\n",
    builder: "both",
    files: { x: "-644 a b c\n" },
    history: ["RUN /bin/sh -c echo a   b     c >/x # buildkit"],
  },
  {
    name: "RUN: a command that fails",
    dockerfile: "FROM row-base\nRUN exit 7\n",
    fails: 'process "/bin/sh -c exit 7" did not complete successfully: exit code: 7',
  },
  {
    name: "RUN: a program that is not there",
    dockerfile: 'FROM row-base\nRUN ["/no/such"]\n',
    fails: /^process "\/no\/such" did not complete successfully: /,
  },
  {
    name: "RUN: user, directory, environment, host's name",
    dockerfile: `FROM row-base
ENV A=env
USER web
WORKDIR /tmp
RUN echo "$(id -u):$(id -g) $(pwd) $A $(hostname) $HOME" >/tmp/seen
`,
    config: {
      User: "web",
      WorkingDir: "/tmp",
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=env"],
    },
    files: { "tmp/seen": "-644 33:44 33:44 /tmp env buildkitsandbox /www\n" },
  },
  {
    name: "RUN: files of every kind",
    dockerfile: `FROM row-base
RUN cd /tmp && echo x >f && busybox ln f hard && busybox ln -s f soft && busybox mkfifo fifo && mkdir -p d/e \\
  && busybox chmod 4750 f && busybox chown 7:8 soft d -h && busybox chmod 1777 d
`,
    files: {
      "tmp/d/": "d1777 7:8",
      "tmp/d/e/": "d755",
      "tmp/f": "-4750 x\n",
      "tmp/fifo": "p644",
      "tmp/hard": "= tmp/f",
      "tmp/soft": "l 7:8 f",
    },
  },
  {
    name: "RUN: what is removed is gone, also a whole directory",
    dockerfile:
      "FROM row-base\nRUN rm /etc/group && rm -r /www && mkdir /www && echo x >/www/new\nRUN rm /www/new\n",
    files: { "etc/group": "gone", "www/": "d755" },
  },
  {
    name: "RUN: what the sandbox puts there is not in the image",
    dockerfile:
      "FROM row-base\nRUN test -e /etc/hosts && test -e /etc/resolv.conf && test -e /proc/self && test -e /sys/kernel\n",
    files: {},
  },
  {
    name: "RUN <<EOF: a script",
    dockerfile: heredoc("RUN <<EOF", "set -e", 'echo "$HOME" >/a', "  echo two >/b", "EOF"),
    files: { a: "-644 /root\n", b: "-644 two\n" },
    history: ['RUN /bin/sh -c set -e\necho "$HOME" >/a\n  echo two >/b\n # buildkit'],
  },
  {
    name: "RUN <<-EOF: tabs go",
    dockerfile: heredoc("RUN <<-EOF", "\techo one >/a", "\tEOF"),
    files: { a: "-644 one\n" },
    history: ["RUN /bin/sh -c echo one >/a\n # buildkit"],
  },
  {
    name: "RUN <<'EOF': the shell still has its say",
    dockerfile: heredoc("RUN <<'EOF'", "echo $HOME >/a", "EOF"),
    files: { a: "-644 /root\n" },
  },
  {
    name: 'RUN <<"E O": a delimiter with a blank',
    dockerfile: heredoc('RUN <<"E O"', "echo x >/a", "E O"),
    files: { a: "-644 x\n" },
  },
  {
    name: "RUN with a heredoc for a command",
    dockerfile: heredoc("RUN cat <<EOF >/a", "hello $HOME", "EOF"),
    files: { a: "-644 hello /root\n" },
    history: ["RUN /bin/sh -c cat <<EOF >/a\nhello $HOME\nEOF # buildkit"],
  },
  {
    name: "RUN with a quoted heredoc for a command",
    dockerfile: heredoc("RUN cat <<'EOF' >/a", "hello $HOME", "EOF"),
    files: { a: "-644 hello $HOME\n" },
  },
  {
    name: "RUN <<-EOF for a command: the shell takes the tabs",
    dockerfile: heredoc("RUN cat <<-EOF >/a", "\thello", "EOF"),
    files: { a: "-644 hello\n" },
  },
  {
    name: "RUN with two heredocs",
    dockerfile: heredoc("RUN <<A cat >/a && <<B cat >/b", "one", "A", "two", "B"),
    files: { a: "-644 one\n", b: "-644 two\n" },
    history: ["RUN /bin/sh -c <<A cat >/a && <<B cat >/b\none\nA\ntwo\nB # buildkit"],
  },
  {
    name: "RUN with a heredoc on another descriptor",
    dockerfile: heredoc("RUN cat 3<<EOF <&3 >/a", "three", "EOF"),
    files: { a: "-644 three\n" },
  },
  {
    name: "RUN <<EOF that names its interpreter",
    dockerfile: heredoc("RUN <<EOF", "#!/bin/busybox sh", 'echo "$0" >/a', "EOF"),
    files: { a: "-644 /dev/pipes/EOF\n" },
    history: ["RUN /bin/sh -c /dev/pipes/EOF # buildkit"],
  },
  {
    name: "RUN <<-EOF that names its interpreter",
    dockerfile: heredoc("RUN <<-SCRIPT", "\t#!/bin/cat", "\tx", "\tSCRIPT"),
    says: ["#!/bin/cat\nx\n"],
    newer: true,
  },
  {
    name: "RUN <<EOF for a shell of its own",
    dockerfile: heredoc('SHELL ["/bin/busybox", "sh", "-ec"]', "RUN <<EOF", "false || echo x >/a", "EOF"),
    config: { Shell: ["/bin/busybox", "sh", "-ec"] },
    files: { a: "-644 x\n" },
  },
  {
    name: "RUN <<EOF without an end",
    dockerfile: "FROM row-base\nRUN <<EOF\nx\n",
    fails: "unterminated heredoc",
  },
  {
    name: "RUN <<EOF: its body holds what looks like instructions",
    dockerfile: heredoc("RUN <<EOF cat >/a", "FROM x", "# y", "\\", "EOF"),
    files: { a: "-644 FROM x\n# y\n" },
  },
  {
    name: "RUN of exec form takes no heredoc",
    dockerfile: 'FROM row-base\nRUN ["/bin/busybox", "touch", "/<<EOF"]\n',
    files: { "<<EOF": "-644 " },
  },
  {
    name: "RUN --network=none",
    dockerfile: "FROM row-base\nRUN --network=none ls /sys/class/net >/n\n",
    files: { n: "-644 lo\n" },
  },
  {
    name: "RUN --network=default",
    dockerfile: "FROM row-base\nRUN --network=default ls /sys/class/net | grep -q eth0 && echo x >/n\n",
    files: { n: "-644 x\n" },
  },
  {
    name: "RUN --network=host, allowed",
    dockerfile: "FROM row-base\nRUN --network=host test -d /sys/class/net/lo && echo x >/n\n",
    entitlements: ["network.host"],
    files: { n: "-644 x\n" },
  },
  {
    name: "RUN --network of another kind",
    dockerfile: "FROM row-base\nRUN --network=bridge x\n",
    fails: 'dockerfile parse error on line 2: invalid network mode "bridge"',
  },
  {
    name: "RUN --security=sandbox",
    dockerfile: "FROM row-base\nRUN --security=sandbox echo x >/a\n",
    files: { a: "-644 x\n" },
    newer: true,
  },
  {
    name: "RUN --security=insecure, not allowed",
    dockerfile: "FROM row-base\nRUN --security=insecure x\n",
    fails: "security.insecure is not allowed",
    newer: true,
  },
  {
    name: "RUN --security of another kind",
    dockerfile: "FROM row-base\nRUN --security=none x\n",
    fails: 'dockerfile parse error on line 2: security "none" is not valid',
    newer: true,
  },
  {
    name: "RUN --device",
    dockerfile: "FROM row-base\nRUN --device=vendor.com/gpu x\n",
    fails: "--device=vendor.com/gpu cannot be given: this engine has no devices for builds",
    newer: true,
  },
  {
    name: "RUN: a flag nobody knows",
    dockerfile: "FROM row-base\nRUN --mnt=x y\n",
    fails: "dockerfile parse error on line 2: unknown flag: --mnt (did you mean mount?)",
    newer: true,
  },
  {
    name: "RUN: a flag twice",
    dockerfile: "FROM row-base\nRUN --network=none --network=none y\n",
    fails: "dockerfile parse error on line 2: duplicate flag specified: --network",
    newer: true,
  },
  {
    name: "RUN: a flag without its value",
    dockerfile: "FROM row-base\nRUN --network y\n",
    fails: "dockerfile parse error on line 2: missing a value on flag: --network",
    newer: true,
  },
  {
    name: "RUN of nothing",
    dockerfile: "FROM row-base\nRUN\n",
    history: ["RUN /bin/sh -c  # buildkit"],
  },
];
