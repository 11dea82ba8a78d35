/** Pure. Columns as Go's tabwriter pads them for the docker CLI. */

const gap = 3;
const narrowest = 10;

/** Every column as wide as its widest cell and three blanks, but the last; at least ten wide. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  return formatColumns(rows, narrowest);
}

function formatColumns(rows: readonly (readonly string[])[], least: number): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.entries())
      if (column < row.length - 1) widths[column] = Math.max(widths[column] ?? least, [...cell].length + gap);
  return rows
    .map(
      (row) =>
        `${row.map((cell, column) => (column < row.length - 1 ? pad(cell, widths[column] ?? 0) : cell)).join("")}\n`,
    )
    .join("");
}

/** Columns of at least twenty, as `docker top` prints what `ps` said. */
export function formatWideTable(rows: readonly (readonly string[])[]): string {
  return formatColumns(rows, 20);
}

function pad(cell: string, width: number): string {
  return cell + " ".repeat(Math.max(0, width - [...cell].length));
}

/** Cut to `length` characters, the last of them an ellipsis. */
export function ellipsis(text: string, length: number): string {
  const characters = [...text];
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join("")}…`;
}
