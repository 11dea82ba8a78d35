/**
 * Events on the wire, and which of them a client asked for.
 * Pure.
 */
import type { EngineEvent } from "#spec/event.ts";
import { type Filters, matchesExactly, matchesLabels } from "#spec/filters.ts";

export const eventFilters = [
  "config",
  "container",
  "daemon",
  "event",
  "image",
  "label",
  "network",
  "node",
  "plugin",
  "scope",
  "secret",
  "service",
  "type",
  "volume",
] as const;

/** One line of JSON. The time is written digit by digit: nanoseconds do not fit a JSON number's exact range. */
export function eventLine(event: EngineEvent): string {
  const { type, action, actor, timeNano } = event;
  const { image: from } = actor.attributes;
  // For clients of before API 1.22; dockerd leaves out what is empty.
  const legacy =
    type === "container" || type === "image"
      ? { status: action, ...(actor.id !== "" && { id: actor.id }), ...(from !== undefined && { from }) }
      : {};
  const message = {
    ...legacy,
    Type: type,
    Action: action,
    Actor: { ID: actor.id, Attributes: actor.attributes },
    scope: "local",
    time: Number(timeNano / 1_000_000_000n),
  };
  return `${JSON.stringify(message).slice(0, -1)},"timeNano":${timeNano}}\n`;
}

/** True when `event` is one of those asked for: every key must hold, any of its values is enough. */
export function matchesEvent(event: EngineEvent, filters: Filters, version: number): boolean {
  const { type, action, actor } = event;
  if (type === "image" && action === "create" && version < 46) return false;
  const { event: actions = [], image, label } = filters;
  const [verb = action] = action.split(":");
  return (
    matchesExactly(filters, "type", type) &&
    matchesExactly(filters, "scope", "local") &&
    (actions.length === 0 || actions.includes(action) || actions.includes(verb)) &&
    matchesLabels(label, actor.attributes) &&
    (
      ["container", "daemon", "network", "volume", "plugin", "config", "node", "secret", "service"] as const
    ).every((key) => matchesActor(event, filters[key], key)) &&
    matchesImage(event, image)
  );
}

/** By the beginning of an id or a name. */
function matchesActor(
  { type, actor }: EngineEvent,
  values: readonly string[] | undefined,
  key: string,
): boolean {
  if (values === undefined || values.length === 0) return true;
  const { name = "" } = actor.attributes;
  return type === key && values.some((value) => actor.id.startsWith(value) || name.startsWith(value));
}

/** Also by the image of a container, with or without its tag. */
function matchesImage({ type, actor }: EngineEvent, values: readonly string[] | undefined): boolean {
  if (values === undefined || values.length === 0) return true;
  const { image, name } = actor.attributes;
  const known = (type === "image" ? [actor.id, name] : [image]).flatMap((word) =>
    word === undefined ? [] : [word, word.replace(/:[^:/]+$/, "")],
  );
  return values.some((value) => known.includes(value));
}
