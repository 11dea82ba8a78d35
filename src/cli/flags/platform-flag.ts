/** Pure. `--platform` as newer endpoints take it. */

/** `linux/arm64/v8`, or an architecture alone, as JSON. */
export function platformJson(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const [os = "", architecture = "", variant] = text.includes("/") ? text.split("/") : ["linux", text];
  return JSON.stringify({ os, architecture, ...(variant !== undefined && { variant }) });
}

/** Several, each flag a list with commas between. */
export function platformsJson(texts: readonly string[]): string[] {
  const all = texts.flatMap((text) => text.split(",")).filter((text) => text !== "");
  return all.map((text) => platformJson(text) ?? "");
}
