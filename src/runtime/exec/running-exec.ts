/** What an exec is asked for with, and what comes of it. */

import type { ConsoleSize } from "#runtime/conmon/control.ts";
import type { OciProcess } from "#spec/oci-runtime.ts";
import type { OutputFrame } from "./exec-output.ts";

/** In an exec's directory: where its exit code is left, as the only file, by who outlives the engine. */
export const exitHome = "exit";

export interface Input extends AsyncDisposable {
  write(bytes: Uint8Array): Promise<void>;
  end(): Promise<void>;
}

/** What is to be run, and who wants what of it. */
export interface ExecOrder {
  readonly containerId: string;
  readonly execId: string;
  /** Of this exec alone; made here, removed when it ended. */
  readonly directory: string;
  readonly process: OciProcess;
  readonly streams: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean };
  /** Whether what it leaves running behind becomes the container's, not its parent's: in a pid namespace of its own. */
  readonly orphansLeave: boolean;
}

/** Disposing lets go of the streams: output is dropped from then on, the process goes on. */
export interface RunningExec extends AsyncDisposable {
  readonly pid: number;
  readonly output: AsyncIterable<OutputFrame>;
  readonly input?: Input | undefined;
  /** Settles with the process; its output may still be on its way. */
  readonly exit: Promise<number>;
  resize(size: ConsoleSize): Promise<void>;
  /** To the process and what it started, see exec-processes.ts. */
  kill(signal: number): Promise<void>;
}
