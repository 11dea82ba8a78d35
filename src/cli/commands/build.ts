/** `build`: an image, or files, from a directory with a Dockerfile in it. */
import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { blamedSource } from "#cli/build/blamed-source.ts";
import type { BuildDisplay } from "#cli/build/build-display.ts";
import { buildFlags } from "#cli/build/build-flags.ts";
import {
  frontendOptions,
  type Output,
  outputsOf,
  type Question,
  questionOf,
} from "#cli/build/build-order.ts";
import { displayFor } from "#cli/build/build-screen.ts";
import { buildServices } from "#cli/build/build-services.ts";
import { openSources } from "#cli/build/build-sources.ts";
import { cacheStores, listCaches } from "#cli/build/cache-stores.ts";
import { addToLayout } from "#cli/build/layout-index.ts";
import { type CliIo, type Command, type Invocation, write } from "#cli/flags/command.ts";
import { exportStore } from "#spec/content-service.ts";
import { Fault } from "#spec/fault.ts";
import { GrpcError, grpcCode } from "#spec/grpc-status.ts";
import type { Descriptor } from "#spec/image.ts";

const build: Command = {
  usage: "[OPTIONS] PATH | URL | -",
  flags: buildFlags,
  least: 1,
  most: 1,
  run: async (invocation) => {
    const { args, client, flags, io } = invocation;
    const [path = "."] = args;
    const abort = new AbortController();
    using _ = io.onSignals(["SIGINT", "SIGTERM"], () =>
      abort.abort(new GrpcError(grpcCode.cancelled, "context canceled")),
    );
    const engine = await client();
    await using sources = await openSources(io, {
      path,
      file: flags.text("file"),
      contexts: flags.list("build-context"),
    });
    const outputs = outputsOf(flags);
    const caches = await cacheStores(io, { from: flags.list("cache-from"), to: flags.list("cache-to") });
    const network = flags.text("network") === "host" ? ["network.host"] : [];
    using running = await engine.builds.open({
      options: { ...sources.options, ...frontendOptions(flags, io.env) },
      exporters: questionOf(flags) === undefined ? outputs.map(({ Type, Attrs }) => ({ Type, Attrs })) : [],
      cacheExports: [...caches.exports],
      cacheImports: [...caches.imports],
      entitlements: [...network, ...flags.list("allow")],
      sharedKey: sources.sharedKey,
      services: buildServices({
        ...{ io, directories: sources.directories, upload: sources.upload },
        ...{ secrets: flags.list("secret"), agents: flags.list("ssh"), places: placesOf(io, outputs) },
        stores: new Map([...storesOf(io, outputs), ...caches.stores]),
      }),
      signal: abort.signal,
    });
    try {
      const question = questionOf(flags);
      if (question !== undefined) return await say(io, question, await running.answer());
      const display = flags.on("quiet")
        ? undefined
        : displayFor(invocation, invocation.flags.text("progress") ?? io.env["BUILDKIT_PROGRESS"] ?? "auto");
      const watched = watch(running.status(), display);
      // Also before it is said why it failed: what is drawn later would be drawn over that.
      const answer = await running.result().finally(async () => await watched);
      await listCaches(caches, answer);
      return await report(invocation, outputs, answer);
    } catch (thrown) {
      return await fail(io, thrown);
    }
  },
};

async function watch(
  status: AsyncIterable<Parameters<BuildDisplay["take"]>[0]>,
  display: BuildDisplay | undefined,
): Promise<void> {
  try {
    for await (const message of status) display?.take(message);
  } catch {
    // How the build ended is what counts; it says so itself.
  } finally {
    display?.end();
  }
}

function placesOf(io: CliIo, outputs: readonly Output[]) {
  const places = new Map<number, NonNullable<Output["place"]>>();
  for (const [index, { place }] of outputs.entries())
    if (place !== undefined)
      places.set(index, { ...place, path: place.path === "-" ? "/dev/stdout" : resolve(io.cwd, place.path) });
  return places;
}

/** Directories that the engine writes blobs to. */
function storesOf(io: CliIo, outputs: readonly Output[]): Map<string, string> {
  const layouts = outputs.flatMap(({ place }) =>
    place?.kind === "layout" ? [resolve(io.cwd, place.path)] : [],
  );
  if (layouts.length > 1) throw new Fault("invalid", "only one output can be an image layout in a directory");
  return new Map(layouts.map((path) => [exportStore, path]));
}

async function say(
  io: CliIo,
  { json, ignoreStatus }: Question,
  answer: Readonly<Record<string, Uint8Array>>,
): Promise<number> {
  const said = Buffer.from(answer[json ? "result.json" : "result.txt"] ?? "").toString();
  await write(io.stdout, json ? `${said.trimEnd()}\n` : said);
  return ignoreStatus ? 0 : Number(Buffer.from(answer["result.statuscode"] ?? "0").toString());
}

async function report(
  { flags, io }: Invocation,
  outputs: readonly Output[],
  answer: Readonly<Record<string, string>>,
): Promise<number> {
  const id = answer["containerimage.config.digest"] ?? answer["containerimage.digest"];
  const toStdout = outputs.some(({ place }) => place?.path === "-");
  if (flags.on("quiet") && id !== undefined && !toStdout) await write(io.stdout, `${id}\n`);
  const [idFile, metadataFile] = [flags.text("iidfile"), flags.text("metadata-file")];
  if (idFile !== undefined && id !== undefined) await writeFile(resolve(io.cwd, idFile), id);
  if (metadataFile !== undefined)
    await writeFile(resolve(io.cwd, metadataFile), `${JSON.stringify(metadataOf(answer), null, 2)}\n`);
  const descriptor = answer["containerimage.descriptor"];
  for (const { place } of outputs)
    if (place?.kind === "layout" && descriptor !== undefined)
      await addToLayout(
        resolve(io.cwd, place.path),
        JSON.parse(Buffer.from(descriptor, "base64").toString()) as Descriptor,
        (answer["image.name"] ?? "").split(",").filter((name) => name !== ""),
      );
  return 0;
}

/** Answers that are documents, as documents. */
export function metadataOf(answer: Readonly<Record<string, string>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(answer)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([name, value]) => [name, documentIn(value) ?? value]),
  );
}

function documentIn(value: string): object | undefined {
  const text = Buffer.from(value, "base64").toString();
  if (!text.startsWith("{")) return undefined;
  try {
    return JSON.parse(text) as object;
  } catch {
    return undefined;
  }
}

/** With the lines of the Dockerfile around the place. */
async function fail(io: CliIo, thrown: unknown): Promise<number> {
  if (!(thrown instanceof GrpcError)) throw thrown;
  await write(io.stderr, blamedSource(thrown.details));
  await write(io.stderr, `ERROR: failed to build: failed to solve: ${thrown.message}\n`);
  return thrown.code === grpcCode.cancelled ? 130 : 1;
}

export const commands: Readonly<Record<string, Command>> = { build };
