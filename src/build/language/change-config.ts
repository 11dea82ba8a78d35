/** Pure. `--change`: single Dockerfile instructions applied to an image's configuration, by `import` and `commit`. */
import { Fault } from "#spec/fault.ts";
import type { ImageRunConfig } from "#spec/image.ts";
import { ArgumentScope, type GivenArguments } from "./build-args.ts";
import { parseTrigger } from "./dockerfile.ts";
import { configOf, stateOf } from "./stage-state.ts";
import { applyInstruction } from "./step.ts";

/** dockerd's list: what changes nothing but the configuration. */
const allowed = new Set([
  "cmd",
  "entrypoint",
  "env",
  "expose",
  "healthcheck",
  "label",
  "onbuild",
  "stopsignal",
  "user",
  "volume",
  "workdir",
]);

const none: GivenArguments = {};

/** @throws Fault `invalid` for a text that is no such instruction. */
export function changeConfig(config: ImageRunConfig, changes: readonly string[]): ImageRunConfig {
  let state = stateOf(config, ArgumentScope.from(none).stage());
  for (const text of changes) {
    const keyword = text.trim().split(/\s/, 1)[0] ?? "";
    if (!allowed.has(keyword.toLowerCase()))
      throw new Fault("invalid", `${keyword.toUpperCase()} is not a valid change command`);
    const instruction = parseTrigger(text);
    state = applyInstruction(state, instruction, { escapeChar: "\\", dialect: "classic" }).next;
  }
  return { ...(config.Env !== undefined && { Env: config.Env }), ...configOf(state) };
}
