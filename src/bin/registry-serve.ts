/** `wherry registry serve`. Owns: construction of the registry server, its listener, its collector's clock and its end. */
import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import { FileDepot } from "#registry/depot-files.ts";
import { parseHtpasswd } from "#registry/registry-access.ts";
import { collect } from "#registry/registry-collect.ts";
import { RegistryMetrics } from "#registry/registry-metrics.ts";
import { RegistryServer } from "#registry/registry-server.ts";
import { Webhooks } from "#registry/registry-webhooks.ts";
import {
  decideServe,
  parseServeFile,
  parseServeFlags,
  type ServeFile,
  type ServeOptions,
  serveUsage,
} from "#registry/serve-options.ts";
import { Fault } from "#spec/fault.ts";

const blobBytesMax = 64 * 2 ** 30;
const hourS = 3600;
/** Answers that are being sent when the end is asked for have as long. */
const stopMs = 10_000;
/** Seconds a connection may be without a byte. */
const idleS = 120;

/** Serves until a signal. @returns The exit code. */
export async function serveRegistry(args: readonly string[]): Promise<number> {
  const { flags, config, help } = parseServeFlags(args);
  if (help) {
    process.stdout.write(serveUsage);
    return 0;
  }
  const file = config === undefined ? {} : parseServeFile(await readFile(config, "utf8"), config);
  const options = decideServe(flags, file);
  const ended = new AbortController();
  const metrics = new RegistryMetrics();
  const webhooks = new Webhooks(options.file.webhooks ?? [], {
    signal: ended.signal,
    lost: () => metrics.happened("webhook_lost"),
  });
  const registry = new RegistryServer(await FileDepot.open(options.root), await serverOptions(options.file), {
    answered: (o) => metrics.answered(o),
    happened: (event) => {
      metrics.happened(event.action === "pull" ? "pulled" : event.action === "delete" ? "deleted" : "pushed");
      webhooks.tell(event);
    },
    failed: (error) => say(`a request failed: ${Fault.from(error).message}`),
  });
  const server = await listen(options, registry, metrics);
  say(`registry of ${options.root} listens on ${server.url.protocol}//${server.hostname}:${server.port}`);
  const collecting = collectAgainAndAgain(registry, options.file, metrics, ended.signal);
  await new Promise<void>((resolve) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => resolve());
  });
  ended.abort();
  await Promise.race([server.stop(), Bun.sleep(stopMs)]);
  await collecting;
  return 0;
}

async function serverOptions(file: ServeFile) {
  if (file.htpasswd !== undefined) parseHtpasswd(await readFile(file.htpasswd, "utf8"), file.htpasswd);
  return {
    access: {
      ...(file.htpasswd !== undefined && { htpasswd: file.htpasswd }),
      ...(file.token !== undefined && {
        token: { ...file.token, key: await readFile(file.token["key-file"], "utf8") },
      }),
      ...(file.rights !== undefined && { rights: file.rights }),
      anonymousPull: file["anonymous-pull"] ?? false,
    },
    deletes: file.deletes ?? true,
    blobBytesMax: file["blob-bytes-max"] ?? blobBytesMax,
    repositoryBytesMax: file["repository-bytes-max"],
  };
}

async function listen(
  o: ServeOptions | Omit<ServeOptions, "help">,
  registry: RegistryServer,
  metrics: RegistryMetrics,
) {
  const { "tls-cert": cert, "tls-key": key } = o.file;
  try {
    return Bun.serve({
      hostname: o.hostname,
      port: o.port,
      idleTimeout: idleS,
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      ...(cert !== undefined &&
        key !== undefined && {
          tls: { cert: await readFile(cert, "utf8"), key: await readFile(key, "utf8") },
        }),
      fetch: async (request) => {
        const path = request.url.slice(request.url.indexOf("/", 8));
        if (path === "/healthz") return await health(registry);
        if (path === "/metrics")
          return new Response(metrics.text(), { headers: { "Content-Type": "text/plain; version=0.0.4" } });
        return await registry.answer(request);
      },
    });
  } catch (cause) {
    throw new Fault("unavailable", `cannot listen on ${o.hostname}:${o.port}: ${Fault.from(cause).message}`, {
      cause,
    });
  }
}

/** Whether the store can be written. */
async function health(registry: RegistryServer): Promise<Response> {
  try {
    await registry.store.depot.write("health", "ok");
    return new Response("ok\n");
  } catch (error) {
    return new Response(`${Fault.from(error).message}\n`, { status: 503 });
  }
}

async function collectAgainAndAgain(
  registry: RegistryServer,
  file: ServeFile,
  metrics: RegistryMetrics,
  signal: AbortSignal,
): Promise<void> {
  const everyS = file["collect-every-seconds"] ?? hourS;
  while (everyS > 0 && !signal.aborted) {
    await pause(everyS * 1000, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    try {
      const { blobs, bytes } = await collect(registry.store, {
        graceMs: (file["grace-seconds"] ?? hourS) * 1000,
        uploadMs: (file["upload-seconds"] ?? 24 * hourS) * 1000,
        nowMs: Date.now(),
        signal,
      });
      metrics.happened("collected_blobs", blobs);
      if (blobs > 0) say(`collected ${blobs} blobs of ${bytes} bytes`);
    } catch (error) {
      if (!signal.aborted) say(`the collector failed: ${Fault.from(error).message}`);
    }
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
