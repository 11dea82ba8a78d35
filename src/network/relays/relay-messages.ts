/** What the engine and the thread that relays say to one another. Pure. */

/** Where connections are led: a container's address and port. */
export interface RelayTarget {
  readonly address: string;
  readonly port: number;
}

export type RelayCommand =
  /** The descriptor is the thread's from then on. */
  | {
      readonly kind: "serve";
      readonly id: number;
      readonly fd: number;
      readonly protocol: "tcp" | "udp";
      readonly target: RelayTarget;
    }
  | { readonly kind: "lead"; readonly id: number; readonly target: RelayTarget }
  | { readonly kind: "close"; readonly id: number };

export type RelayReport =
  | { readonly kind: "closed"; readonly id: number }
  | { readonly kind: "failed"; readonly message: string };

/** A port that is relayed. */
export interface Relay {
  /** Whoever comes from now on. */
  target: RelayTarget;
  /** With all its connections; the port is free when it returns. */
  close(): void;
}
