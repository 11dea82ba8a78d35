/** Pure. Annotations that exporters are given: `annotation-manifest[linux/amd64].org.example=value` and its kin. */
import { Fault } from "#spec/fault.ts";
import type { Platform } from "#spec/image.ts";
import { formatPlatform, parsePlatform } from "#spec/platform.ts";

const levels = ["index", "index-descriptor", "manifest", "manifest-descriptor"] as const;
export type AnnotationLevel = (typeof levels)[number];

export interface Annotation {
  readonly level: AnnotationLevel;
  /** Absent: of every platform. */
  readonly platform?: Platform;
  readonly key: string;
  readonly value: string;
}

const form = /^annotation(?:-([a-z-]+))?(?:\[([A-Za-z0-9_/-]+)\])?\.(\S+)$/;

/** Undefined for an attribute that is something else. @throws Fault `invalid` for a level or platform there is not. */
export function annotationOf(attribute: string, value: string): Annotation | undefined {
  const [, given = "manifest", platform, key] = form.exec(attribute) ?? [];
  if (key === undefined) return undefined;
  const level = levels.find((each) => each === given);
  if (level === undefined)
    throw new Fault("invalid", `unrecognized annotation type ${given}: there are ${levels.join(", ")}`);
  return { level, key, value, ...(platform !== undefined && { platform: parsePlatform(platform) }) };
}

/** Those of a level, in the order of their keys; for one platform those of every platform too. */
export function annotationsAt(
  all: readonly Annotation[],
  level: AnnotationLevel,
  platform?: Platform,
): Record<string, string> | undefined {
  const wanted = platform === undefined ? undefined : formatPlatform(platform);
  const chosen = all.filter(
    (each) =>
      each.level === level && (each.platform === undefined || formatPlatform(each.platform) === wanted),
  );
  // What names its platform wins over what is for all.
  chosen.sort((left, right) => Number(left.platform !== undefined) - Number(right.platform !== undefined));
  const found = new Map(chosen.map(({ key, value }) => [key, value]));
  if (found.size === 0) return undefined;
  return Object.fromEntries([...found].sort(([left], [right]) => (left < right ? -1 : 1)));
}

/** @throws Fault `invalid` for what cannot be put anywhere in a result of these platforms. */
export function checkAnnotations(
  all: readonly Annotation[],
  o: { readonly platforms: readonly Platform[]; readonly isIndex: boolean },
): void {
  const built = o.platforms.map(formatPlatform);
  for (const { level, platform } of all) {
    if (platform !== undefined && !built.includes(formatPlatform(platform)))
      throw new Fault(
        "invalid",
        `invalid annotation: no platform ${formatPlatform(platform)} found in source`,
      );
    if (!o.isIndex && level.startsWith("index"))
      throw new Fault("invalid", "index annotations not supported for single platform export");
  }
}
