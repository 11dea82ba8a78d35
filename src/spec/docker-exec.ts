/**
 * The bodies of `POST /containers/{id}/exec` and `POST /exec/{id}/start` as schemas.
 * Pure.
 */
import * as v from "valibot";
import { fields, flag, maybe, text, texts, words } from "./docker-json.ts";

/** Height, then width. */
const consoleSize = maybe(v.tuple([v.number(), v.number()]));

export const execCreateBody = fields({
  User: text,
  Privileged: flag,
  Tty: flag,
  ConsoleSize: consoleSize,
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  DetachKeys: text,
  Env: texts,
  WorkingDir: text,
  Cmd: words,
});

export const execStartBody = fields({ Detach: flag, Tty: flag, ConsoleSize: consoleSize });
