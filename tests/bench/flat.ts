/**
 * Whether cost stays flat as containers gather: the time of starts, of a list, the engine's memory and idle processor time,
 * at growing numbers of idle containers. A table to read, not a test.
 *   npm run bench -- --flat [--containers 500]
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { EngineUnderTest } from "../live/engine-under-test.ts";

const { values } = parseArgs({
  options: { flat: { type: "boolean" }, containers: { type: "string", default: "500" } },
});
const most = Number(values.containers);
/** Starts around each mark whose median stands for it. */
const around = 10;
/** How long idleness is watched. */
const idleMs = 10_000;
const marks = [10, 50, 100, 200, 350, 500].filter((mark) => mark <= most);

await using engine = await EngineUnderTest.start();
await engine.importBusybox();
const client = await engine.client();

function median(samples: readonly number[]): number {
  return [...samples].sort((a, b) => a - b)[samples.length >> 1] ?? 0;
}

function residentMebibytes(): number {
  const status = readFileSync(`/proc/${engine.pid}/status`, "latin1");
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024;
}

/** Seconds of processor time the engine used so far, in hundredths. */
function processorSeconds(): number {
  const [, , , , , , , , , , , user = "0", system = "0"] = readFileSync(`/proc/${engine.pid}/stat`, "latin1")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(user) + Number(system)) / 100;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

/** In milliseconds, what it took, and what of that the engine took of a processor: other programs do not change that. */
async function startOne(): Promise<{ took: number; processor: number }> {
  const { Id } = await client.containers.create({
    Image: "busybox",
    Cmd: ["sleep", "100000"],
    HostConfig: {},
  });
  const before = processorSeconds();
  const took = await timed(async () => await client.containers.start(Id));
  return { took, processor: (processorSeconds() - before) * 1000 };
}

process.stdout.write("containers  start ms  of it engine's  list ms  resident MiB  idle % of a core\n");
const starts: { took: number; processor: number }[] = [];
for (let count = 1; count <= most; count++) {
  starts.push(await startOne());
  if (!marks.includes(count)) continue;
  const latest = starts.slice(-around);
  const lists: number[] = [];
  for (let round = 0; round < around; round++)
    lists.push(await timed(async () => await client.containers.list({})));
  const before = processorSeconds();
  await Bun.sleep(idleMs);
  const idle = ((processorSeconds() - before) / (idleMs / 1000)) * 100;
  const cells = [
    String(count).padStart(10),
    median(latest.map(({ took }) => took))
      .toFixed(1)
      .padStart(8),
    // Counted in hundredths of a second: a mean tells more than a median.
    (latest.reduce((sum, { processor }) => sum + processor, 0) / latest.length).toFixed(1).padStart(14),
    median(lists).toFixed(1).padStart(7),
    residentMebibytes().toFixed(0).padStart(12),
    idle.toFixed(2).padStart(16),
  ];
  process.stdout.write(`${cells.join("  ")}\n`);
}
