/** The line that says how much was copied, as the docker CLI keeps it. */
import { type CliIo, write } from "#cli/flags/command.ts";
import { humanSize } from "#cli/flags/units.ts";

/** How often it changes. */
const intervalMs = 75;
const [save, restore, eraseLine] = ["\x1b7", "\x1b8", "\x1b[2K"];
const [hideCursor, showCursor] = ["\x1b[?25l", "\x1b[?25h"];

export class CopyProgress implements Disposable {
  readonly #io: CliIo;
  readonly #quiet: boolean;
  #timer: ReturnType<typeof setInterval> | undefined;
  #bytes = 0;

  /** `header` stands before the size while the copy goes on; only a terminal shows it. */
  constructor(io: CliIo, header: string, quiet: boolean) {
    this.#io = io;
    this.#quiet = quiet;
    if (quiet || !io.stderr.isTTY) return;
    const show = (): void => void io.stderr.write(`${restore}${eraseLine}${header}${humanSize(this.#bytes)}`);
    io.stderr.write(`${save}${hideCursor}`);
    show();
    this.#timer = setInterval(show, intervalMs);
  }

  /** The same stream, counted. */
  async *count(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const part of tar) {
      this.#bytes += part.length;
      yield part;
    }
  }

  /** `%s` in the message is what was copied. */
  async end(message: string): Promise<void> {
    this[Symbol.dispose]();
    if (!this.#quiet) await write(this.#io.stderr, `${message.replace("%s", humanSize(this.#bytes))}\n`);
  }

  [Symbol.dispose](): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#io.stderr.write(`${restore}${eraseLine}${showCursor}`);
  }
}
