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

/** @throws Fault `invalid` in Go's words. */
export function parseTemplate(text: string): TemplateNode[] {
  const pieces = splitPieces(text);
  const reader = { at: 0, pieces };
  const nodes = parseNodes(reader, []);
  if (reader.at < pieces.length) throw broken("unexpected {{end}}");
  return nodes;
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

function parseAction(reader: Reader, tokens: readonly Token[]): TemplateNode {
  const [word, ...rest] = tokens;
  switch (word) {
    case undefined:
      throw broken("missing value for command");
    case "if":
    case "with": {
      const then = parseNodes(reader, ["else", "end"]);
      return { kind: word, value: parsePipeline(rest), then, otherwise: parseElse(reader, word) };
    }
    case "range": {
      const assign = rest.indexOf(":=");
      const names = rest.slice(0, Math.max(0, assign)).filter((token) => token !== ",");
      const value = parsePipeline(rest.slice(assign + 1));
      const body = parseNodes(reader, ["else", "end"]);
      return { kind: "range", names, value, body, otherwise: parseElse(reader, "range") };
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
