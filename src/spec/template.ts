/**
 * Pure. The part of Go's text/template that `--format` is used with: fields, `index`, `json`, `range`, `if`, `with`,
 * variables, pipelines, comparisons and the docker CLI's own functions.
 */
import { Fault } from "#spec/fault.ts";
import { type Expression, parseTemplate, type TemplateNode } from "./template-parser.ts";

type Value = unknown;
type Scope = ReadonlyMap<string, Value>;

/** A template ready to be applied to any number of values. @throws Fault `invalid` when it cannot be read. */
export function compileTemplate(text: string): (data: Value) => string {
  const nodes = parseTemplate(text.replaceAll("\\t", "\t").replaceAll("\\n", "\n"));
  return (data) => render(nodes, data, new Map([["$", data]]));
}

function render(nodes: readonly TemplateNode[], dot: Value, scope: Scope): string {
  let out = "";
  let names = scope;
  for (const node of nodes) {
    if (node.kind === "text") out += node.text;
    else if (node.kind === "assign") names = new Map(names).set(node.name, evaluate(node.value, dot, names));
    else if (node.kind === "print") out += show(evaluate(node.value, dot, names));
    else if (node.kind === "if")
      out += render(isTrue(evaluate(node.value, dot, names)) ? node.then : node.otherwise, dot, names);
    else if (node.kind === "with") {
      const value = evaluate(node.value, dot, names);
      out += isTrue(value) ? render(node.then, value, names) : render(node.otherwise, dot, names);
    } else out += renderRange(node, dot, names);
  }
  return out;
}

function renderRange(node: Extract<TemplateNode, { kind: "range" }>, dot: Value, scope: Scope): string {
  const entries = entriesOf(evaluate(node.value, dot, scope));
  if (entries.length === 0) return render(node.otherwise, dot, scope);
  return entries
    .map(([key, value]) => {
      const names = new Map(scope);
      const [first, second] = node.names;
      if (second !== undefined) names.set(first ?? "", key).set(second, value);
      else if (first !== undefined) names.set(first, value);
      return render(node.body, value, names);
    })
    .join("");
}

function entriesOf(value: Value): [Value, Value][] {
  if (Array.isArray(value)) return value.map((each: Value, index) => [index, each]);
  if (typeof value === "object" && value !== null)
    return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return [];
}

function evaluate(expression: Expression, dot: Value, scope: Scope): Value {
  switch (expression.kind) {
    case "literal":
      return expression.value;
    case "path": {
      const start = expression.variable === undefined ? dot : scope.get(expression.variable);
      return expression.fields.reduce((value: Value, name) => field(value, name), start);
    }
    case "fields":
      return expression.fields.reduce(field, evaluate(expression.of, dot, scope));
    case "call": {
      const args = expression.args.map((each) => evaluate(each, dot, scope));
      const found = functions[expression.name];
      if (found === undefined)
        throw new Fault("invalid", `template parsing error: function "${expression.name}" not defined`);
      return found(...args);
    }
  }
}

function field(value: Value, name: string): Value {
  if (value === null || value === undefined) return undefined;
  if (typeof value === "object" && !Array.isArray(value)) {
    const record = value as Record<string, Value>;
    if (Object.hasOwn(record, name)) return record[name];
    if (Object.getPrototypeOf(record) === fieldsKnown) throw noField(name);
    return undefined;
  }
  throw noField(name);
}

function noField(name: string): Fault {
  return new Fault("invalid", `template: :1:2: executing "" at <.${name}>: can't evaluate field ${name}`);
}

/** Marks an object whose fields are all there are: asking for another is a mistake, not an absence. */
const fieldsKnown = {};

export function strict<T extends object>(row: T): T {
  return Object.assign(Object.create(fieldsKnown) as T, row);
}

export function isTrue(value: Value): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "object" && value !== null) return Object.keys(value).length > 0;
  return Boolean(value);
}

/** As Go prints a value. */
function show(value: Value): string {
  if (value === undefined) return "<no value>";
  if (value === null) return "<nil>";
  if (Array.isArray(value)) return `[${value.map(show).join(" ")}]`;
  if (typeof value === "object") {
    const entries = Object.entries(value).map(([key, each]) => `${key}:${show(each)}`);
    return `map[${entries.sort().join(" ")}]`;
  }
  return String(value);
}

const functions: Readonly<Record<string, (...args: Value[]) => Value>> = {
  json: (value) => JSON.stringify(value ?? null),
  index: (value, ...keys) => keys.reduce(item, value),
  len: (value) =>
    typeof value === "string" || Array.isArray(value) ? value.length : entriesOf(value).length,
  join: (list, separator) => (Array.isArray(list) ? list.map(show).join(String(separator)) : show(list)),
  split: (text, separator) => String(text).split(String(separator)),
  upper: (text) => show(text).toUpperCase(),
  lower: (text) => show(text).toLowerCase(),
  title: (text) => show(text).replace(/\b\p{L}/gu, (letter) => letter.toUpperCase()),
  truncate: (text, length) => show(text).slice(0, Number(length)),
  pad: (text, before, after) => " ".repeat(Number(before)) + show(text) + " ".repeat(Number(after)),
  println: (...values) => `${values.map(show).join(" ")}\n`,
  print: (...values) => values.map(show).join(""),
  printf: (format, ...values) => printf(String(format), values),
  eq: (one, ...others) => others.some((other) => other === one),
  ne: (one, other) => one !== other,
  lt: (one, other) => Number(one) < Number(other),
  le: (one, other) => Number(one) <= Number(other),
  gt: (one, other) => Number(one) > Number(other),
  ge: (one, other) => Number(one) >= Number(other),
  and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
  not: (value) => !isTrue(value),
};

function item(value: Value, key: Value): Value {
  if (Array.isArray(value)) {
    const index = Number(key);
    if (index < 0 || index >= value.length)
      throw new Fault("invalid", `template: error calling index: index out of range: ${index}`);
    return value[index];
  }
  return typeof value === "object" && value !== null
    ? (value as Record<string, Value>)[String(key)]
    : undefined;
}

function printf(format: string, values: readonly Value[]): string {
  let next = 0;
  return format.replace(
    /%(?:%|(-?)(\d*)(?:\.\d+)?([sdvqtTxf]))/g,
    (all, left: string, width: string, verb: string | undefined) => {
      if (verb === undefined) return "%";
      const value = values[next++];
      const text = verb === "q" ? JSON.stringify(show(value)) : show(value);
      return left === "-" ? text.padEnd(Number(width)) : text.padStart(Number(width || 0)) || all.slice(0, 0);
    },
  );
}
