/** The closed set of reasons a request can fail for. Each edge translates it once (HTTP status, exit code). */
export type FaultKind =
  | "invalid"
  | "not-found"
  | "conflict"
  | "denied"
  | "unauthorized"
  | "unavailable"
  | "timeout"
  | "cancelled"
  | "unsupported"
  | "internal";

export interface FaultOptions {
  readonly cause?: unknown;
  /** Machine-readable detail that an edge may show beside the sentence, such as the exit code of a failed start. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

/** An error with a reason a caller can act on. The message is one sentence for the user, with the way out. */
export class Fault extends Error {
  readonly kind: FaultKind;
  readonly detail: Readonly<Record<string, unknown>>;

  constructor(kind: FaultKind, message: string, options: FaultOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "Fault";
    this.kind = kind;
    this.detail = options.detail ?? {};
  }

  /**
   * Any thrown value as a Fault. A `SuppressedError` from a throwing disposer is unwrapped to the error that came
   * first; an abort becomes `cancelled`, an expired `AbortSignal.timeout` becomes `timeout`, the rest `internal`.
   */
  static from(thrown: unknown): Fault {
    if (thrown instanceof Fault) return thrown;
    if (thrown instanceof SuppressedError) return Fault.from(thrown.suppressed ?? thrown.error);
    if (thrown instanceof Error) {
      const kind: FaultKind =
        thrown.name === "AbortError" ? "cancelled" : thrown.name === "TimeoutError" ? "timeout" : "internal";
      return new Fault(kind, thrown.message, { cause: thrown });
    }
    return new Fault("internal", String(thrown), { cause: thrown });
  }
}

/** True when `thrown` is a Fault of the given kind. */
export function isFault(thrown: unknown, kind: FaultKind): thrown is Fault {
  return thrown instanceof Fault && thrown.kind === kind;
}
