/** Figures taken of two engines in turn, pair by pair: medians of each, and the median of the ratios. */
import { readFileSync } from "node:fs";
import { pack } from "tar-stream";
import { Client } from "#client/client.ts";
import type { EngineUnderTest } from "../live/engine-under-test.ts";

export interface Side {
  readonly name: string;
  readonly host: string;
  readonly client: Client;
}

export interface Figure {
  readonly name: string;
  /** Once for each side; what it returns is handed to every run. */
  readonly prepare?: (side: Side) => Promise<string>;
  readonly run: (side: Side, prepared: string) => Promise<unknown>;
  readonly finish?: (side: Side, prepared: string) => Promise<unknown>;
  /** Before and after each run, not timed; a run gets what `before` returns. */
  readonly before?: (side: Side, prepared: string) => Promise<string>;
  readonly after?: (side: Side, before: string) => Promise<unknown>;
  readonly runs?: number;
  /** Without a round to warm up: for what a peer takes minutes for. */
  readonly cold?: boolean;
}

/** What every side has: busybox with a few names. */
export const image = "wherry-bench:latest";

const nameWidth = 32;

/** The engine under test, and the other one if there is one; both have the image. */
export async function openSides(engine: EngineUnderTest, peer: string | undefined): Promise<Side[]> {
  const sides: Side[] = [{ name: "wherry", host: engine.host, client: await engine.client() }];
  if (peer !== undefined)
    sides.push({ name: "peer", host: peer, client: await Client.connect({ host: peer, version: "1.43" }) });
  for (const side of sides) await importImage(side);
  return sides;
}

async function importImage(side: Side): Promise<void> {
  const tar = pack();
  tar.entry({ name: "bin/busybox", mode: 0o755 }, readFileSync("/bin/busybox"));
  for (const name of ["sh", "true", "sleep", "yes", "head", "echo"])
    tar.entry({ name: `bin/${name}`, type: "symlink", linkname: "busybox" });
  tar.finalize();
  const messages = side.client.images.import(tar as AsyncIterable<Uint8Array>, {
    repo: "wherry-bench",
    tag: "latest",
    changes: [],
  });
  for await (const { error } of messages) if (error !== undefined) throw new Error(error);
}

export async function removeImages(sides: readonly Side[]): Promise<void> {
  for (const side of sides) await side.client.images.remove(image, { force: true }).catch(() => undefined);
}

/** Milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

export function heading(sides: readonly Side[]): void {
  row("milliseconds, medians", "wherry", ...(sides.length > 1 ? ["peer", "ratio"] : []));
}

/** `times`: of each side, pair by pair. */
export function tell(name: string, [own = [], other]: readonly (readonly number[])[]): void {
  const ratios = own.map((value, index) => (other?.[index] ?? 0) / value);
  const cells = other === undefined ? [] : [median(other).toFixed(1), median(ratios).toFixed(1)];
  row(name, median(own).toFixed(1), ...cells);
}

export function row(name: string, ...cells: readonly string[]): void {
  const aligned = cells.map((cell, index) => cell.padStart(index < 2 ? 9 : 7));
  process.stdout.write(`${[name.padEnd(nameWidth), ...aligned].join(" ")}\n`);
}

/** @returns the times of each side. */
export async function measure(
  figure: Figure,
  sides: readonly Side[],
  runs: number,
): Promise<readonly (readonly number[])[]> {
  const times = sides.map((): number[] => []);
  const prepared = await Promise.all(sides.map(async (side) => (await figure.prepare?.(side)) ?? ""));
  for (let round = figure.cold === true ? 1 : 0; round <= (figure.runs ?? runs); round++)
    for (const [index, side] of sides.entries()) {
      const ready = prepared[index] ?? "";
      const given = (await figure.before?.(side, ready)) ?? ready;
      const took = await timed(async () => await figure.run(side, given));
      await figure.after?.(side, given);
      // The first round warms up.
      if (round > 0) times[index]?.push(took);
    }
  for (const [index, side] of sides.entries()) await figure.finish?.(side, prepared[index] ?? "");
  tell(figure.name, times);
  return times;
}
