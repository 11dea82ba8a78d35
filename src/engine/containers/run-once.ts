/**
 * One command in a container that nobody sees: a step of an image build.
 * Promises: the container is gone on every way out; output comes whole and in order before the result.
 */

import type { Attachment, Streams } from "#engine/lifecycle/streams.ts";
import type { Frame, LayerPart } from "#engine/parts.ts";
import {
  type ContainerConfig,
  type ContainerRecord,
  type HostConfig,
  parseContainerId,
} from "#spec/container.ts";
import type { ChainId, Digest } from "#spec/digest.ts";
import { Fault } from "#spec/fault.ts";
import type { Containers } from "./containers.ts";

export interface RunOnceOptions {
  readonly chainId?: ChainId;
  /** Complete: nothing is merged into it. */
  readonly config: ContainerConfig;
  readonly host: HostConfig;
  readonly signal: AbortSignal;
  /** Called once, before any output. */
  onCreated?(containerId: string): void | Promise<void>;
  onOutput(frame: Frame): void | Promise<void>;
  /** Called when the command has ended well, with the directory of its changes, no longer mounted. */
  settle?(changes: string): void | Promise<void>;
  /** A layer also when nothing was changed. @default false */
  readonly always?: boolean;
}

export interface RunOnceResult {
  readonly containerId: string;
  readonly exitCode: number;
  /** Absent when the command failed or changed nothing. */
  readonly layer?: { readonly chainId: ChainId; readonly diffId: Digest } | undefined;
}

export interface RunOnceParts {
  readonly containers: Pick<Containers, "make" | "start" | "remove" | "wait">;
  readonly streams: Pick<Streams, "attach">;
  readonly layers: Pick<LayerPart, "changes" | "commit" | "unmount" | "writablePath">;
  readonly randomHex: (bytes: number) => string;
}

/** The id is of no image: the step's own does not exist yet. */
const noImage = parseContainerId("0".repeat(64));

/** @throws Fault with `detail.exitCode` when the command cannot be started; the signal's reason. */
export async function runOnce(parts: RunOnceParts, o: RunOnceOptions): Promise<RunOnceResult> {
  const { containers, streams, layers } = parts;
  const record = await containers.make({
    name: `build-${parts.randomHex(12)}`,
    image: {
      reference: "",
      id: `sha256:${noImage}` as Digest,
      ...(o.chainId !== undefined && { chainId: o.chainId }),
    },
    config: o.config,
    host: o.host,
    endpoints: {},
    purpose: "build",
    signal: o.signal,
  });
  await using gone = new AsyncDisposableStack();
  gone.defer(async () => await remove(parts, record));
  await o.onCreated?.(record.id);
  const attached = streams.attach(record.id, {
    logs: false,
    stream: true,
    stdin: false,
    stdout: true,
    stderr: true,
    signal: o.signal,
  });
  gone.defer(async () => await attached[Symbol.asyncDispose]());
  const { exit } = containers.wait(record.id, "next-exit", o);
  const output = hand(attached, o);
  // A start that fails is what counts then; neither of these must be left unhandled.
  for (const pending of [exit, output]) pending.catch(() => undefined);
  await containers.start(record.id, o);
  const { exitCode } = await exit;
  await output;
  if (exitCode !== 0) return { containerId: record.id, exitCode };
  if (o.settle !== undefined) {
    layers.unmount(record.id);
    await o.settle(layers.writablePath(record.id));
  }
  if (o.always !== true && !(await hasChanges(layers, record.id, o.signal)))
    return { containerId: record.id, exitCode };
  const { chainId, diffId } = await layers.commit(record.id, { consume: true, signal: o.signal });
  return { containerId: record.id, exitCode, layer: { chainId, diffId } };
}

async function hand(attached: Attachment, o: RunOnceOptions): Promise<void> {
  for await (const frame of attached.output) await o.onOutput(frame);
}

async function hasChanges(
  layers: Pick<LayerPart, "changes">,
  id: string,
  signal: AbortSignal,
): Promise<boolean> {
  for await (const _ of layers.changes(id, { signal })) return true;
  return false;
}

/** Also when the work was called off: the removal has a signal of its own. */
async function remove({ containers }: RunOnceParts, { id }: ContainerRecord): Promise<void> {
  try {
    const signal = AbortSignal.timeout(removalMs);
    await containers.remove(id, { force: true, volumes: { now: true }, signal });
  } catch (thrown) {
    if (Fault.from(thrown).kind !== "not-found") throw thrown;
  }
}
const removalMs = 30_000;
