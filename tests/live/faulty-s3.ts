/** What stands between a registry and its S3 service in tests, and does to requests what networks and services do. */
import { once } from "node:events";
import { createServer, type IncomingMessage, request as open, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { S3Place } from "#registry/depot/s3-bucket.ts";

/**
 * `slow-down`, `internal`: refused with S3's XML; `bare`: a gateway's answer that is no XML; `reset`: cut before the answer;
 * `lost-answer`: done, but the answer does not come; `cut`: half of the answer's body; `wrong-tag`: another ETag.
 */
export type S3Fault = "slow-down" | "internal" | "bare" | "reset" | "lost-answer" | "cut" | "wrong-tag";

export class FaultyS3 implements AsyncDisposable {
  readonly place: S3Place;
  /** Asked for each request: what happens to it. */
  faultOf: (request: IncomingMessage) => S3Fault | undefined = () => undefined;
  /** How often each happened. */
  readonly happened = new Map<S3Fault, number>();
  readonly #server: ReturnType<typeof createServer>;

  private constructor(place: S3Place, server: ReturnType<typeof createServer>) {
    this.place = place;
    this.#server = server;
  }

  static async before(place: S3Place): Promise<FaultyS3> {
    const target = new URL(place.endpoint ?? "");
    const server = createServer((request, response) => {
      faulty.#pass(request, response, target).catch(() => response.destroy());
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const faulty = new FaultyS3({ ...place, endpoint: `http://127.0.0.1:${port}` }, server);
    return faulty;
  }

  async #pass(request: IncomingMessage, response: ServerResponse, target: URL): Promise<void> {
    const fault = this.faultOf(request);
    if (fault !== undefined) this.happened.set(fault, (this.happened.get(fault) ?? 0) + 1);
    const sent = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>));
    if (fault === "slow-down") return refuse(response, 503, "SlowDown", "Please reduce your request rate.");
    if (fault === "internal") return refuse(response, 500, "InternalError", "We encountered an error.");
    if (fault === "bare") return void response.writeHead(502).end("<html>Bad Gateway</html>");
    if (fault === "reset") return void request.socket.destroy();
    const { method, url: path, headers } = request;
    const asked = open({ host: target.hostname, port: target.port, method, path, headers, agent: false });
    asked.end(sent);
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    const body = Buffer.concat(await Array.fromAsync(answer as AsyncIterable<Buffer>));
    if (fault === "lost-answer") return void request.socket.destroy();
    const { "transfer-encoding": _, connection: __, ...kept } = answer.headers;
    const told = fault === "wrong-tag" ? { ...kept, etag: '"00000000000000000000000000000000"' } : kept;
    const length = method === "HEAD" ? {} : { "content-length": body.length };
    response.writeHead(answer.statusCode ?? 500, { ...told, ...length });
    if (fault !== "cut" || body.length === 0) return void response.end(body);
    response.write(body.subarray(0, body.length >> 1), () => response.destroy());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { "Content-Type": "application/xml" });
  response.end(
    `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`,
  );
}
