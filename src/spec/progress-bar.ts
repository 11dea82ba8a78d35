/** Pure. How far something is, as Docker's clients and engine draw it. */

const units = ["B", "kB", "MB", "GB", "TB", "PB"];
const barCells = 50;

/** `1.986MB`: up to four significant digits, steps of 1000. */
export function shortSize(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${Number(value.toPrecision(4))}${units[unit]}`;
}

/** `[=====>     ]  1.2MB/3MB`; the numbers alone when the total is not known, or passed. In bytes. */
export function progressBar(current: number, total: number, cells = barCells): string {
  if (total <= 0) return shortSize(current).padStart(8);
  const filled = Math.min(cells, Math.floor(Math.floor((current / total) * 100) * (cells / 100)));
  const bar = `[${"=".repeat(filled)}>${" ".repeat(cells - filled)}] `;
  const numbers = shortSize(current).padStart(8);
  return current > total ? bar + numbers : `${bar}${numbers}/${shortSize(total)}`;
}
