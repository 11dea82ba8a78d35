/** Pure. The grammar of `--format` templates. */
import { Fault } from "./fault.ts";

export type Expression =
  | { readonly kind: "literal"; readonly value: unknown }
  | { readonly kind: "path"; readonly variable?: string; readonly fields: readonly string[] }
  | { readonly kind: "fields"; readonly of: Expression; readonly fields: readonly string[] }
  /** What `of` leads to is called. */
  | { readonly kind: "method"; readonly of: Expression; readonly args: readonly Expression[] }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expression[] };

export type TemplateNode =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "print"; readonly value: Expression }
  | {
      readonly kind: "assign";
      readonly name: string;
      readonly value: Expression;
      /** `:=` makes a variable, `=` changes one. */
      readonly declares: boolean;
    }
  /** Out of the nearest range, or on to its next turn. */
  | { readonly kind: "break" }
  | { readonly kind: "continue" }
  /** What `define` or `block` called so, with `value` as its dot. */
  | { readonly kind: "template"; readonly name: string; readonly value: Expression | undefined }
  | Branch<"if">
  | Branch<"with">
  | {
      readonly kind: "range";
      readonly names: readonly string[];
      readonly value: Expression;
      readonly body: TemplateNode[];
      readonly otherwise: TemplateNode[];
    };

interface Branch<Kind extends string> {
  readonly kind: Kind;
  readonly value: Expression;
  readonly then: TemplateNode[];
  readonly otherwise: TemplateNode[];
}

type Token = string;
type Piece = { readonly text: string } | { readonly tokens: readonly Token[] };

const tokenPattern =
  /\s*("(?:[^"\\]|\\.)*"|`[^`]*`|\$\w*(?:\.\w+)*|-?\d+(?:\.\d+)?|\.[\w.]*|[A-Za-z_]\w*|:=|[|(),=])/gy;

export interface Template {
  readonly nodes: TemplateNode[];
  /** By `define` and `block`. */
  readonly definitions: ReadonlyMap<string, TemplateNode[]>;
}

/** @throws Fault `invalid` in Go's words. */
export function parseTemplate(text: string): Template {
  const pieces = splitPieces(text);
  const reader: Reader = { at: 0, pieces, definitions: new Map(), ranges: 0, within: 0 };
  const nodes = parseNodes(reader, []);
  if (reader.at < pieces.length) throw broken("unexpected {{end}}");
  return { nodes, definitions: reader.definitions };
}

function splitPieces(text: string): Piece[] {
  const pieces: Piece[] = [];
  let rest = text;
  for (let start = rest.indexOf("{{"); start >= 0; start = rest.indexOf("{{")) {
    const end = rest.indexOf("}}", start);
    if (end < 0) throw broken("unclosed action");
    const action = rest.slice(start + 2, end);
    let before = rest.slice(0, start);
    rest = rest.slice(end + 2);
    if (/^-\s/.test(action)) before = before.trimEnd();
    if (/\s-$/.test(action)) rest = rest.trimStart();
    if (before !== "") pieces.push({ text: before });
    const inner = action.replace(/^-\s/, "").replace(/\s-$/, "").trim();
    if (!inner.startsWith("/*")) pieces.push({ tokens: tokenize(inner) });
  }
  if (rest !== "") pieces.push({ text: rest });
  return pieces;
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < text.length) {
    const at = tokenPattern.lastIndex;
    const match = tokenPattern.exec(text);
    if (match === null) {
      if (text.slice(at).trim() === "") break;
      throw broken(`unexpected ${JSON.stringify(text.slice(at).trim()[0])} in operand`);
    }
    tokens.push(match[1] ?? "");
  }
  return tokens;
}

interface Reader {
  at: number;
  readonly pieces: readonly Piece[];
  readonly definitions: Map<string, TemplateNode[]>;
  /** Of blocks around what is read now: those of `range`, and all. */
  ranges: number;
  within: number;
}

/** Up to one of the words in `stops`, which is left to be read. */
function parseNodes(reader: Reader, stops: readonly string[]): TemplateNode[] {
  const nodes: TemplateNode[] = [];
  for (let piece = reader.pieces[reader.at]; piece !== undefined; piece = reader.pieces[reader.at]) {
    if ("text" in piece) {
      nodes.push({ kind: "text", text: piece.text });
      reader.at++;
      continue;
    }
    const [word = ""] = piece.tokens;
    if (stops.includes(word)) return nodes;
    if (word === "define") {
      readDefinition(reader, piece.tokens);
      continue;
    }
    if (word === "end" || word === "else") {
      if (stops.length === 0) throw broken(`unexpected {{${word}}}`);
      return nodes;
    }
    reader.at++;
    nodes.push(parseAction(reader, piece.tokens));
  }
  if (stops.length > 0) throw broken("unexpected EOF");
  return nodes;
}

/** Beside everything else, it prints nothing. */
function readDefinition(reader: Reader, tokens: readonly Token[]): void {
  if (reader.within > 0) throw broken("unexpected {{define}}");
  const name = templateName(tokens, "define");
  if (tokens.length > 2) throw broken(`unexpected ${JSON.stringify(tokens[2])} in define clause`);
  reader.at++;
  reader.definitions.set(name, parseBody(reader));
}

function parseBody(reader: Reader): TemplateNode[] {
  const { ranges } = reader;
  reader.within++;
  reader.ranges = 0;
  const body = parseNodes(reader, ["end"]);
  reader.at++;
  reader.within--;
  reader.ranges = ranges;
  return body;
}

function templateName(tokens: readonly Token[], clause: string): string {
  const [, token = ""] = tokens;
  const name = /^["`]/.test(token) ? operand(token) : undefined;
  if (name?.kind !== "literal") throw broken(`unexpected ${JSON.stringify(token)} in ${clause} clause`);
  return String(name.value);
}

function parseReference(reader: Reader, tokens: readonly Token[]): TemplateNode {
  const [word = "", , ...rest] = tokens;
  const name = templateName(tokens, word);
  const value = rest.length === 0 ? undefined : parsePipeline(rest);
  if (word === "block") {
    if (value === undefined) throw broken("missing value for block clause");
    reader.definitions.set(name, parseBody(reader));
  }
  return { kind: "template", name, value };
}

function parseAction(reader: Reader, tokens: readonly Token[]): TemplateNode {
  const [word, ...rest] = tokens;
  switch (word) {
    case undefined:
      throw broken("missing value for command");
    case "block":
    case "template":
      return parseReference(reader, tokens);
    case "break":
    case "continue":
      if (rest.length > 0) throw broken(`unexpected ${JSON.stringify(rest[0])} in {{${word}}}`);
      if (reader.ranges === 0) throw broken(`{{${word}}} outside {{range}}`);
      return { kind: word };
    case "if":
    case "with": {
      reader.within++;
      const then = parseNodes(reader, ["else", "end"]);
      const node: TemplateNode = {
        ...{ kind: word, value: parsePipeline(rest), then },
        otherwise: parseElse(reader, word),
      };
      reader.within--;
      return node;
    }
    case "range": {
      const assign = rest.indexOf(":=");
      const names = rest.slice(0, Math.max(0, assign)).filter((token) => token !== ",");
      const value = parsePipeline(rest.slice(assign + 1));
      reader.within++;
      reader.ranges++;
      const body = parseNodes(reader, ["else", "end"]);
      reader.ranges--;
      const otherwise = parseElse(reader, "range");
      reader.within--;
      return { kind: "range", names, value, body, otherwise };
    }
    default:
      if (rest[0] === ":=" || rest[0] === "=")
        return {
          kind: "assign",
          name: word,
          value: parsePipeline(rest.slice(1)),
          declares: rest[0] === ":=",
        };
      return { kind: "print", value: parsePipeline(tokens) };
  }
}

function parseElse(reader: Reader, of: "if" | "with" | "range"): TemplateNode[] {
  const piece = reader.pieces[reader.at++];
  if (piece === undefined || "text" in piece) throw broken("unexpected EOF");
  const [word, next, ...rest] = piece.tokens;
  if (word === "end") return [];
  if (next !== undefined && next === of && of !== "range") {
    const then = parseNodes(reader, ["else", "end"]);
    return [{ kind: of, value: parsePipeline(rest), then, otherwise: parseElse(reader, of) }];
  }
  const nodes = parseNodes(reader, ["end"]);
  reader.at++;
  return nodes;
}

/** `a | f x | g`: each result is the last argument of what follows. */
function parsePipeline(tokens: readonly Token[]): Expression {
  const stack: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    depth += token === "(" ? 1 : token === ")" ? -1 : 0;
    if (token === "|" && depth === 0) stack.push([]);
    else stack.at(-1)?.push(token);
  }
  if (depth !== 0) throw broken("unclosed left paren");
  let value: Expression | undefined;
  for (const command of stack) value = parseCommand(command, value);
  if (value === undefined) throw broken("missing value for command");
  return value;
}

function parseCommand(tokens: readonly Token[], piped: Expression | undefined): Expression {
  const operands: Expression[] = [];
  const [first] = tokens;
  if (first === undefined) throw broken("missing value for command");
  const isCall = /^[a-z]\w*$/i.test(first) && !["true", "false", "nil"].includes(first);
  for (let at = isCall ? 1 : 0; at < tokens.length; at++) {
    if (tokens[at] !== "(") {
      operands.push(operand(tokens[at] ?? ""));
      continue;
    }
    const end = closing(tokens, at);
    const inner = parsePipeline(tokens.slice(at + 1, end));
    const behind = tokens[end + 1];
    at = end;
    if (behind?.startsWith(".") === true) {
      operands.push({ kind: "fields", of: inner, fields: fieldNames(behind) });
      at++;
    } else operands.push(inner);
  }
  if (isCall)
    return { kind: "call", name: first, args: piped === undefined ? operands : [...operands, piped] };
  const [only, ...more] = piped === undefined ? operands : [...operands, piped];
  if (only?.kind === "path" && more.length > 0) return { kind: "method", of: only, args: more };
  if (only === undefined || more.length > 0) throw broken("can't give argument to non-function");
  return only;
}

function closing(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let at = open; at < tokens.length; at++) {
    depth += tokens[at] === "(" ? 1 : tokens[at] === ")" ? -1 : 0;
    if (depth === 0) return at;
  }
  throw broken("unclosed left paren");
}

function operand(token: Token): Expression {
  if (token.startsWith('"')) return { kind: "literal", value: JSON.parse(token) };
  if (token.startsWith("`")) return { kind: "literal", value: token.slice(1, -1) };
  if (/^-?\d/.test(token)) return { kind: "literal", value: Number(token) };
  if (token === "true" || token === "false") return { kind: "literal", value: token === "true" };
  if (token === "nil") return { kind: "literal", value: null };
  if (token.startsWith("$")) {
    const [variable = "$", ...fields] = token.split(".");
    return { kind: "path", variable, fields };
  }
  if (token.startsWith(".")) return { kind: "path", fields: fieldNames(token) };
  return { kind: "call", name: token, args: [] };
}

function fieldNames(token: Token): string[] {
  return token.split(".").filter((name) => name !== "");
}

function broken(reason: string): Fault {
  return new Fault("invalid", `template: :1: ${reason}`);
}
