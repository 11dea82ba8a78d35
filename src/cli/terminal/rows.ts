/** Pure. Lists as tables, templates or JSON, one row for each thing. */

import { compileTemplate, rowWords } from "#spec/template.ts";
import { escapeHtml, strict } from "#spec/template-functions.ts";
import { formatTable } from "./table.ts";

export interface Column<Row> {
  readonly header: string;
  readonly field: keyof Row & string;
}

/**
 * `format` is what `--format` says: a template, `json`, `table` with or without a template; absent for the default table
 * of `columns`. Headers of a template's columns are those of the fields it names.
 */
export function formatRows<Row extends object>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  o: { readonly format: string | undefined; readonly headers: object },
): string {
  const format = o.format ?? "table";
  if (format === "table")
    return formatTable([
      columns.map(({ header }) => header),
      ...rows.map((row) => columns.map(({ field }) => String(row[field]))),
    ]);
  if (format === "json") return rows.map((row) => `${escapeHtml(JSON.stringify(strict(row)))}\n`).join("");
  const isTable = format.startsWith("table ");
  const template = compileTemplate(isTable ? format.slice("table ".length) : format, rowWords);
  const lines = rows.map((row) => template(strict(row)));
  if (!isTable) return lines.map((line) => `${line}\n`).join("");
  const head = template(strict({ ...o.headers }));
  return formatTable([head, ...lines].map((line) => line.split("\t")));
}
