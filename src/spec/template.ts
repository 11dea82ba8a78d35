/**
 * Pure. The part of Go's text/template that `--format` is used with: fields, `index`, `json`, `range`, `if`, `with`,
 * variables, pipelines, comparisons and the docker CLI's own functions.
 */
import { Fault } from "./fault.ts";
import { entriesOf, isRow, isTrue, show, templateFunctions, type Value } from "./template-functions.ts";
import { type Expression, parseTemplate, type Template, type TemplateNode } from "./template-parser.ts";

/** Variables by name; a cell is shared by the blocks below the one that declared it. */
type Scope = ReadonlyMap<string, { value: Value }>;

/** What the docker CLI says in front of a failure; commands differ. */
export interface TemplateWords {
  readonly parse: string;
  readonly execute: string;
}

const objectWords: TemplateWords = {
  parse: "template parsing error: ",
  execute: "template parsing error: ",
};
export const rowWords: TemplateWords = {
  parse: "failed to parse template: ",
  execute: "failed to execute template: ",
};

/** A template ready to be applied to any number of values. @throws Fault `invalid` when it cannot be read. */
export function compileTemplate(text: string, words = objectWords): (data: Value) => string {
  const { nodes, definitions } = said(words.parse, () =>
    parseTemplate(text.replaceAll("\\t", "\t").replaceAll("\\n", "\n")),
  );
  return (data) =>
    said(words.execute, () => {
      const source: Source = { text, definitions, leaving: undefined, depth: 0 };
      return render(nodes, data, new Map([["$", { value: data }]]), source);
    });
}

/** What is applied, and how far it has come. */
interface Source {
  readonly text: string;
  readonly definitions: Template["definitions"];
  /** Set from a `break` or `continue` until its range has seen it. */
  leaving: "break" | "continue" | undefined;
  /** Templates within templates. */
  depth: number;
}

const depthMax = 1000;

function said<R>(words: string, work: () => R): R {
  try {
    return work();
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    throw new Fault(thrown.kind, words + thrown.message, { cause: thrown });
  }
}

function render(nodes: readonly TemplateNode[], dot: Value, scope: Scope, source: Source): string {
  let out = "";
  let names = scope;
  const value = (expression: Expression): Value => evaluate(expression, dot, names, source);
  for (const node of nodes) {
    if (source.leaving !== undefined) break;
    if (node.kind === "break" || node.kind === "continue") source.leaving = node.kind;
    else if (node.kind === "template")
      out += renderNamed(node.name, node.value === undefined ? undefined : value(node.value), source);
    else if (node.kind === "text") out += node.text;
    else if (node.kind === "assign") names = assign(node, value(node.value), names);
    else if (node.kind === "print") out += show(value(node.value));
    else if (node.kind === "if")
      out += render(isTrue(value(node.value)) ? node.then : node.otherwise, dot, names, source);
    else if (node.kind === "with") {
      const inner = value(node.value);
      out += isTrue(inner)
        ? render(node.then, inner, names, source)
        : render(node.otherwise, dot, names, source);
    } else out += renderRange(node, value(node.value), dot, names, source);
  }
  return out;
}

/** A definition has its dot and nothing of the variables around. */
function renderNamed(name: string, dot: Value, source: Source): string {
  const nodes = source.definitions.get(name);
  if (nodes === undefined)
    throw new Fault("invalid", `template: :1: template ${JSON.stringify(name)} not defined`);
  if (++source.depth > depthMax)
    throw new Fault("invalid", `template: :1: exceeded maximum template depth (${depthMax})`);
  const out = render(nodes, dot, new Map([["$", { value: dot }]]), source);
  source.depth--;
  return out;
}

function assign(node: Extract<TemplateNode, { kind: "assign" }>, value: Value, scope: Scope): Scope {
  if (node.declares) return new Map(scope).set(node.name, { value });
  const cell = scope.get(node.name);
  if (cell === undefined)
    throw new Fault("invalid", `template: :1: undefined variable ${JSON.stringify(node.name)}`);
  cell.value = value;
  return scope;
}

function renderRange(
  node: Extract<TemplateNode, { kind: "range" }>,
  over: Value,
  dot: Value,
  scope: Scope,
  source: Source,
): string {
  const entries = entriesOf(over);
  if (entries.length === 0) return render(node.otherwise, dot, scope, source);
  let out = "";
  for (const [key, value] of entries) {
    const names = new Map(scope);
    const [first, second] = node.names;
    if (second !== undefined) names.set(first ?? "", { value: key }).set(second, { value });
    else if (first !== undefined) names.set(first, { value });
    out += render(node.body, value, names, source);
    const { leaving } = source;
    source.leaving = undefined;
    if (leaving === "break") break;
  }
  return out;
}

function evaluate(expression: Expression, dot: Value, scope: Scope, source: Source): Value {
  switch (expression.kind) {
    case "literal":
      return expression.value;
    case "path": {
      const start = expression.variable === undefined ? dot : scope.get(expression.variable)?.value;
      return follow(start, expression.fields, `${expression.variable ?? ""}.`, source);
    }
    case "fields":
      return follow(evaluate(expression.of, dot, scope, source), expression.fields, ".", source);
    case "method": {
      const method = evaluate(expression.of, dot, scope, source);
      if (typeof method !== "function")
        throw new Fault("invalid", "template: :1: can't give argument to non-function");
      return (method as (...args: Value[]) => Value)(
        ...expression.args.map((each) => evaluate(each, dot, scope, source)),
      );
    }
    case "call": {
      const args = expression.args.map((each) => evaluate(each, dot, scope, source));
      const found = templateFunctions[expression.name];
      if (found === undefined)
        throw new Fault("invalid", `template: :1: function "${expression.name}" not defined`);
      try {
        return found(...args);
      } catch (thrown) {
        const at = source.text.indexOf(expression.name);
        throw new Fault(
          "invalid",
          `template: :1:${Math.max(2, at)}: executing "" at <${expression.name}>: ${Fault.from(thrown).message}`,
        );
      }
    }
  }
}

function follow(start: Value, fields: readonly string[], prefix: string, source: Source): Value {
  let value = start;
  for (const [at, name] of fields.entries()) {
    const found = field(value, name);
    if (typeof found !== "object" || found === null || !("missing" in found) || found.missing !== missing) {
      value = found;
      continue;
    }
    const path = prefix + fields.join(".");
    const before = prefix + fields.slice(0, at).join(".");
    const column = source.text.indexOf(path) + (at === 0 ? prefix.length - 1 : before.length);
    throw new Fault(
      "invalid",
      `template: :1:${Math.max(2, column)}: executing "" at <${path}>: ${(found as Missing).why}`,
    );
  }
  return value;
}

const missing = Symbol("missing");

interface Missing {
  readonly missing: typeof missing;
  readonly why: string;
}

/** As JSON spells it or as Go does: `APIVersion` finds `ApiVersion`. */
function field(value: Value, name: string): Value {
  if (value === null || value === undefined) return undefined;
  const cannot: Missing = { missing, why: `can't evaluate field ${name}` };
  if (typeof value !== "object" || Array.isArray(value)) return cannot;
  const record = value as Record<string, Value>;
  if (Object.hasOwn(record, name)) return record[name];
  if (isRow(record)) return cannot;
  const names = Object.keys(record);
  const other = names.find((each) => each.toLowerCase() === name.toLowerCase());
  if (other !== undefined) return record[other];
  // What Docker names is spelled so; a map of the user's, such as labels, has no more than it has.
  const isDockers = names.length > 0 && names.every((each) => /^[A-Z]\w*$/.test(each));
  return isDockers ? { missing, why: `map has no entry for key ${JSON.stringify(name)}` } : undefined;
}
