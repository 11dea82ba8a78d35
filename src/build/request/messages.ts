/**
 * What a build says while it runs, in the words and pieces of dockerd's classic builder.
 * Owns: the messages' shapes and a bounded channel from the solver to whoever reads.
 */

import type { Frame } from "#build/build-engine.ts";
import { shortDigest } from "#spec/digest.ts";
import type { JsonMessage } from "#spec/docker-wire.ts";
import type { Fault } from "#spec/fault.ts";

/** One JSON line of the answer to `POST /build`. */
export type BuildMessage =
  | { readonly stream: string }
  | { readonly aux: { readonly ID: string } }
  /** Of a pull. */
  | Pick<JsonMessage, "status" | "id" | "progressDetail">
  | { readonly errorDetail: { readonly code?: number; readonly message: string }; readonly error: string };

/** The first 12 characters of a container's or image's id. */
export function shortId(id: string): string {
  return id.includes(":") ? shortDigest(id) : id.slice(0, 12);
}

/** A failure as the last line of a build that has already said something. */
export function errorMessage(fault: Fault): BuildMessage {
  const code = fault.detail["exitCode"];
  const message = fault.message;
  return { errorDetail: { ...(typeof code === "number" && { code }), message }, error: message };
}

/** Messages that may wait for a slow reader before the build itself waits. */
const waitingMessagesMax = 256;

/** One writer side, one reader side. A reader that goes away makes every later `push` return at once. */
export class MessageChannel {
  readonly #waiting: BuildMessage[] = [];
  #ended = false;
  #failure: unknown;
  #readable = Promise.withResolvers<void>();
  #writable = Promise.withResolvers<void>();

  /** Resolves when there is room for the next one. */
  async push(message: BuildMessage): Promise<void> {
    if (this.#ended) return;
    this.#waiting.push(message);
    this.#readable.resolve();
    while (this.#waiting.length >= waitingMessagesMax && !this.#ended) {
      this.#writable = Promise.withResolvers();
      await this.#writable.promise;
    }
  }

  /** No more messages; the reader gets what waits, then `failure` is thrown there if one is given. Idempotent. */
  end(failure?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    this.#readable.resolve();
    this.#writable.resolve();
  }

  async *read(): AsyncGenerator<BuildMessage, void> {
    for (;;) {
      const message = this.#waiting.shift();
      if (message !== undefined) {
        this.#writable.resolve();
        yield message;
      } else if (this.#ended) {
        if (this.#failure !== undefined) throw this.#failure;
        return;
      } else {
        this.#readable = Promise.withResolvers();
        await this.#readable.promise;
      }
    }
  }
}

/** What the solver speaks through. */
export class Reporter {
  readonly #channel: Pick<MessageChannel, "push">;
  readonly #decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };

  constructor(channel: Pick<MessageChannel, "push">) {
    this.#channel = channel;
  }

  say(text: string): Promise<void> {
    return this.#channel.push({ stream: text });
  }

  /** dockerd prints the line and its end apart, and clients count on neither; the pieces are kept all the same. */
  async step(number: number, count: number, source: string): Promise<void> {
    await this.say(`Step ${number}/${count} : ${source}`);
    await this.say("\n");
  }

  /** How a pull goes; nobody waits for it to be read. */
  progress({ status = "", id, progressDetail }: JsonMessage): void {
    const detail = progressDetail !== undefined && { progressDetail };
    void this.#channel.push({ status, ...(id !== undefined && { id }), ...detail });
  }

  imageId(id: string): Promise<void> {
    return this.#channel.push({ aux: { ID: id } });
  }

  /** A command's output as it comes; what it writes to stderr is red, as dockerd has it. */
  async output(frame: Frame): Promise<void> {
    const text = this.#decoders[frame.stream].decode(frame.bytes, { stream: true });
    if (text !== "") await this.say(frame.stream === "stderr" ? `\u001b[91m${text}\u001b[0m` : text);
  }

  /** Ends a command's output: a character cut off in the middle is not carried into the next one's. */
  endOutput(): void {
    for (const decoder of Object.values(this.#decoders)) decoder.decode();
  }
}

/** What the solver needs of it. */
export type StepReporter = Pick<Reporter, "say" | "step" | "progress" | "imageId" | "output" | "endOutput">;
