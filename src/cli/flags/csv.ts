/** Pure. One line of comma-separated fields, with quotes, as docker's long flags are written (RFC 4180). */
import { Fault } from "#spec/fault.ts";

/** @throws Fault `invalid` for quotes that do not pair or stand amid a field. */
export function csvFields(line: string): string[] {
  const fields: string[] = [];
  for (let at = 0; ; ) {
    if (line[at] !== '"') {
      const comma = line.indexOf(",", at);
      const field = comma < 0 ? line.slice(at) : line.slice(at, comma);
      if (field.includes('"'))
        throw new Fault(
          "invalid",
          `parse error on line 1, column ${line.indexOf('"', at) + 1}: bare " in non-quoted-field`,
        );
      fields.push(field);
      if (comma < 0) return fields;
      at = comma + 1;
      continue;
    }
    const { field, end } = quotedField(line, at);
    fields.push(field);
    if (end === line.length) return fields;
    at = end + 1;
  }
}

/** `at` is its opening quote; `end` the comma behind it, or the line's length. */
function quotedField(line: string, at: number): { field: string; end: number } {
  let field = "";
  for (let from = at + 1; ; ) {
    const quote = line.indexOf('"', from);
    if (quote < 0)
      throw new Fault(
        "invalid",
        `parse error on line 1, column ${line.length + 1}: extraneous or missing " in quoted-field`,
      );
    field += line.slice(from, quote);
    const next = line[quote + 1];
    if (next === '"') {
      field += '"';
      from = quote + 2;
    } else if (next === undefined || next === ",") return { field, end: quote + 1 };
    else
      throw new Fault(
        "invalid",
        `parse error on line 1, column ${quote + 1}: extraneous or missing " in quoted-field`,
      );
  }
}
