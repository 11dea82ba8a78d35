/** Dockerfiles that must be refused, and in which words. */
import { app, type ZooCase } from "./dockerfile-zoo.ts";

export const refused: readonly ZooCase[] = [
  {
    name: "COPY of a source that is not there",
    dockerfile: "FROM busybox\nCOPY pakage.json /\n",
    files: app,
    fails: '"/pakage.json": not found (did you mean package.json?)',
  },
  {
    name: "a mount of a source that is not there",
    dockerfile: "FROM busybox\nRUN --mount=type=bind,source=src/indx.js,target=/x true\n",
    files: app,
    fails: '"/src/indx.js": not found (did you mean index.js?)',
  },
  {
    name: "stages in a circle",
    dockerfile: "FROM busybox AS a\nCOPY --from=b /x /\nFROM busybox AS b\nCOPY --from=a /x /\n",
    fails: "circular dependency detected on stage",
  },
  {
    name: "a command that fails",
    dockerfile: "FROM busybox\nRUN exit 7\n",
    fails: 'process "/bin/sh -c exit 7" did not complete successfully: exit code: 7',
  },
  {
    name: "an unknown instruction",
    dockerfile: "FROM busybox\nRUNN x\n",
    fails: "unknown instruction: RUNN (did you mean RUN?)",
  },
  {
    name: "an unterminated heredoc",
    dockerfile: "FROM busybox\nRUN <<EOF\nx\n",
    fails: "unterminated heredoc",
  },
  {
    name: "a flag nobody knows",
    dockerfile: "FROM busybox\nCOPY --frm=x a /\n",
    fails: "(did you mean from?)",
  },
  { name: "a base without a name", dockerfile: "FROM $B\n", fails: "base name ($B) should not be blank" },
  {
    name: "a stage that is not there",
    dockerfile: "FROM busybox\nCOPY --from=5 / /\n",
    fails: "invalid stage index 5",
  },
  {
    name: "nothing before FROM",
    dockerfile: "RUN x\nFROM busybox\n",
    fails: "no build stage in current context",
  },
  {
    name: "a device",
    dockerfile: "FROM busybox\nRUN --device=vendor.com/gpu true\n",
    newer: true,
    fails: "--device=vendor.com/gpu cannot be given",
  },
  {
    name: "more rights than were given",
    dockerfile: "FROM busybox\nRUN --security=insecure true\n",
    newer: true,
    fails: "security.insecure is not allowed",
  },
  {
    name: "another frontend",
    dockerfile: "# syntax=example.com/frontend:1\nFROM busybox\n",
    newer: true,
    fails: "custom frontend",
  },
  {
    name: "words that do not fit together",
    dockerfile: "FROM busybox\nENV a\n",
    fails: "failed to solve: ENV must have two arguments",
  },
  {
    name: "a program that is not there",
    dockerfile: 'FROM busybox\nRUN ["/nosuch"]\n',
    fails: 'failed to solve: process "/nosuch" did not complete successfully: ',
  },
  {
    name: "a user who is not there",
    dockerfile: "FROM busybox\nUSER nosuch\nRUN id\n",
    fails:
      'process "/bin/sh -c id" did not complete successfully: unable to find user nosuch: no matching entries in passwd file',
  },
  {
    name: "a checksum that cannot be",
    dockerfile: "FROM busybox\nADD --checksum=sha256:00 http://127.0.0.1:1/x /\n",
    fails: "failed to solve: invalid checksum digest length",
  },
  {
    name: "a base that cannot be had",
    dockerfile: "FROM 127.0.0.1:1/none:9\n",
    fails: "failed to solve: 127.0.0.1:1/none:9: failed to resolve source metadata for 127.0.0.1:1/none:9: ",
  },
];
