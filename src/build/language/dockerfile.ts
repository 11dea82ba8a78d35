/**
 * Pure. Dockerfile text → instructions with their lines, and diagnostics.
 * Owns: the grammar of every instruction and its flags.
 * Promises: never throws for bad text; each diagnostic has lines and Docker's sentence, and all bad instructions are told.
 * Never: expands variables (they depend on what was built so far) or judges whether a builder supports a flag.
 */
import { Fault } from "#spec/fault.ts";
import { readFlags } from "./flags.ts";
import { parseHealthcheck } from "./healthcheck.ts";
import { heredocBody, parseHeredocWord } from "./heredoc.ts";
import {
  type CommandLine,
  type Instruction,
  type InstructionBody,
  type Keyword,
  keywords,
  type Transfer,
} from "./instruction.ts";
import { type Diagnostic, type LogicalLine, lexDockerfile } from "./lines.ts";
import { refuseVariableFrom } from "./run-mount.ts";
import { suggestion } from "./suggest.ts";
import { jsonWords, keyValues, plainWords, quotedWords, splitLine, WordsFault } from "./words.ts";

export interface Dockerfile {
  readonly instructions: readonly Instruction[];
  readonly escapeChar: string;
  /** `syntax`, `escape`, `check` as given at the top. */
  readonly directives: ReadonlyMap<string, string>;
}

/** Each has its line in the history; nobody writes so many by hand. */
export const instructionsMax = 20_000;
/** Each knows all that those it stands on have. */
export const stagesMax = 1000;

/** The text as instructions; the list is complete only when no diagnostic is an error. */
export function parseDockerfile(text: string): [Dockerfile, Diagnostic[]] {
  const [{ lines, escapeChar, directives }, diagnostics] = lexDockerfile(text);
  const instructions: Instruction[] = [];
  const excess = lines[instructionsMax];
  if (excess !== undefined) {
    const message = `dockerfile has more than ${instructionsMax} instructions: join them, or build in several files`;
    const error: Diagnostic = { severity: "error", message, lines: excess.lines };
    return [{ instructions, escapeChar, directives }, [error]];
  }
  for (const line of lines) {
    try {
      instructions.push(parseInstruction(line, escapeChar));
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const lexical = error instanceof WordsFault;
      diagnostics.push({ severity: "error", message: error.message, lines: line.lines, lexical });
    }
  }
  const stages = instructions.filter(({ kind }) => kind === "from");
  const beyond = stages[stagesMax];
  if (beyond !== undefined) {
    const message = `dockerfile has more than ${stagesMax} stages: build in several files`;
    diagnostics.push({ severity: "error", message, lines: beyond.lines });
  }
  if (lines.length === 0 && diagnostics.length === 0)
    diagnostics.push({
      severity: "error",
      message: "file with no instructions",
      lines: { start: 1, end: 1 },
      lexical: true,
    });
  diagnostics.sort((left, right) => left.lines.start - right.lines.start);
  return [{ instructions, escapeChar, directives }, diagnostics];
}

/**
 * The one instruction in `text`: an ONBUILD trigger, or a change given to commit or import.
 * @throws Fault `invalid` when it is bad or not exactly one.
 */
export function parseTrigger(text: string): Instruction {
  const [{ instructions }, diagnostics] = parseDockerfile(text);
  const error = diagnostics.find((diagnostic) => diagnostic.severity === "error");
  if (error !== undefined) throw new Fault("invalid", error.message);
  const [instruction, ...more] = instructions;
  if (instruction === undefined || more.length > 0)
    throw new Fault("invalid", "onbuild trigger should be a single expression");
  return instruction;
}

/** What a grammar rule gets to see. */
interface Words {
  readonly keyword: Keyword;
  readonly flagWords: readonly string[];
  readonly rest: string;
  readonly escapeChar: string;
  readonly line: LogicalLine;
  /** Set by the rule: flags that were used. */
  used: readonly string[];
}

function parseInstruction(line: LogicalLine, escapeChar: string): Instruction {
  const { keyword, flags, rest } = splitLine(line.text, escapeChar);
  const upper = keyword.toUpperCase();
  const known = keywords.find((candidate) => candidate === upper);
  if (known === undefined)
    throw new Fault("invalid", `unknown instruction: ${keyword}${suggestion(keyword, keywords)}`);
  const words: Words = { keyword: known, flagWords: flags, rest, escapeChar, line, used: [] };
  const body = grammar[known](words);
  const { lines, comments } = line;
  return { ...body, source: line.text.trim(), lines, flags: words.used, keyword, comments };
}

const grammar: Readonly<Record<Keyword, (words: Words) => InstructionBody>> = {
  ADD: (words) => ({ kind: "add", transfer: transfer(words) }),
  ARG: (words) => ({
    kind: "arg",
    args: atLeastOne(words, quotedWords(words.rest, words.escapeChar)).map(argument),
  }),
  CMD: (words) => ({ kind: "cmd", command: commandLine(noFlags(words)) }),
  COPY: (words) => ({ kind: "copy", transfer: transfer(words) }),
  ENTRYPOINT: (words) => ({ kind: "entrypoint", command: commandLine(noFlags(words)) }),
  ENV: (words) => ({ kind: "env", pairs: keyValues(noFlags(words).rest, words.escapeChar, "ENV") }),
  EXPOSE: (words) => ({
    kind: "expose",
    ports: [...atLeastOne(noFlags(words), plainWords(words.rest))].sort(),
  }),
  FROM: from,
  HEALTHCHECK: (words) => {
    const [check, used] = parseHealthcheck(words.rest, words.flagWords);
    words.used = used;
    return { kind: "healthcheck", check };
  },
  LABEL: (words) => ({
    kind: "label",
    pairs: keyValues(noFlags(words).rest, words.escapeChar, "LABEL"),
    literal: false,
  }),
  MAINTAINER: (words) => ({ kind: "maintainer", text: exactlyOne(noFlags(words)) }),
  ONBUILD: (words) => ({ kind: "onbuild", trigger: trigger(noFlags(words)) }),
  RUN: (words) => {
    const flags = readFlags(words.flagWords, {
      mount: "list",
      network: "text",
      security: "text",
      device: "list",
    });
    words.used = flags.used;
    const mounts = flags.list("mount");
    for (const mount of mounts) refuseVariableFrom(mount);
    const command = commandLine(words);
    return {
      kind: "run",
      command,
      mounts,
      network: oneOf(
        flags.text("network"),
        ["default", "none", "host"],
        (value) => `invalid network mode ${value}`,
      ),
      security: oneOf(
        flags.text("security"),
        ["sandbox", "insecure"],
        (value) => `security ${value} is not valid`,
      ),
      devices: flags.list("device"),
    };
  },
  SHELL: (words) => ({ kind: "shell", shell: shell(noFlags(words)) }),
  STOPSIGNAL: (words) => ({ kind: "stopsignal", signal: exactlyOne(noFlags(words)) }),
  USER: (words) => ({ kind: "user", user: exactlyOne(noFlags(words)) }),
  VOLUME: (words) => ({ kind: "volume", paths: volumes(noFlags(words)) }),
  WORKDIR: (words) => ({ kind: "workdir", path: exactlyOne(noFlags(words)) }),
};

function noFlags(words: Words): Words {
  readFlags(words.flagWords, {});
  return words;
}

function atLeastOne(words: Words, found: readonly string[]): readonly string[] {
  if (found.length > 0) return found;
  throw new Fault("invalid", `${words.keyword} requires at least one argument`);
}

function exactlyOne(words: Words): string {
  if (words.rest !== "") return words.rest;
  throw new Fault("invalid", `${words.keyword} requires exactly one argument`);
}

function argument(word: string): { key: string; value?: string } {
  const equals = word.indexOf("=");
  if (equals < 0) return { key: word };
  if (equals === 0) throw new Fault("invalid", "ARG names can not be blank");
  return { key: word.slice(0, equals), value: word.slice(equals + 1) };
}

function oneOf(value: string, allowed: readonly string[], refusal: (quoted: string) => string): string {
  if (value === "" || allowed.includes(value)) return value;
  throw new Fault("invalid", refusal(JSON.stringify(value)));
}

function commandLine({ rest, line }: Words): CommandLine {
  const exec = jsonWords(rest);
  if (exec !== undefined) return { args: exec, form: "exec", heredocs: [] };
  return { args: rest === "" ? [] : [rest], form: "shell", heredocs: line.heredocs };
}

function from(words: Words): InstructionBody {
  const flags = readFlags(words.flagWords, { platform: "text" });
  words.used = flags.used;
  const [base = "", as, name, ...more] = plainWords(words.rest);
  const named = as?.toLowerCase() === "as" && name !== undefined && more.length === 0;
  if (base === "" || (as !== undefined && !named))
    throw new Fault("invalid", "FROM requires either one or three arguments");
  const lower = name?.toLowerCase() ?? "";
  if (name !== undefined && !/^[a-z][a-z0-9-_.]*$/.test(lower))
    throw new Fault(
      "invalid",
      `invalid name for build stage: ${JSON.stringify(name)}, name can't start with a number or contain symbols`,
    );
  const written = { as: as ?? "", name: name ?? "" };
  return { kind: "from", base, name: lower, platform: flags.text("platform"), written };
}

const transferFlags = {
  COPY: { chown: "text", from: "text", chmod: "text", link: "switch", exclude: "list", parents: "switch" },
  ADD: {
    chown: "text",
    chmod: "text",
    link: "switch",
    "keep-git-dir": "switch",
    checksum: "text",
    unpack: "switch",
    exclude: "list",
  },
} as const;

function transfer(words: Words): Transfer {
  const keyword = words.keyword === "ADD" ? "ADD" : "COPY";
  const flags = readFlags(words.flagWords, transferFlags[keyword]);
  words.used = flags.used;
  const paths = jsonWords(words.rest) ?? plainWords(words.rest);
  if (paths.length < 2)
    throw new Fault(
      "invalid",
      `${keyword} requires at least two arguments, but only one was provided. Destination could not be determined`,
    );
  const destination = paths.at(-1) ?? "";
  if (parseHeredocWord(destination) !== undefined)
    throw new Fault("invalid", `${keyword} cannot accept a heredoc as a destination`);
  const heredocs = new Map(words.line.heredocs.map((heredoc) => [heredoc.name, heredoc]));
  const sources: string[] = [];
  const inline = [];
  for (const path of paths.slice(0, -1)) {
    const word = heredocs.size === 0 ? undefined : parseHeredocWord(path);
    const heredoc = word === undefined ? undefined : heredocs.get(word.name);
    if (heredoc === undefined) sources.push(path);
    else inline.push({ name: heredoc.name, content: heredocBody(heredoc), expand: heredoc.expand });
  }
  return {
    sources,
    inline,
    destination,
    chown: flags.text("chown"),
    chmod: flags.text("chmod"),
    from: flags.text("from"),
    checksum: flags.text("checksum"),
    link: flags.text("link") === "true",
    parents: flags.text("parents") === "true",
    exclude: flags.list("exclude"),
    keepGitDir: flags.text("keep-git-dir") === "true",
    unpack: flags.text("unpack") === "" ? undefined : flags.text("unpack") === "true",
  };
}

function trigger(words: Words): string {
  const first = plainWords(words.rest)[0]?.toUpperCase();
  if (first === undefined) throw new Fault("invalid", "ONBUILD requires at least one argument");
  if (first === "ONBUILD") throw new Fault("invalid", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed");
  if (first === "MAINTAINER" || first === "FROM")
    throw new Fault("invalid", `${first} isn't allowed as an ONBUILD trigger`);
  // The trigger is checked now, so that a mistake is told to the one who wrote it.
  parseInstruction({ ...words.line, text: words.rest }, words.escapeChar);
  const bodies = words.line.heredocs.map((heredoc) => `\n${heredoc.content}${heredoc.name}`);
  return words.line.text.trim().replace(/^onbuild\s*/i, "") + bodies.join("");
}

function shell(words: Words): readonly string[] {
  const exec = jsonWords(words.rest);
  if (words.rest === "" || exec?.length === 0)
    throw new Fault("invalid", "SHELL requires at least one argument");
  if (exec === undefined) throw new Fault("invalid", "SHELL requires the arguments to be in JSON form");
  return exec;
}

function volumes(words: Words): readonly string[] {
  const paths = jsonWords(words.rest) ?? plainWords(words.rest);
  return atLeastOne(words, paths).map((path) => {
    const trimmed = path.trim();
    if (trimmed === "") throw new Fault("invalid", "VOLUME specified can not be an empty string");
    return trimmed;
  });
}
