/** Pure. What an outcome has that its row does not say, and the other way round. */
import type { HistoryEntry } from "#spec/image.ts";
import type { Outcome } from "./build-row.ts";
import type { ImageSeen } from "./image-seen.ts";

/** In words, one for each difference; none when all is as the row says. */
export function judge(outcome: Outcome, base: ImageSeen): string[] {
  const { row, way, failed, image, warned, said } = outcome;
  if (row.fails !== undefined) {
    if (failed === undefined) return ["was built"];
    const bare = way === "classic" ? bareMessage(failed) : failed;
    const alike = typeof row.fails === "string" ? bare === row.fails : row.fails.test(bare);
    return alike ? [] : [`failed with: ${bare}`];
  }
  if (failed !== undefined) return [`failed: ${failed}`];
  if (image === undefined) return ["made no image"];
  const standing = standsOn(image, base) ? base : undefined;
  return [
    ...configDifferences(outcome, image, standing),
    ...fileDifferences(image, standing, outcome),
    ...(row.history === undefined || way === "classic"
      ? []
      : different("history", historyOf(image, standing), row.history)),
    ...(row.warns === undefined || way === "classic" ? [] : different("warnings", warned, row.warns)),
    ...(row.says ?? []).filter((words) => !said.includes(words)).map((words) => `never said: ${words}`),
  ];
}

/** Without what the classic builder says around it: who refuses, and wherry where. */
function bareMessage(message: string): string {
  return message.replace(/^failed to parse Dockerfile: /, "").replace(/ \(Dockerfile line \d+\)$/, "");
}

function standsOn({ config }: ImageSeen, base: ImageSeen): boolean {
  return config.rootfs.diff_ids[0] === base.config.rootfs.diff_ids[0];
}

function different(what: string, seen: unknown, wanted: unknown): string[] {
  return Bun.deepEquals(seen, wanted) ? [] : [`${what}: ${JSON.stringify(seen)}`];
}

/** What builders give to what stands on nothing. */
export const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

function configDifferences({ row, way }: Outcome, image: ImageSeen, base: ImageSeen | undefined): string[] {
  const seen = told(image.config.config);
  const before = told(base?.config.config ?? {});
  const { author, ...rest } = row.config ?? {};
  const all = {
    Env: [path],
    ...(way === "buildkit" && { WorkingDir: "/" }),
    ...before,
    ...rest,
  };
  return [
    ...[...new Set([...Object.keys(seen), ...Object.keys(all)])].flatMap((key) => {
      const expected = (all as Record<string, unknown>)[key] ?? undefined;
      return Bun.deepEquals(seen[key], expected) ? [] : [`config ${key}: ${JSON.stringify(seen[key])}`];
    }),
    ...different("author", image.config.author, author),
  ];
}

/** Fields that say something. */
function told(config: object): Record<string, unknown> {
  const silent = (value: unknown): boolean =>
    value === null ||
    value === undefined ||
    value === "" ||
    value === false ||
    (typeof value === "object" && Object.keys(value).length === 0);
  // Docker's classic builder names the image and container it was at.
  const passing = ["Image", "Hostname", "ArgsEscaped"];
  return Object.fromEntries(
    Object.entries(config).filter(([key, value]) => !silent(value) && !passing.includes(key)),
  );
}

function fileDifferences(image: ImageSeen, base: ImageSeen | undefined, { row }: Outcome): string[] {
  const wanted = row.files ?? {};
  const seen: Record<string, string> = {};
  const before = base?.files ?? new Map();
  for (const [name, { words }] of image.files) if (before.get(name)?.words !== words) seen[name] = words;
  for (const name of before.keys()) if (!image.files.has(name)) seen[name] = "gone";
  const names = [...new Set([...Object.keys(seen), ...Object.keys(wanted)])].sort();
  const differing = names.filter((name) => seen[name] !== wanted[name]);
  const times = Object.entries(row.times ?? {}).filter(
    ([name, time]) => image.files.get(name)?.mtime !== time,
  );
  return [
    ...differing.map(
      (name) => `file ${name}: ${seen[name] === undefined ? "as before" : JSON.stringify(seen[name])}`,
    ),
    ...times.map(([name]) => `time of ${name}: ${image.files.get(name)?.mtime}`),
  ];
}

function historyOf(image: ImageSeen, base: ImageSeen | undefined): string[] {
  const lines = (image.config.history ?? []) as readonly HistoryEntry[];
  return lines
    .slice(base?.config.history?.length ?? 0)
    .map(({ created_by = "", empty_layer }) => (empty_layer === true ? `(${created_by})` : created_by));
}
