/** What exporters have in common: a vertex of their own that tells what they do, and the way to the client's files. */
import { createHash } from "node:crypto";
import { session, sessionHeader } from "#spec/buildkit-session.ts";
import type { Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import { faultOfCall } from "#spec/grpc-status.ts";
import type { BuildJob } from "./build-jobs.ts";
import type { BuildkitParts } from "./buildkit-parts.ts";
import type { ClientSession } from "./client-sessions.ts";

/** What exporters answer: what `--metadata-file` and `--iidfile` show. */
export type ExportAnswer = Record<string, string>;

/** One message to a client: the default bound of its gRPC is 4 MiB. */
export const sentBytesMax = 3 << 20;

/** @throws Fault `invalid` when the client takes no files. */
export async function fileTaker({ sessions }: BuildkitParts, job: BuildJob): Promise<ClientSession> {
  const found = await sessions.find(job.request.Session, job.signal);
  if (!found.answers(session.fileSend))
    throw new Fault("invalid", "the client takes no files: it named no place for them");
  return found;
}

/** One file to the client, with what is to be known about it. */
export async function sendArchive(
  parts: BuildkitParts,
  job: BuildJob,
  step: ExportStep,
  o: {
    /** The exporter's number. */
    readonly index: number;
    readonly archive: AsyncIterable<Uint8Array>;
    readonly about: ExportAnswer;
  },
): Promise<void> {
  const { channel } = await fileTaker(parts, job);
  const about = Object.entries(o.about).map(([name, value]) => [`exporter-md-${name}`, [value]]);
  const metadata = { ...Object.fromEntries(about), [sessionHeader.exporterId]: [String(o.index)] };
  using call = channel.open(session.fileSendBytes, { metadata, signal: job.signal });
  await step.part("sending tarball", async (told) => {
    let bytes = 0;
    for await (const chunk of o.archive) {
      for (let at = 0; at < chunk.length; at += sentBytesMax)
        await call.send({ data: chunk.subarray(at, at + sentBytesMax) });
      bytes += chunk.length;
      told(bytes);
    }
    call.end();
    for await (const _ of call.responses);
  });
}

/** A vertex of its own for what an exporter does. */
export class ExportStep {
  readonly #job: BuildJob;
  readonly #now: () => number;
  readonly #name: string;
  readonly #digest: Digest;
  readonly #startedMs: number;

  constructor(job: BuildJob, now: () => number, name: string) {
    this.#job = job;
    this.#now = now;
    this.#name = name;
    const seed = `${job.request.Ref} ${name} ${job.feed.counts.total}`;
    this.#digest = `sha256:${createHash("sha256").update(seed).digest("hex")}` as Digest;
    this.#startedMs = now();
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#tell();
    try {
      const done = await work();
      this.#tell({ completedMs: this.#now() });
      return done;
    } catch (thrown) {
      const fault = faultOfCall(thrown);
      const error = fault.kind === "cancelled" ? "context canceled" : fault.message;
      this.#tell({ completedMs: this.#now(), error });
      throw fault;
    }
  }

  /** One part of it, with the bytes it has moved. */
  async part<T>(id: string, work: (told: (bytes: number) => void) => Promise<T>): Promise<T> {
    const startedMs = this.#now();
    let current = 0;
    const status = (completedMs?: number): void =>
      this.#job.feed.status({
        ...{ id, vertex: this.#digest, current, total: 0, timeMs: this.#now(), startedMs },
        ...(completedMs !== undefined && { completedMs }),
      });
    status();
    let toldMs = startedMs;
    const done = await work((bytes) => {
      current = bytes;
      if (this.#now() - toldMs < tellEveryMs) return;
      toldMs = this.#now();
      status();
    });
    status(this.#now());
    return done;
  }

  done(id: string): void {
    const timeMs = this.#now();
    const moment = { timeMs, startedMs: timeMs, completedMs: timeMs };
    this.#job.feed.status({ id, vertex: this.#digest, current: 0, total: 0, ...moment });
  }

  #tell(end: { readonly completedMs?: number; readonly error?: string } = {}): void {
    const about = { digest: this.#digest, inputs: [], name: this.#name, startedMs: this.#startedMs };
    this.#job.feed.vertex({ ...about, ...end });
  }
}

const tellEveryMs = 100;
