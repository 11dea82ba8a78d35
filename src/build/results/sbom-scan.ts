/**
 * What a result is made of, told by a scanner: an image whose programs look through the files and write in-toto statements
 * (moby/buildkit docs/attestations/sbom-protocol.md).
 * Promises: the scanner sees the files and cannot change them, and has no network; what it writes is bounded.
 */
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import type { BuildEngine } from "#build/build-engine.ts";
import { lookAt } from "#build/files/rooted-path.ts";
import type { Workspaces } from "#build/files/workspace.ts";
import type { WantedSbom } from "#build/request/attest-options.ts";
import type { PlatformResult } from "#build/request/build-request.ts";
import { sha256Of } from "#build/request/graph.ts";
import type { BuildProgress } from "#build/request/progress.ts";
import type { Predicate } from "#build/request/provenance.ts";
import { during } from "#build/request/tell.ts";
import type { BuildInputs } from "#build/sources/build-inputs.ts";
import { Fault } from "#spec/fault.ts";
import type { Platform } from "#spec/image.ts";
import { formatPlatform } from "#spec/platform.ts";
import { parseStrictJson } from "#spec/strict-json.ts";

export interface ScanParts {
  readonly engine: BuildEngine;
  readonly inputs: Pick<BuildInputs, "image">;
  readonly workspaces: Workspaces;
  readonly progress: BuildProgress;
  /** A directory of the build's own. */
  readonly scratch: string;
  readonly platform: Platform;
  readonly signal: AbortSignal;
}

const sourcePath = "/run/src/core/sbom";
const outPath = "/run/out";
/** Of one statement. */
const statementBytesMax = 40 << 20;
const statementsMax = 64;

export interface ScannedPredicate extends Predicate {
  /** What the scanner called it. */
  readonly file: string;
}

/** @throws Fault naming the scanner that cannot be had, fails, or says nothing. */
export async function scan(
  { chainId, platform }: Pick<PlatformResult, "chainId" | "platform">,
  { generator, parameters }: WantedSbom,
  parts: ScanParts,
): Promise<ScannedPredicate[]> {
  const { engine, inputs, workspaces, progress, scratch, signal } = parts;
  const image = await inputs.image(generator, parts.platform).catch((cause: unknown) => {
    signal.throwIfAborted();
    const { kind, message } = Fault.from(cause);
    throw new Fault(
      kind,
      `the SBOM scanner ${generator} cannot be had: ${message}: give another with --sbom=generator=IMAGE, or leave --sbom out`,
      { cause },
    );
  });
  const { Entrypoint, Cmd, Env = [], WorkingDir, User } = image.config?.config ?? {};
  const args = [...(Entrypoint ?? []), ...(Cmd ?? [])];
  if (args.length === 0) throw new Fault("invalid", `scanner ${generator} does not have cmd`);
  const title = `[${formatPlatform(platform)}] generating sbom using ${image.reference}`;
  const vertex = { digest: sha256Of(`${title}\0${chainId}\0${scratch}`), name: title, inputs: [] };
  return await during(progress, vertex, async (voice) => {
    const out = await mkdtemp(join(scratch, "sbom-"));
    mkdirSync(join(out, "made"));
    await using source = await workspaces.acquire(chainId);
    const operation = image.files?.operation;
    const { exitCode } = await engine.containers.runOnce({
      ...(operation?.kind === "image" && operation.chainId !== undefined && { chainId: operation.chainId }),
      config: {
        ...(User !== undefined && { User }),
        WorkingDir: WorkingDir || "/",
        Env: [
          ...Env,
          `BUILDKIT_SCAN_DESTINATION=${outPath}`,
          `BUILDKIT_SCAN_SOURCE=${sourcePath}`,
          ...Object.entries(parameters).map(([name, value]) => `BUILDKIT_SCAN_${name}=${value}`),
        ],
        Cmd: args,
        Entrypoint: null,
        Healthcheck: { Test: ["NONE"] },
        AttachStdout: true,
        AttachStderr: true,
      },
      host: {
        NetworkMode: "none",
        Mounts: [
          { Type: "bind", Source: source.root, Target: sourcePath, ReadOnly: true },
          { Type: "bind", Source: join(out, "made"), Target: outPath },
          { Type: "tmpfs", Target: "/tmp" },
        ],
      },
      signal,
      onOutput: ({ stream, bytes }) => voice.log(stream, bytes),
    });
    if (exitCode !== 0)
      throw new Fault(
        "invalid",
        `the SBOM scanner ${generator} did not complete successfully: exit code: ${exitCode}`,
      );
    return statementsIn(join(out, "made"), generator);
  });
}

function statementsIn(directory: string, generator: string): ScannedPredicate[] {
  const names = readdirSync(directory)
    .filter((name) => name.endsWith(".json"))
    .sort();
  if (names.length === 0 || names.length > statementsMax)
    throw new Fault(
      "invalid",
      `the SBOM scanner ${generator} wrote ${names.length} statements: want 1 to ${statementsMax}`,
    );
  return names.map((name) => {
    const stat = lookAt(join(directory, name));
    if (stat?.isFile() !== true || stat.size > statementBytesMax)
      throw new Fault(
        "invalid",
        `${name} of the SBOM scanner ${generator} is no file of at most ${statementBytesMax} bytes`,
      );
    const statement = parseStrictJson(readFileSync(join(directory, name)), name) as {
      predicateType?: unknown;
      predicate?: unknown;
    };
    if (
      typeof statement?.predicateType !== "string" ||
      typeof statement.predicate !== "object" ||
      statement.predicate === null
    )
      throw new Fault("invalid", `${name} of the SBOM scanner ${generator} is no in-toto statement`);
    return { type: statement.predicateType, value: statement.predicate, file: name };
  });
}
