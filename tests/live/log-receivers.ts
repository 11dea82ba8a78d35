/** Receivers of logs on real sockets, in an engine's own network. */
import { decodeMultiStream, encode } from "@msgpack/msgpack";
import type { Socket, TCPSocketListener } from "bun";
import { inNamespace } from "#kernel/network/netns.ts";

export interface StreamReceiver extends Disposable {
  readonly port: number;
  text(): string;
  /** Cuts every connection and listens no more; `listen` begins again, on the same port. */
  stop(): void;
  listen(): void;
}

type Taken = (bytes: Uint8Array, answer: (bytes: Uint8Array) => void) => void;

/** `connection` is called for each, and what it returns with each part of it. */
export function receiveStream(
  netns: string,
  o: {
    readonly unix?: string;
    readonly tls?: { readonly cert: string; readonly key: string };
    readonly connection?: () => Taken;
  } = {},
): StreamReceiver {
  let listener: TCPSocketListener<undefined> | undefined;
  let port = 0;
  const parts: Buffer[] = [];
  const open = new Map<Socket<undefined>, Taken | undefined>();
  const socket = {
    open: (each: Socket<undefined>) => void open.set(each, o.connection?.()),
    close: (each: Socket<undefined>) => void open.delete(each),
    data: (each: Socket<undefined>, bytes: Uint8Array) => {
      parts.push(Buffer.from(bytes));
      open.get(each)?.(bytes, (answer) => void each.write(answer));
    },
  };
  const listen = (): void => {
    const at = o.unix === undefined ? { hostname: "127.0.0.1", port } : { unix: o.unix };
    const options = { ...at, socket, ...(o.tls !== undefined && { tls: o.tls }) };
    listener = inNamespace(netns, () => Bun.listen(options as never)) as TCPSocketListener<undefined>;
    if (o.unix === undefined) port = listener.port;
  };
  const stop = (): void => {
    listener?.stop(true);
    for (const each of open.keys()) each.terminate();
  };
  listen();
  return {
    get port() {
      return port;
    },
    text: () => Buffer.concat(parts).toString(),
    stop,
    listen,
    [Symbol.dispose]: stop,
  };
}

export interface DatagramsReceived extends Disposable {
  readonly port: number;
  readonly datagrams: Buffer[];
}

export async function receiveUdp(netns: string): Promise<DatagramsReceived> {
  const datagrams: Buffer[] = [];
  const socket = await inNamespace(netns, () =>
    Bun.udpSocket({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: (_, bytes) => void datagrams.push(Buffer.from(bytes)) },
    }),
  );
  return { port: socket.port, datagrams, [Symbol.dispose]: () => socket.close() };
}

export interface ForwardReceiver extends StreamReceiver {
  /** `[tag, time, record, option]`. */
  readonly messages: [string, unknown, Record<string, string>, Record<string, string>][];
}

/** A receiver of the forward protocol that acknowledges what asks for it. */
export function receiveForward(netns: string): ForwardReceiver {
  const messages: ForwardReceiver["messages"] = [];
  const connection = (): Taken => {
    const queue: Uint8Array[] = [];
    let wake = (): void => undefined;
    let answer: (bytes: Uint8Array) => void = () => undefined;
    async function* bytes(): AsyncGenerator<Uint8Array> {
      for (;;) {
        const part = queue.shift();
        if (part !== undefined) yield part;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    }
    void (async () => {
      for await (const decoded of decodeMultiStream(bytes())) {
        const message = decoded as ForwardReceiver["messages"][number];
        messages.push(message);
        const { chunk } = message[3];
        if (chunk !== undefined) answer(encode({ ack: chunk }));
      }
    })();
    return (part, respond) => {
      answer = respond;
      queue.push(Uint8Array.from(part));
      wake();
    };
  };
  return Object.assign(receiveStream(netns, { connection }), { messages });
}
