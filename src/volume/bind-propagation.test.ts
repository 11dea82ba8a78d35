import { expect, test } from "bun:test";
import { parseMountInfo } from "#kernel/mounts/mount-info.ts";
import { Fault } from "#spec/fault.ts";
import { checkPropagation } from "./bind-propagation.ts";

const mounts = parseMountInfo(`20 1 8:1 / / rw - ext4 /dev/sda1 rw
21 20 0:30 / /shared rw shared:5 - tmpfs tmpfs rw
22 20 0:31 / /slave rw master:5 - tmpfs tmpfs rw
23 21 0:32 / /shared/private rw - tmpfs tmpfs rw
24 20 0:33 / /over rw - tmpfs tmpfs rw
25 24 0:34 / /over rw shared:6 - tmpfs tmpfs rw
`);

function refusal(path: string, propagation: string): string {
  try {
    checkPropagation(path, propagation, mounts);
    return "";
  } catch (thrown) {
    return Fault.from(thrown).message;
  }
}

test.each([
  ["/a", "rprivate", ""],
  ["/a", "", ""],
  ["/a", "rshared", "path /a is mounted on / but it is not a shared mount"],
  ["/shared", "shared", ""],
  ["/shared/a/b", "rslave", ""],
  ["/shared-not/a", "shared", "path /shared-not/a is mounted on / but it is not a shared mount"],
  ["/slave/a", "rshared", "path /slave/a is mounted on /slave but it is not a shared mount"],
  ["/slave/a", "rslave", ""],
  [
    "/shared/private",
    "slave",
    "path /shared/private is mounted on /shared/private but it is not a shared or slave mount",
  ],
  ["/over/a", "shared", ""],
])("%s as %p: %p", (path, propagation, said) => {
  expect(refusal(path, propagation)).toBe(said);
});
