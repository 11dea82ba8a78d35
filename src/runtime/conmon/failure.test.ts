import { expect, test } from "bun:test";
import { startFailure } from "./failure.ts";

const create =
  "failed to create task for container: failed to create shim task: OCI runtime create failed: unable to start container process: ";

const cases: [string, string, string, number, string][] = [
  [
    "crun",
    "executable file `x` not found in $PATH: No such file or directory",
    "x",
    127,
    'exec: "x": executable file not found in $PATH',
  ],
  [
    "runc",
    'time="2026-01-01T00:00:00Z" level=error msg="runc create failed: unable to start container process: exec: \\"x\\": executable file not found in $PATH"',
    "x",
    127,
    'exec: "x": executable file not found in $PATH',
  ],
  [
    "runc",
    'time="2026-01-01T00:00:00Z" level=error msg="runc create failed: unable to start container process: exec: \\"/etc\\": is a directory"',
    "/etc",
    126,
    'exec: "/etc": is a directory',
  ],
  ["crun", "open executable: Permission denied", "/bin/notes", 126, 'exec: "/bin/notes": permission denied'],
  [
    "crun",
    "cannot stat `/gone`: No such file or directory",
    "sh",
    128,
    "cannot stat `/gone`: No such file or directory",
  ],
  ["nobody", "", "sh", 128, "the runtime gave no reason"],
];
for (const [runtime, said, command, exitCode, reason] of cases)
  test(`${exitCode} for ${reason}, by ${runtime}`, () => {
    const fault = startFailure("container", said, command);
    expect(fault.message).toBe(`${create}${reason}: unknown`);
    expect(fault.detail["exitCode"]).toBe(exitCode);
  });
