/**
 * Pure. The lexical layer of a Dockerfile: text → logical lines, with directives read, comments and continuations gone
 * and heredoc bodies attached. Knows keywords only to tell which may open a heredoc.
 */
import { Fault } from "#spec/fault.ts";
import { type Heredoc, heredocsInLine } from "./heredoc.ts";

/** Counted from 1, both inclusive. */
export interface LineRange {
  readonly start: number;
  readonly end: number;
}

/** Something to say about the text. An `error` means there is nothing to build. */
export interface Diagnostic {
  readonly severity: "error" | "warning";
  readonly message: string;
  readonly lines: LineRange;
  /** Of the text rather than of what an instruction means: such a mistake is told without its line. */
  readonly lexical?: boolean;
}

/** What is wrong, as BuildKit says it. */
export function mistake({ lexical = false, message, lines: { start } }: Diagnostic): string {
  return lexical || start === 0 ? message : `dockerfile parse error on line ${start}: ${message}`;
}

/** One instruction, not yet understood. */
export interface LogicalLine {
  /** Joined, leading blanks dropped. */
  readonly text: string;
  readonly lines: LineRange;
  readonly heredocs: readonly Heredoc[];
  /** Comment lines right above, without their marks. */
  readonly comments: readonly string[];
}

export interface LexedDockerfile {
  readonly lines: readonly LogicalLine[];
  /** `\` unless the `escape` directive says `` ` ``. */
  readonly escapeChar: string;
  /** Parser directives found at the top: `syntax`, `escape`, `check`. */
  readonly directives: ReadonlyMap<string, string>;
}

const directiveNames = new Set(["syntax", "escape", "check"]);

/** Docker's limit for one physical line, in UTF-16 units here (bytes there). */
export const maxLineLength = 65_535;

/** Never throws for bad text: the first error ends the list of lines and is told in the diagnostics. */
export function lexDockerfile(text: string): [LexedDockerfile, Diagnostic[]] {
  const lexer = new Lexer(text);
  lexer.run();
  const { lines, escapeChar, directives, diagnostics } = lexer;
  return [{ lines, escapeChar, directives }, diagnostics];
}

class Lexer {
  readonly lines: LogicalLine[] = [];
  readonly directives = new Map<string, string>();
  readonly diagnostics: Diagnostic[] = [];
  escapeChar = "\\";
  readonly #source: readonly string[];
  #at = 0;
  #directivesDone = false;
  #comments: string[] = [];

  constructor(text: string) {
    const lines = text.replace(/^\uFEFF/, "").split("\n");
    if (lines.at(-1) === "") lines.pop();
    this.#source = lines;
  }

  run(): void {
    try {
      while (this.#at < this.#source.length) this.#instruction();
    } catch (error) {
      if (!(error instanceof LexicalError)) throw error;
      const { message, lines } = error;
      this.diagnostics.push({ severity: "error", message, lines, lexical: true });
    }
  }

  #read(): string {
    const line = this.#source[this.#at++] ?? "";
    if (line.length > maxLineLength)
      throw new LexicalError(`dockerfile line greater than max allowed size of ${maxLineLength}`, {
        start: this.#at,
        end: this.#at,
      });
    return line.replace(/\r+$/, "");
  }

  #instruction(): void {
    const start = this.#at + 1;
    const first = this.#read().trimStart();
    const directive = this.#directive(first, start);
    if (isComment(first)) {
      const comment = first.slice(1).trim();
      // An empty one parts those before it from what follows.
      if (comment === "") this.#comments = [];
      else if (!directive) this.#comments.push(comment);
      return;
    }
    let [text, complete] = this.#continuation(first);
    if (complete && text === "") return;
    const comments = this.#comments;
    this.#comments = [];
    let emptyContinuation = false;
    while (!complete && this.#at < this.#source.length) {
      const line = this.#read();
      if (isComment(line)) continue;
      if (line.trim() === "") {
        emptyContinuation = true;
        continue;
      }
      const [part, ended] = this.#continuation(line);
      text += part;
      complete = ended;
    }
    const range = { start, end: this.#at };
    if (emptyContinuation)
      this.diagnostics.push({
        severity: "warning",
        message: `Empty continuation line found in: ${text}`,
        lines: range,
      });
    const heredocs = this.#heredocs(text, range);
    this.lines.push({ text, lines: { start, end: this.#at }, heredocs, comments });
  }

  /** `# name=value` at the very top, before anything else. @returns Whether it was one. */
  #directive(line: string, at: number): boolean {
    if (this.#directivesDone) return false;
    const match = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/.exec(line);
    const name = match?.[1]?.toLowerCase() ?? "";
    if (!directiveNames.has(name)) {
      // A shebang may come first.
      if (!(at === 1 && line.startsWith("#!"))) this.#directivesDone = true;
      return false;
    }
    const lines = { start: at, end: at };
    if (this.directives.has(name))
      throw new LexicalError(`only one ${name} parser directive can be used`, lines);
    const value = match?.[2] ?? "";
    this.directives.set(name, value);
    if (name !== "escape") return true;
    if (value !== "\\" && value !== "`")
      throw new LexicalError(`invalid escape token '${value}' does not match \` or \\`, lines);
    this.escapeChar = value;
    return true;
  }

  /** The line without the escape that ends it, and whether it was the last of its instruction. */
  #continuation(line: string): [string, boolean] {
    const trimmed = line.replace(/[ \t]+$/, "");
    if (!trimmed.endsWith(this.escapeChar) || trimmed.at(-2) === this.escapeChar) return [line, true];
    return [trimmed.slice(0, -1), false];
  }

  #heredocs(text: string, range: LineRange): Heredoc[] {
    if (!text.includes("<<") || !mayOpenHeredoc(text)) return [];
    const heredocs: Heredoc[] = [];
    for (const word of this.#heredocWords(text, range)) {
      let content = "";
      for (;;) {
        if (this.#at >= this.#source.length)
          throw new LexicalError("unterminated heredoc", this.#toEnd(range));
        const raw = this.#source[this.#at++] ?? "";
        const line = raw.replace(/\r+$/, "");
        if ((word.chomp ? line.replace(/^\t+/, "") : line) === word.name) break;
        content += `${raw}\n`;
      }
      heredocs.push({ ...word, content });
    }
    return heredocs;
  }

  #toEnd({ start }: LineRange): LineRange {
    const end = this.#source.length - (this.#source.at(-1) === "" ? 1 : 0);
    return { start, end: Math.max(start, end) };
  }

  #heredocWords(text: string, range: LineRange) {
    try {
      return heredocsInLine(text);
    } catch (error) {
      if (error instanceof Fault) throw new LexicalError(error.message, range);
      throw error;
    }
  }
}

class LexicalError extends Error {
  readonly lines: LineRange;

  constructor(message: string, lines: LineRange) {
    super(message);
    this.lines = lines;
  }
}

function isComment(line: string): boolean {
  return line.trimStart().startsWith("#");
}

/** RUN, COPY and ADD in their shell form, also behind ONBUILD. */
function mayOpenHeredoc(text: string): boolean {
  const match = /^(?:onbuild\s+)?(run|copy|add)\s+((?:--\S*\s+)*)/i.exec(text);
  if (match === null) return false;
  const rest = text.slice(match[0].length);
  return !(rest.startsWith("[") && isJson(rest));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
