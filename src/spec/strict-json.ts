/**
 * JSON from strangers.
 * Pure. Promises: what two parsers could read in two ways is refused: an object with one key twice, nesting without end.
 */
import { Fault } from "./fault.ts";

/** Levels of objects and lists in one another. */
const depthMax = 64;

/** The value. @throws Fault `invalid`, beginning with `what`. */
export function parseStrictJson(bytes: Uint8Array, what: string): unknown {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    value = JSON.parse(text);
  } catch (cause) {
    throw new Fault("invalid", `${what} is no JSON`, { cause });
  }
  checkKeys(text, what);
  return value;
}

/** Of text that is known to be JSON: only strings and brackets matter. */
function checkKeys(text: string, what: string): void {
  const tokens = /"(?:[^"\\]|\\.)*"|[{}[\]:]/g;
  const open: (Set<string> | undefined)[] = [];
  let last = "";
  for (const [token] of text.matchAll(tokens)) {
    if (token === "{" || token === "[") {
      open.push(token === "{" ? new Set() : undefined);
      if (open.length > depthMax)
        throw new Fault("invalid", `${what} is nested more than ${depthMax} levels deep`);
    } else if (token === "}" || token === "]") open.pop();
    else if (token === ":") {
      const keys = open.at(-1);
      const key = String(JSON.parse(last));
      if (keys?.has(key) === true)
        throw new Fault("invalid", `${what} has the key ${JSON.stringify(key)} twice`);
      keys?.add(key);
    }
    last = token;
  }
}
