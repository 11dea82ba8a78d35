/**
 * Load on a network, from the namespace it is run in. Says what it did as one line of JSON.
 *   network-load.ts serve PORT | receive ADDRESS PORT SECONDS | ask NAME SECONDS AT_ONCE
 */
import { encode } from "dns-packet";

const [mode = "", ...args] = process.argv.slice(2);

/** Sends to who connects as fast as that takes it. */
function serve(port: number): void {
  const block = Buffer.alloc(1 << 20);
  const fill = (socket: { write(bytes: Buffer): number }): void => {
    while (socket.write(block) === block.length);
  };
  Bun.listen({
    hostname: "0.0.0.0",
    port,
    socket: { open: fill, drain: fill, data: () => undefined, error: () => undefined },
  });
  process.stdout.write("serving\n");
}

async function receive(hostname: string, port: number, seconds: number): Promise<void> {
  let bytes = 0;
  const socket = await Bun.connect({
    hostname,
    port,
    socket: {
      data: (_, part) => {
        bytes += part.length;
      },
      error: () => undefined,
    },
  });
  const begin = performance.now();
  await Bun.sleep(seconds * 1000);
  const megabytes = bytes / 1e6 / ((performance.now() - begin) / 1000);
  socket.terminate();
  say({ megabytesPerSecond: megabytes });
}

/** Questions for an address of `name`, so many at once, each answer followed by the next question. */
async function ask(name: string, seconds: number, atOnce: number): Promise<void> {
  const query = encode({ type: "query", flags: 256, questions: [{ name, type: "A" }] });
  const sent = new Float64Array(65_536);
  const taken: number[] = [];
  let [id, wrong] = [0, 0];
  const until = performance.now() + seconds * 1000;
  const socket = await Bun.udpSocket({
    connect: { hostname: "127.0.0.11", port: 53 },
    socket: {
      data: (_, reply) => {
        const now = performance.now();
        taken.push(now - (sent[reply.readUInt16BE(0)] ?? 0));
        if (reply.readUInt16BE(6) === 0) wrong++;
        if (now < until) next();
      },
      error: () => undefined,
    },
  });
  function next(): void {
    id = (id + 1) & 0xffff;
    query.writeUInt16BE(id, 0);
    sent[id] = performance.now();
    socket.send(query);
  }
  for (let count = 0; count < atOnce; count++) next();
  // What was lost must not end the load.
  for (let before = -1; performance.now() < until; await Bun.sleep(200)) {
    if (before === taken.length) next();
    before = taken.length;
  }
  taken.sort((a, b) => a - b);
  const p99 = taken[Math.floor(taken.length * 0.99)] ?? 0;
  say({ answersPerSecond: taken.length / seconds, p99Ms: p99, wrong });
}

function say(figures: Readonly<Record<string, number>>): never {
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  process.exit(0);
}

if (mode === "serve") serve(Number(args[0]));
else if (mode === "receive") await receive(args[0] ?? "", Number(args[1]), Number(args[2]));
else await ask(args[0] ?? "", Number(args[1]), Number(args[2]));
