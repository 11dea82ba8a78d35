/**
 * Single probes, and what each met: a connection that is closed as soon as it is made, a datagram that says what it is.
 * Promises: each within `patienceMs`. Never: waits in another network namespace.
 */
import { inNamespace } from "#kernel/network/netns.ts";
import { probeMark } from "#kernel/sockets/packet-witness.ts";
import { anywhere, familyOf } from "#spec/ip.ts";
import type { ProbeResult } from "#spec/network.ts";

const patienceMs = 500;
/** Between two looks for a datagram, which is sent again once: the first one may wait for an address of hardware. */
const [lookMs, againMs] = [20, 150];

export interface ProbeTarget {
  /** Where it is sent from; the host's own namespace when absent. */
  readonly netnsPath: string | undefined;
  readonly address: string;
  readonly port: number;
}

export async function connects({ address, netnsPath, port }: ProbeTarget): Promise<ProbeResult> {
  const { promise, resolve } = Promise.withResolvers<ProbeResult>();
  const timer = setTimeout(resolve, patienceMs, "no answer");
  let close = (): void => undefined;
  const fail = (error: unknown): void => resolve(isRefusal(error) ? "refused" : "no answer");
  const connect = (): void => {
    Bun.connect({
      hostname: address,
      port,
      socket: {
        open: (socket) => {
          close = () => socket.terminate();
          resolve("open");
        },
        data: () => undefined,
        connectError: (_, error) => fail(error),
        error: (_, error) => fail(error),
      },
    }).catch(fail);
  };
  try {
    from(netnsPath, connect);
    return await promise;
  } catch {
    // Its container went meanwhile.
    return "no answer";
  } finally {
    clearTimeout(timer);
    close();
  }
}

/** `arrived` is asked again and again whether the datagram with this text came to the container. */
export async function answersDatagram(
  { address, netnsPath, port }: ProbeTarget,
  token: string,
  arrived: () => boolean,
): Promise<ProbeResult> {
  const { promise, resolve } = Promise.withResolvers<ProbeResult>();
  let timer: ReturnType<typeof setInterval> | undefined;
  let close = (): void => undefined;
  try {
    const socket = await from(
      netnsPath,
      async () =>
        await Bun.udpSocket({
          // Of the target's family: Bun takes IPv4 where nothing is said.
          hostname: anywhere[familyOf(address)],
          connect: { hostname: address, port },
          socket: { data: () => resolve("open"), error: () => resolve("refused") },
        }),
    );
    close = () => socket.close();
    const send = (): void => {
      try {
        socket.send(`${probeMark}${token}`);
      } catch (error) {
        // What the first one met is told to whom sends the second.
        if (isRefusal(error)) resolve("refused");
      }
    };
    const started = performance.now();
    let sent = 1;
    send();
    timer = setInterval(() => {
      const waited = performance.now() - started;
      if (waited > againMs && sent++ === 1) send();
      if (waited > patienceMs) resolve(arrived() ? "open or silent" : "no answer");
    }, lookMs);
    const met = await promise;
    return met === "refused" && !arrived() ? "rejected" : met;
  } catch (error) {
    return isRefusal(error) ? "rejected" : "no answer";
  } finally {
    clearInterval(timer);
    close();
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
}

function from<R>(netnsPath: string | undefined, work: () => R): R {
  return netnsPath === undefined ? work() : inNamespace(netnsPath, work);
}
