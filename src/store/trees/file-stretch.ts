/**
 * So many bytes of an open file, read into memory that somebody has: memory of its own for each file costs more than
 * reading it.
 */
import { closeDescriptor, readInto, seekTo } from "#kernel/files/files-at.ts";

/** Dispose it to close the file. */
export class FileStretch implements Disposable {
  readonly #fd: number | undefined;
  #left: number;

  /** Takes the descriptor over. Without one all is zeros. */
  constructor(fd: number | undefined, o: { readonly offset?: number; readonly lengthBytes: number }) {
    this.#fd = fd;
    this.#left = o.lengthBytes;
    if (fd !== undefined && o.offset !== undefined && o.offset > 0) seekTo(fd, o.offset);
  }

  get leftBytes(): number {
    return this.#left;
  }

  /** The next bytes into `room`, as many as come at once; what the file lacks by now are zeros. @returns How many. */
  read(room: Buffer): number {
    const wanted = Math.min(this.#left, room.length);
    const got = this.#fd === undefined ? 0 : readInto(this.#fd, room, { length: wanted });
    if (got === 0) room.fill(0, 0, wanted);
    const done = got === 0 ? wanted : got;
    this.#left -= done;
    return done;
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeDescriptor(this.#fd);
  }
}
