/**
 * Progress lines of the engine, shown as the docker CLI shows them: each layer on a line of its own that changes in place on
 * a terminal; elsewhere only what happened, one line after the other.
 */

import { write } from "#cli/flags/command.ts";
import type { JsonMessage } from "#spec/docker-wire.ts";
import { Fault } from "#spec/fault.ts";
import { progressBar } from "#spec/progress-bar.ts";

const barCellsMax = 50;
/** What stands beside the bar: id, status, numbers. */
const besideBarCells = 58;

/** What comes with the end of a push or load for programs is not shown. @throws Fault of an error in the stream. */
export async function showProgress(
  messages: AsyncIterable<JsonMessage>,
  to: NodeJS.WriteStream,
): Promise<void> {
  const screen = new Screen(to);
  for await (const message of messages) {
    if (message.error !== undefined)
      throw new Fault("internal", message.errorDetail?.message ?? message.error);
    if (message.aux === undefined) await screen.show(message);
  }
}

class Screen {
  readonly #to: NodeJS.WriteStream;
  /** Line of each id, from the top. */
  readonly #lines = new Map<string, number>();

  constructor(to: NodeJS.WriteStream) {
    this.#to = to;
  }

  async show(message: JsonMessage): Promise<void> {
    const { id, status, stream, progressDetail } = message;
    const counts = progressDetail?.current !== undefined;
    if (!this.#to.isTTY) {
      if (stream !== undefined) await write(this.#to, stream);
      else if (!counts) await write(this.#to, `${id === undefined ? "" : `${id}: `}${status ?? ""}\n`);
      return;
    }
    if (id === undefined || progressDetail === undefined) {
      // Whatever comes next stands below.
      this.#lines.clear();
      await write(this.#to, stream ?? `${id === undefined ? "" : `${id}: `}${status ?? ""}\n`);
      return;
    }
    await this.#inPlace(id, `${id}: ${status ?? ""} ${counts ? this.#bar(message) : ""}`);
  }

  #bar({ progressDetail: { current = 0, total = 0 } = {} }: JsonMessage): string {
    const cells = Math.min(barCellsMax, (this.#to.columns ?? 80) - besideBarCells);
    return progressBar(current, total, Math.max(0, cells));
  }

  async #inPlace(id: string, text: string): Promise<void> {
    const known = this.#lines.get(id);
    if (known === undefined) {
      this.#lines.set(id, this.#lines.size);
      await write(this.#to, `${text}\n`);
      return;
    }
    const up = this.#lines.size - known;
    await write(this.#to, `\x1b[${up}A\x1b[2K\r${text}\x1b[${up}B\r`);
  }
}
