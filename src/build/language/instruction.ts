/** Pure. What a Dockerfile's instructions are once understood; every other file of the room speaks of these. */
import type { Healthcheck } from "#spec/image.ts";
import type { Heredoc } from "./heredoc.ts";
import type { LineRange } from "./lines.ts";

/** RUN, CMD and ENTRYPOINT. In shell form `args` holds at most the one line for the shell. */
export interface CommandLine {
  readonly args: readonly string[];
  readonly form: "exec" | "shell";
  readonly heredocs: readonly Heredoc[];
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
}

/** A file whose content stands in the Dockerfile. */
export interface InlineFile {
  readonly name: string;
  readonly content: string;
  readonly expand: boolean;
}

/** COPY and ADD. Words are not yet expanded. */
export interface Transfer {
  readonly sources: readonly string[];
  readonly inline: readonly InlineFile[];
  readonly destination: string;
  readonly chown: string;
  readonly chmod: string;
  /** COPY only: stage name, stage index or image; empty for the context. Never expanded. */
  readonly from: string;
  /** ADD only: the digest a fetched file must have, or the commit; empty for none. */
  readonly checksum: string;
  /** A layer that does not depend on what is below it. */
  readonly link: boolean;
  /** Directories of the source's path are made too, from `/./` on. */
  readonly parents: boolean;
  /** Patterns of what is left out. */
  readonly exclude: readonly string[];
  /** ADD only: a clone keeps `.git`. */
  readonly keepGitDir: boolean;
  /** ADD only: archives are unpacked; undefined for the usual, which is local ones. */
  readonly unpack: boolean | undefined;
}

export type InstructionBody =
  | {
      readonly kind: "from";
      readonly base: string;
      readonly name: string;
      readonly platform: string;
      /** `as` and the name in the user's letters, empty for none. */
      readonly written: { readonly as: string; readonly name: string };
    }
  | {
      readonly kind: "run";
      readonly command: CommandLine;
      /** As written, not yet expanded. */
      readonly mounts: readonly string[];
      readonly network: string;
      readonly security: string;
      readonly devices: readonly string[];
    }
  | { readonly kind: "cmd"; readonly command: CommandLine }
  | { readonly kind: "entrypoint"; readonly command: CommandLine }
  | { readonly kind: "copy"; readonly transfer: Transfer }
  | { readonly kind: "add"; readonly transfer: Transfer }
  | { readonly kind: "env"; readonly pairs: readonly KeyValue[] }
  /** `literal` labels come from the request, not from the file: no expansion. */
  | { readonly kind: "label"; readonly pairs: readonly KeyValue[]; readonly literal: boolean }
  | { readonly kind: "arg"; readonly args: readonly { readonly key: string; readonly value?: string }[] }
  | { readonly kind: "workdir"; readonly path: string }
  | { readonly kind: "user"; readonly user: string }
  | { readonly kind: "volume"; readonly paths: readonly string[] }
  | { readonly kind: "expose"; readonly ports: readonly string[] }
  | { readonly kind: "stopsignal"; readonly signal: string }
  | { readonly kind: "shell"; readonly shell: readonly string[] }
  | { readonly kind: "healthcheck"; readonly check: Healthcheck }
  | { readonly kind: "onbuild"; readonly trigger: string }
  | { readonly kind: "maintainer"; readonly text: string };

export type Instruction = InstructionBody & {
  /** As written, joined and trimmed: what `Step n/m :` shows. */
  readonly source: string;
  readonly lines: LineRange;
  /** Names of the flags that were given, without the dashes, in order. */
  readonly flags: readonly string[];
  /** In the user's letters. */
  readonly keyword: string;
  /** Comment lines right above, without their marks. */
  readonly comments: readonly string[];
};

export type InstructionKind = Instruction["kind"];

/** One kind of instruction. */
export type InstructionOf<K extends InstructionKind> = Extract<Instruction, { readonly kind: K }>;

/** Every keyword of the language, in capitals. */
export const keywords = [
  "ADD",
  "ARG",
  "CMD",
  "COPY",
  "ENTRYPOINT",
  "ENV",
  "EXPOSE",
  "FROM",
  "HEALTHCHECK",
  "LABEL",
  "MAINTAINER",
  "ONBUILD",
  "RUN",
  "SHELL",
  "STOPSIGNAL",
  "USER",
  "VOLUME",
  "WORKDIR",
] as const;

export type Keyword = (typeof keywords)[number];
