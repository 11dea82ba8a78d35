/**
 * An image's config as it comes from a registry, an archive or the store.
 * Pure. Promises: every field has the type the engine relies on; what is not known is left out.
 */
import * as v from "valibot";
import { isDigest } from "./digest.ts";
import { fields, flag, healthcheck, keySet, maybe, text, textMap, texts, words } from "./docker-json.ts";
import { Fault } from "./fault.ts";
import type { ImageConfig } from "./image.ts";
import { parseStrictJson } from "./strict-json.ts";

/** Of one config. */
export const configBytesMax = 8 << 20;

const schema = fields({
  architecture: v.string(),
  os: v.string(),
  variant: text,
  created: text,
  author: text,
  config: maybe(
    fields({
      User: text,
      ExposedPorts: keySet,
      Env: texts,
      Entrypoint: words,
      Cmd: words,
      Volumes: keySet,
      WorkingDir: text,
      Labels: textMap,
      StopSignal: text,
      ArgsEscaped: flag,
      Healthcheck: maybe(healthcheck),
      OnBuild: texts,
      Shell: words,
    }),
  ),
  rootfs: fields({
    type: v.literal("layers"),
    diff_ids: maybe(v.array(v.pipe(v.string(), v.check(isDigest, "no digest")))),
  }),
  history: maybe(
    v.array(fields({ created: text, created_by: text, author: text, comment: text, empty_layer: flag })),
  ),
});

/** @throws Fault `invalid` naming the field. */
export function readImageConfig(bytes: Uint8Array): ImageConfig {
  if (bytes.length > configBytesMax)
    throw new Fault("invalid", `the image's config is larger than ${configBytesMax} bytes`);
  const parsed = v.safeParse(schema, parseStrictJson(bytes, "the image's config"));
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw new Fault(
      "invalid",
      `the image's config is wrong at ${v.getDotPath(issue) ?? "its root"}: ${issue.message}`,
    );
  }
  const { config = {}, history = [], rootfs, ...rest } = parsed.output;
  return {
    ...rest,
    config,
    rootfs: { type: "layers", diff_ids: rootfs.diff_ids ?? [] },
    history,
  } as ImageConfig;
}
