/** What is used of the library, which has no types of its own. */
declare module "websocket-driver" {
  import type { EventEmitter } from "node:events";

  interface DriverRequest {
    readonly method: string;
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
  }

  /** Events: `message` with `{ data }`, `close`, `error`. */
  interface Driver extends EventEmitter {
    /** Bytes in by `write`, bytes out by the event `data`. */
    readonly io: EventEmitter & { write(bytes: Uint8Array): boolean };
    start(): boolean;
    text(message: string): boolean;
    binary(message: Buffer): boolean;
    close(reason?: string, code?: number): boolean;
  }

  const websocket: {
    http(request: DriverRequest, options: { maxLength?: number; requireMasking?: boolean }): Driver;
    isWebSocket(request: DriverRequest): boolean;
    /** The other side, for tests. */
    client(url: string): Driver;
  };
  export default websocket;
}
