/** The lifecycle's words: what can happen to a container, and what there is to do about it. */
import type { ContainerRecord } from "#spec/container.ts";
import type { ProbeResult } from "#spec/health.ts";

export type LifecycleEvent =
  | { readonly kind: "created" }
  | { readonly kind: "start-requested" }
  | { readonly kind: "launched"; readonly pid: number }
  | { readonly kind: "launch-failed"; readonly exitCode: number; readonly error: string }
  /** By `restart`, its end is no stop: the container is about to be started again. */
  | {
      readonly kind: "stop-requested";
      readonly by: "stop" | "kill" | "restart";
      readonly signal: number;
    }
  | ({ readonly kind: "exited" } & Exit)
  /** The kernel killed a process of the container for want of memory; it need not have been the first. */
  | { readonly kind: "out-of-memory" }
  | { readonly kind: "restart-due" }
  | { readonly kind: "probed"; readonly result: ProbeResult }
  | { readonly kind: "paused" }
  | { readonly kind: "resumed" }
  | { readonly kind: "remove-requested" }
  | { readonly kind: "remove-failed"; readonly error: string }
  | { readonly kind: "engine-started"; readonly reality: Reality };

export interface Exit {
  readonly exitCode: number;
  readonly oomKilled: boolean;
  readonly finishedAt: string;
}

/** What the runtime says of a container when the engine comes back to it. */
export type Reality =
  | { readonly state: "running" | "paused"; readonly pid: number }
  | { readonly state: "created" | "absent" }
  | ({ readonly state: "stopped" } & Exit);

export type Action =
  /** Acquire rootfs, network and process. */
  | { readonly do: "launch" }
  /** Follow the process until it ends. */
  | { readonly do: "watch" }
  /** Look at its health from now on, until it rests. */
  | { readonly do: "probe" }
  | { readonly do: "stop-probing" }
  /** Ask the process to end, and kill it after the container's grace. */
  | { readonly do: "end" }
  /** Give back process, network and mounts; the writable layer stays. */
  | { readonly do: "release" }
  | { readonly do: "remove"; readonly volumes: boolean }
  | { readonly do: "restart-after"; readonly delayMs: number }
  | { readonly do: "cancel-restart" }
  | { readonly do: "emit"; readonly action: string; readonly attributes: Readonly<Record<string, string>> };

export type Transition = readonly [record: ContainerRecord, actions: readonly Action[]];
