/**
 * Pure. Specifications of the Container Device Interface (CDI 0.3 to 1.0): which devices there are, and what a container
 * gets for each.
 */
import * as v from "valibot";
import { fields, flag, integer, maybe, text, texts } from "#spec/docker-json.ts";
import { Fault } from "#spec/fault.ts";

const number = maybe(v.pipe(v.number(), v.integer(), v.minValue(0)));

const edits = fields({
  env: texts,
  deviceNodes: maybe(
    v.array(
      fields({
        path: v.string(),
        hostPath: text,
        type: maybe(v.picklist(["b", "c", "u", "p"])),
        major: number,
        minor: number,
        fileMode: number,
        permissions: text,
        uid: number,
        gid: number,
      }),
    ),
  ),
  mounts: maybe(
    v.array(fields({ hostPath: v.string(), containerPath: v.string(), options: texts, type: text })),
  ),
  hooks: maybe(
    v.array(
      fields({
        hookName: v.picklist([
          "prestart",
          "createRuntime",
          "createContainer",
          "startContainer",
          "poststart",
          "poststop",
        ]),
        path: v.string(),
        args: texts,
        env: texts,
        timeout: integer,
      }),
    ),
  ),
  additionalGids: maybe(v.array(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 31 - 1)))),
});

const schema = fields({
  cdiVersion: v.string(),
  kind: v.pipe(v.string(), v.regex(/^[A-Za-z0-9._-]+\/[A-Za-z0-9_-]+$/)),
  devices: v.array(fields({ name: v.string(), containerEdits: edits, disabled: flag })),
  containerEdits: maybe(edits),
});

export type CdiEdits = v.InferOutput<typeof edits>;
export type CdiSpec = v.InferOutput<typeof schema>;

/** @throws Fault `invalid` naming the file and the field. */
export function parseCdiSpec(given: unknown, path: string): CdiSpec {
  const parsed = v.safeParse(schema, given);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  throw new Fault("invalid", `${path}: ${v.getDotPath(issue) ?? "no object"}: ${issue.message}`);
}

/** Specifications of one directory; those of later directories are stronger. */
export type CdiDirectory = readonly CdiSpec[];

/**
 * What the named devices bring, each specification's own edits once and before its devices'.
 * @throws Fault `invalid` in Docker's words for devices that no specification has, or two of one directory have.
 */
export function resolveCdi(directories: readonly CdiDirectory[], names: readonly string[]): CdiEdits[] {
  const missing: string[] = [];
  const seen = new Set<CdiSpec>();
  const found: CdiEdits[] = [];
  for (const name of names) {
    const match = find(directories, name);
    if (match === undefined) {
      missing.push(name);
      continue;
    }
    const [spec, device] = match;
    if (!seen.has(spec) && spec.containerEdits !== undefined) found.push(spec.containerEdits);
    seen.add(spec);
    found.push(device);
  }
  if (missing.length > 0)
    throw new Fault("invalid", `CDI device injection failed: unresolvable CDI devices ${missing.join(", ")}`);
  return found;
}

function find(directories: readonly CdiDirectory[], name: string): readonly [CdiSpec, CdiEdits] | undefined {
  for (const specs of directories.toReversed()) {
    const matches = specs.flatMap((spec) =>
      spec.devices
        .filter((device) => `${spec.kind}=${device.name}` === name)
        .map((device) => [spec, device.containerEdits] as const),
    );
    if (matches.length > 1)
      throw new Fault(
        "invalid",
        `CDI device injection failed: ${name} is in more than one specification of a directory`,
      );
    if (matches[0] !== undefined) return matches[0];
  }
  return undefined;
}

/** Of all devices. */
export function cdiKinds(directories: readonly CdiDirectory[]): ReadonlySet<string> {
  return new Set(directories.flat().map(({ kind }) => kind));
}
