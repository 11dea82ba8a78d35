/** All rows, by what they are about. */
import { addRows, remoteRows } from "./add.ts";
import { argRows } from "./arg.ts";
import { commandRows } from "./commands.ts";
import { copyRows } from "./copy.ts";
import { copyFlagRows } from "./copy-flags.ts";
import { fromRows } from "./from.ts";
import { mountRows } from "./mounts.ts";
import type { Row } from "./row.ts";
import { runRows } from "./run.ts";
import { settingRows } from "./settings.ts";
import { syntaxRows } from "./syntax.ts";
import { variableRows } from "./variables.ts";

export const tables: Readonly<Record<string, readonly Row[]>> = {
  "the file itself": syntaxRows,
  FROM: fromRows,
  ARG: argRows,
  variables: variableRows,
  RUN: runRows,
  "RUN --mount": mountRows,
  ADD: addRows,
  "ADD from afar": remoteRows,
  COPY: copyRows,
  "COPY: flags": copyFlagRows,
  "commands and directories": commandRows,
  "what an image says": settingRows,
};
