/** Pure. `--change`: single Dockerfile instructions applied to an image's configuration, by `import` and `commit`. */
import { Fault } from "#spec/fault.ts";
import type { ImageRunConfig } from "#spec/image.ts";
import { ArgumentScope, type GivenArguments } from "./build-args.ts";
import { parseTrigger } from "./dockerfile.ts";
import { applyInstruction, type StageState } from "./step.ts";

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
  let state: StageState = {
    config: { ...config },
    author: "",
    commandSet: false,
    scope: ArgumentScope.from(none).stage(),
  };
  for (const text of changes) {
    const instruction = parseTrigger(text);
    if (!allowed.has(instruction.kind))
      throw new Fault("invalid", `${instruction.kind.toUpperCase()} is not a valid change command`);
    state = applyInstruction(state, instruction, "\\").next;
  }
  return state.config;
}
