import type { EngineEvent } from "#spec/event.ts";

/** Appends one event, stamped now. */
export type Emit = (
  type: EngineEvent["type"],
  action: string,
  actorId: string,
  attributes: Readonly<Record<string, string>>,
) => void;
