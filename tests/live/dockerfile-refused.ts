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
];
