/**
 * A registry that serves: by itself (`wherry registry serve`) or in the engine (`wherryd --registry`).
 * Owns: construction of the server, its listener and its collector's clock. The caller disposes.
 */
import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import type { UpstreamOptions } from "#registry/client/upstream.ts";
import type { Depot } from "#registry/depot/depot.ts";
import { FileDepot } from "#registry/depot/depot-files.ts";
import { S3Depot } from "#registry/depot/depot-s3.ts";
import { parseHtpasswd } from "#registry/server/htpasswd.ts";
import { collect } from "#registry/server/registry-collect.ts";
import { RegistryHealth } from "#registry/server/registry-health.ts";
import { RegistryMetrics } from "#registry/server/registry-metrics.ts";
import { RegistryServer, type ServerOptions } from "#registry/server/registry-server.ts";
import { Webhooks } from "#registry/server/registry-webhooks.ts";
import type { DepotPlace, ServeFile, ServeOptions } from "#registry/server/serve-options.ts";
import { Fault } from "#spec/fault.ts";
import { decideRegistry } from "./registry-flags.ts";
import { version } from "./version.ts";

const blobBytesMax = 64 * 2 ** 30;
const hourS = 3600;
const weekS = 7 * 24 * hourS;
/** Answers that are being sent when the end is asked for have as long. */
const stopMs = 10_000;
/** Seconds a connection may be without a byte. */
const idleS = 120;

export interface RegistryService extends AsyncDisposable {
  /** `http://127.0.0.1:5000`. */
  readonly url: string;
}

export async function openDepot(place: DepotPlace): Promise<Depot> {
  return "s3" in place ? await S3Depot.open(place.s3) : await FileDepot.open(place.folder);
}

/** Answers when it resolves. @throws Fault `unavailable` when it cannot listen. */
export async function openRegistryService(
  o: Omit<ServeOptions, "help"> & { readonly place: DepotPlace; readonly say: (line: string) => void },
): Promise<RegistryService> {
  const ended = new AbortController();
  const metrics = new RegistryMetrics();
  const webhooks = new Webhooks(o.file.webhooks ?? [], {
    signal: ended.signal,
    lost: () => metrics.happened("webhook_lost"),
  });
  const registry = new RegistryServer(await openDepot(o.place), await serverOptions(o.file, ended.signal), {
    answered: (answer) => metrics.answered(answer),
    happened: (event) => {
      metrics.happened(event.action === "pull" ? "pulled" : event.action === "delete" ? "deleted" : "pushed");
      webhooks.tell(event);
    },
    failed: (error) => o.say(`a request failed: ${Fault.from(error).message}`),
  });
  const server = await listen(o, registry, metrics);
  const collecting = collectAgainAndAgain(registry, { ...o, metrics, signal: ended.signal });
  return {
    url: `${server.url.protocol}//${server.hostname}:${server.port}`,
    [Symbol.asyncDispose]: async () => {
      ended.abort();
      await Promise.race([server.stop(), Bun.sleep(stopMs)]);
      await collecting;
    },
  };
}

async function serverOptions(file: ServeFile, signal: AbortSignal): Promise<ServerOptions> {
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
    upstream: await upstreamOptions(file),
    signal,
  };
}

async function upstreamOptions(file: ServeFile): Promise<UpstreamOptions | undefined> {
  if (file["proxy-remote"] === undefined) return undefined;
  const remote = new URL(file["proxy-remote"]);
  const { "proxy-username": username, "proxy-password-file": path, "proxy-certs-dir": directory } = file;
  const password = path === undefined ? undefined : (await readFile(path, "utf8")).replace(/\r?\n$/, "");
  return {
    remote,
    credentials: username === undefined ? undefined : { username, password },
    registry: {
      // A way out through $HTTPS_PROXY, as the engine has it.
      ...decideRegistry({}, {}, process.env),
      insecure: file["proxy-insecure"] === true ? [remote.host] : [],
      ...(directory !== undefined && { certificates: [directory] }),
      userAgent: `wherry/${version} (registry cache)`,
    },
  };
}

async function listen(o: Omit<ServeOptions, "help">, registry: RegistryServer, metrics: RegistryMetrics) {
  const { "tls-cert": cert, "tls-key": key } = o.file;
  const health = new RegistryHealth(registry.store.depot);
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
        if (path === "/healthz") {
          const trouble = await health.trouble();
          return trouble === undefined ? new Response("ok\n") : new Response(`${trouble}\n`, { status: 503 });
        }
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

function expiryMs(file: ServeFile): number | undefined {
  const ttlS = file["proxy-ttl-seconds"] ?? weekS;
  return file["proxy-remote"] === undefined || ttlS === 0 ? undefined : ttlS * 1000;
}

async function collectAgainAndAgain(
  registry: RegistryServer,
  o: {
    readonly file: ServeFile;
    readonly metrics: RegistryMetrics;
    readonly say: (line: string) => void;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const everyS = o.file["collect-every-seconds"] ?? hourS;
  while (everyS > 0 && !o.signal.aborted) {
    await pause(everyS * 1000, undefined, { signal: o.signal }).catch(() => undefined);
    if (o.signal.aborted) return;
    try {
      const { blobs, bytes } = await collect(registry.store, {
        graceMs: (o.file["grace-seconds"] ?? hourS) * 1000,
        expireMs: expiryMs(o.file),
        uploadMs: (o.file["upload-seconds"] ?? 24 * hourS) * 1000,
        nowMs: Date.now(),
        signal: o.signal,
      });
      o.metrics.happened("collected_blobs", blobs);
      if (blobs > 0) o.say(`collected ${blobs} blobs of ${bytes} bytes`);
    } catch (error) {
      if (!o.signal.aborted) o.say(`the collector failed: ${Fault.from(error).message}`);
    }
  }
}
