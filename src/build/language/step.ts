/**
 * Pure. One instruction applied to a stage: what the image's configuration becomes, what its history says, and what
 * work must be done to the file system. The solver does the work; nothing here waits.
 */

import { Fault } from "#spec/fault.ts";
import { goQuoteList } from "#spec/go-quote.ts";
import { cleanPath } from "#spec/go-text.ts";
import { proxyArguments } from "./build-args.ts";
import { checkChecksum } from "./checksum.ts";
import { type Environment, environmentOf, expandWord, expandWords } from "./expand.ts";
import { exposedPorts } from "./expose.ts";
import { formatHealthcheck, quoteHealthcheck } from "./healthcheck.ts";
import { heredocBody, parseHeredocWord } from "./heredoc.ts";
import type { CommandLine, InlineFile, Instruction, InstructionOf, Transfer } from "./instruction.ts";
import { parseRunMount, type RunMount } from "./run-mount.ts";
import { grown, type StageState, stageEnvironment } from "./stage-state.ts";
import { checkStopSignal } from "./stop-signal.ts";

/** What the file system needs. */
export type Work =
  | { readonly kind: "none" }
  | ({ readonly kind: "run" } & RunWork)
  /** `user` owns what is made, empty for root. */
  | { readonly kind: "make-directory"; readonly path: string; readonly user: string }
  | { readonly kind: "transfer"; readonly transfer: ExpandedTransfer };

/** A command with every word expanded. */
export interface RunWork {
  readonly args: readonly string[];
  /** Build arguments as variables, beside those of the configuration. */
  readonly env: readonly string[];
  /** Names in `env` that must not count for the cache: proxies that no ARG names. */
  readonly hidden: readonly string[];
  readonly mounts: readonly RunMount[];
  readonly network: string;
  readonly security: string;
  readonly devices: readonly string[];
  /** A heredoc that names its interpreter, or what no argument can hold: made a file at `/dev/pipes/<name>`. */
  readonly script: { readonly name: string; readonly content: string } | undefined;
}

/** COPY or ADD with every word expanded. */
export interface ExpandedTransfer extends Transfer {
  readonly keyword: "COPY" | "ADD";
  /** For a relative destination. */
  readonly workingDirectory: string;
}

export interface Step {
  readonly next: StageState;
  readonly work: Work;
  /** For the history. `sources` is the hash of what a transfer reads, empty for every other work. */
  createdBy(sources: string): string;
  /** Names that an ARG asked for. */
  readonly asked: readonly string[];
  /** Lines for the user. */
  readonly notes: readonly string[];
}

const defaultShell = ["/bin/sh", "-c"];

/** Whose words an image's history is in. */
export type Dialect = "classic" | "buildkit";

/** @throws Fault `invalid` for an expansion that fails or a value that is not allowed. */
export function applyInstruction(
  state: StageState,
  instruction: Instruction,
  o: { readonly escapeChar: string; readonly dialect: Dialect },
): Step {
  return new Applier(state, stageEnvironment(state), o).apply(instruction);
}

class Applier {
  readonly #state: StageState;
  readonly #environment: Environment;
  readonly #escapeChar: string;
  readonly #dialect: Dialect;

  constructor(
    state: StageState,
    environment: Environment,
    o: { readonly escapeChar: string; readonly dialect: Dialect },
  ) {
    this.#state = state;
    this.#environment = environment;
    this.#escapeChar = o.escapeChar;
    this.#dialect = o.dialect;
  }

  apply(instruction: Instruction): Step {
    switch (instruction.kind) {
      case "from":
        throw new Fault("internal", "FROM begins a stage and is no step of one");
      case "run":
        return this.#run(instruction);
      case "copy":
      case "add":
        return this.#transfer(instruction.kind === "copy" ? "COPY" : "ADD", instruction.transfer);
      case "workdir":
        return this.#workdir(instruction.path);
      case "arg":
        return this.#arg(instruction);
      case "env":
        return this.#env(instruction);
      case "label":
        return this.#label(instruction);
      case "cmd":
        return this.#cmd(instruction.command);
      case "entrypoint":
        return this.#entrypoint(instruction.command);
      case "healthcheck":
        return this.#healthcheck(instruction);
      default:
        return this.#setting(instruction);
    }
  }

  /** Instructions that set one value. */
  #setting(
    instruction: InstructionOf<
      "expose" | "volume" | "user" | "stopsignal" | "shell" | "onbuild" | "maintainer"
    >,
  ): Step {
    const { config } = this.#state;
    switch (instruction.kind) {
      case "expose": {
        const ports = instruction.ports.flatMap((port) =>
          expandWords(port, this.#environment, { escapeChar: this.#escapeChar }),
        );
        const exposed = exposedPorts(ports).map((port) => [port, {}] as const);
        const names = exposed.map(([port]) => port).sort();
        const shown =
          this.#dialect === "classic"
            ? ports.join(" ")
            : `map[${names.map((port) => `${port}:{}`).join(" ")}]`;
        return this.#metadata(`EXPOSE ${shown}`, {}, { ports: grown(this.#state.ports, exposed) });
      }
      case "volume": {
        const paths = instruction.paths.map((path) => this.#expand(path));
        if (paths.includes("")) throw new Fault("invalid", "VOLUME specified can not be an empty string");
        const volumes = grown(
          this.#state.volumes,
          paths.map((path) => [path, {}] as const),
        );
        return this.#metadata(`VOLUME [${paths.join(" ")}]`, {}, { volumes });
      }
      case "user": {
        const user = this.#expand(instruction.user);
        return this.#metadata(`USER ${user}`, { User: user });
      }
      case "stopsignal": {
        const signal = this.#expand(instruction.signal);
        checkStopSignal(signal);
        return this.#metadata(`STOPSIGNAL ${signal}`, { StopSignal: signal });
      }
      case "shell":
        return this.#metadata(`SHELL [${instruction.shell.join(" ")}]`, { Shell: [...instruction.shell] });
      case "onbuild":
        return this.#metadata(`ONBUILD ${instruction.trigger}`, {
          OnBuild: [...(config.OnBuild ?? []), instruction.trigger],
        });
      case "maintainer":
        return this.#metadata(`MAINTAINER ${instruction.text}`, {}, { author: instruction.text });
    }
  }

  #expand(word: string): string {
    return expandWord(word, this.#environment, { escapeChar: this.#escapeChar });
  }

  #shell(): readonly string[] {
    const shell = this.#state.config.Shell;
    return shell === undefined || shell.length === 0 ? defaultShell : shell;
  }

  #step(changes: Partial<StageState>, createdBy: Step["createdBy"], more: Partial<Step> = {}): Step {
    return {
      next: { ...this.#state, ...changes },
      work: { kind: "none" },
      createdBy,
      asked: [],
      notes: [],
      ...more,
    };
  }

  #metadata(
    comment: string,
    config: Partial<StageState["config"]>,
    changes: Partial<StageState> = {},
    more: Partial<Step> = {},
  ): Step {
    const createdBy =
      this.#dialect === "classic" ? [...this.#shellAfter(config), "#(nop) ", comment].join(" ") : comment;
    return this.#step({ ...changes, config: { ...this.#state.config, ...config } }, () => createdBy, more);
  }

  /** The history names the shell as it is behind the instruction. */
  #shellAfter(config: Partial<StageState["config"]>): readonly string[] {
    return config.Shell ?? this.#shell();
  }

  #env({ pairs }: InstructionOf<"env">): Step {
    let { env } = this.#state;
    const shown: string[] = [];
    // All words of one instruction see what was before it.
    const lines = pairs.map(({ key, value }) => [this.#expand(key), this.#expand(value)] as const);
    for (const [key, value] of lines) {
      const line = `${key}=${value}`;
      shown.push(line);
      env = env.with(key, line);
    }
    const scope = this.#state.scope.behind(lines.map(([key]) => key));
    return this.#metadata(`ENV ${shown.join(" ")}`, {}, { env, scope });
  }

  #label({ pairs, literal }: InstructionOf<"label">): Step {
    const labels = pairs.map(({ key, value }) =>
      literal ? ([key, value] as const) : ([this.#expand(key), this.#expand(value)] as const),
    );
    const shown = labels.map(([key, value]) => `${key}=${value}`).join(" ");
    return this.#metadata(`LABEL ${shown}`, {}, { labels: grown(this.#state.labels, labels) });
  }

  #arg({ args }: InstructionOf<"arg">): Step {
    let { scope } = this.#state;
    const shown: string[] = [];
    const asked: string[] = [];
    const expanded = args.map(
      ({ key, value }) => [this.#expand(key), value === undefined ? undefined : this.#expand(value)] as const,
    );
    for (const [key, value] of expanded) {
      scope = this.#dialect === "buildkit" ? scope.declareAbove(key, value) : scope.declare(key, value);
      asked.push(key);
      shown.push(value === undefined ? key : `${key}=${value}`);
    }
    return this.#metadata(`ARG ${shown.join(" ")}`, {}, { scope }, { asked });
  }

  #cmd(command: CommandLine): Step {
    const words = this.#words(command);
    return this.#metadata(
      `CMD ${goQuoteList(words)}`,
      { Cmd: words, ...(this.#dialect === "buildkit" && { ArgsEscaped: true }) },
      { commandSet: this.#state.commandSet || command.args.length > 0 },
    );
  }

  #entrypoint(command: CommandLine): Step {
    const words = command.args.length === 0 ? [] : this.#words(command);
    const entrypoint = words.length === 0 ? null : words;
    const kept = this.#state.commandSet ? {} : { Cmd: null };
    return this.#metadata(`ENTRYPOINT ${goQuoteList(words)}`, { Entrypoint: entrypoint, ...kept });
  }

  #healthcheck({ check }: InstructionOf<"healthcheck">): Step {
    const old = this.#state.config.Healthcheck?.Test ?? [];
    const notes =
      old.length > 0 && old[0] !== "NONE"
        ? [`Note: overriding previous HEALTHCHECK: [${old.join(" ")}]\n`]
        : [];
    const shown = this.#dialect === "classic" ? formatHealthcheck(check) : quoteHealthcheck(check);
    const comment = `HEALTHCHECK ${shown}`;
    return this.#metadata(comment, { Healthcheck: check }, {}, { notes });
  }

  #workdir(path: string): Step {
    const wanted = this.#expand(path);
    if (wanted === "") throw new Fault("invalid", "WORKDIR needs a path that is not empty");
    const current = this.#state.config.WorkingDir ?? "";
    const absolute = cleanPath(wanted.startsWith("/") ? wanted : `/${current}/${wanted}`);
    const config = { ...this.#state.config, WorkingDir: absolute };
    const createdBy =
      this.#dialect === "classic"
        ? [...this.#shell(), `#(nop) WORKDIR ${absolute}`].join(" ")
        : `WORKDIR ${absolute}`;
    // BuildKit makes nothing of the root, and gives the rest to the user of the moment.
    const buildkit = this.#dialect === "buildkit";
    if (buildkit && absolute === "/") return this.#step({ config }, () => createdBy);
    const user = buildkit ? (config.User ?? "") : "";
    return this.#step({ config }, () => createdBy, {
      work: { kind: "make-directory", path: absolute, user },
    });
  }

  #run(instruction: InstructionOf<"run">): Step {
    const { command, network, security, devices } = instruction;
    const own = scriptOf(command);
    const words = own === undefined ? this.#words(command) : [...this.#shell(), `/dev/pipes/${own.name}`];
    const long = own === undefined && command.form === "shell" ? tooLong(words.at(-1) ?? "") : undefined;
    const script = own ?? long;
    // The history says what was written; what runs may have to read it.
    const args = long === undefined ? words : [...this.#shell(), `. /dev/pipes/${long.name}`];
    const environment = environmentOf(this.#state.env.values());
    const scope = this.#state.scope;
    const classic = this.#dialect === "classic";
    const known = scope.inScope(environment);
    const inScope = [...(classic ? known : withBothCases(known))];
    const visible = inScope
      .filter(([name]) => scope.isVisible(name))
      .map(([name, value]) => `${name}=${value}`);
    const listed = classic ? visible.sort() : this.#declared(new Map(inScope));
    const prefix = listed.length === 0 ? [] : [`|${listed.length}`, ...listed];
    const line = [...prefix, ...words].join(" ");
    const createdBy = classic ? line : `RUN ${line} # buildkit`;
    const env = inScope.map(([name, value]) => `${name}=${value}`);
    const hidden = inScope.map(([name]) => name).filter((name) => !scope.isVisible(name));
    const mounts = instruction.mounts.map((mount) => parseRunMount(mount, (value) => this.#expand(value)));
    const work = { args, env, hidden, mounts, network, security, devices, script };
    return this.#step({}, () => createdBy, { work: { kind: "run", ...work } });
  }

  /** Every ARG of the stage in the order of the file, with what its name means now. */
  #declared(inScope: ReadonlyMap<string, string>): string[] {
    return this.#state.scope
      .declaredNames()
      .map((name) => `${name}=${inScope.get(name) ?? this.#environment.get(name) ?? ""}`);
  }

  #transfer(keyword: "COPY" | "ADD", transfer: Transfer): Step {
    const chown = this.#expand(transfer.chown);
    const chmod = this.#expand(transfer.chmod);
    const checksum = this.#expand(transfer.checksum);
    const sources = transfer.sources.map((source) => this.#expand(source));
    checkChecksum(checksum, sources);
    const expanded: ExpandedTransfer = {
      keyword,
      workingDirectory: this.#state.config.WorkingDir ?? "",
      sources,
      inline: transfer.inline.map((file) => this.#inline(file)),
      destination: this.#expand(transfer.destination),
      chown,
      chmod,
      from: transfer.from,
      checksum,
      link: transfer.link,
      parents: transfer.parents,
      exclude: transfer.exclude.map((pattern) => this.#expand(pattern)),
      keepGitDir: transfer.keepGitDir,
      unpack: transfer.unpack,
    };
    if (this.#dialect === "buildkit") return this.#placed(expanded);
    const flags = `${chown === "" ? "" : `--chown=${chown} `}${chmod === "" ? "" : `--chmod=${chmod} `}`;
    const shell = this.#shell();
    return this.#step(
      {},
      (sources) => [...shell, `#(nop) ${keyword} ${flags}${sources} in ${expanded.destination} `].join(" "),
      { work: { kind: "transfer", transfer: expanded } },
    );
  }

  #placed(transfer: ExpandedTransfer): Step {
    const flags = [
      transfer.parents ? "--parents" : "",
      transfer.chown === "" ? "" : `--chown=${transfer.chown}`,
      transfer.chmod === "" ? "" : `--chmod=${transfer.chmod}`,
      ...transfer.exclude.map((pattern) => `--exclude=${pattern}`),
    ].filter((flag) => flag !== "");
    const inline = transfer.inline.map(({ name }) => `<<${name}`);
    const words = [transfer.keyword, ...flags, ...transfer.sources, ...inline, transfer.destination];
    return this.#step({}, () => `${words.join(" ")} # buildkit`, {
      work: { kind: "transfer", transfer },
    });
  }

  /** A heredoc's references are expanded; its quotes and escapes before other characters stay. */
  #inline(file: InlineFile): InlineFile {
    if (!file.expand) return file;
    const content = file.content.replace(
      /\\([\\$])|\$(?:\{[^}]*\}|\w+)/g,
      (reference: string, escaped: string | undefined) =>
        escaped ?? expandWord(reference, this.#environment, { escapeChar: "\\" }),
    );
    return { ...file, content };
  }

  #words(command: CommandLine): string[] {
    if (command.form === "exec") return [...command.args];
    return [...this.#shell(), withHeredocs(command.args[0] ?? "", command)];
  }
}

/** BuildKit's: a proxy has its name in both cases, since programs disagree on which to ask for. */
function withBothCases(values: ReadonlyMap<string, string>): Map<string, string> {
  const all = new Map(values);
  for (const [name, value] of values) {
    if (!proxyArguments.includes(name)) continue;
    for (const twin of [name.toUpperCase(), name.toLowerCase()]) if (!all.has(twin)) all.set(twin, value);
  }
  return all;
}

/** A heredoc that is all of a command and begins with `#!`. */
function scriptOf({ args, heredocs }: CommandLine): RunWork["script"] {
  const [heredoc, ...more] = heredocs;
  if (heredoc === undefined || more.length > 0 || parseHeredocWord(args[0] ?? "") === undefined)
    return undefined;
  const content = heredocBody(heredoc);
  return content.startsWith("#!") ? { name: heredoc.name, content } : undefined;
}

/** MAX_ARG_STRLEN of Linux: 32 pages, the NUL at the end included. */
const argumentBytesMax = 131_071;

function tooLong(text: string): RunWork["script"] {
  return Buffer.byteLength(text) > argumentBytesMax ? { name: "script", content: text } : undefined;
}

/** A script that is only a heredoc is the script; one among other words is left to the shell, body and all. */
function withHeredocs(line: string, { heredocs }: CommandLine): string {
  const [first, ...more] = heredocs;
  if (first === undefined) return line;
  if (more.length === 0 && parseHeredocWord(line) !== undefined) return heredocBody(first);
  return `${line}\n${heredocs.map((heredoc) => `${heredoc.content}${heredoc.name}`).join("\n")}`;
}
