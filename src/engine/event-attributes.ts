/** What Docker puts into a container event's attributes: its labels, image and name. Pure. */
import type { ContainerRecord } from "#spec/container.ts";

export function containerAttributes(record: ContainerRecord): Record<string, string> {
  return { ...record.config.Labels, image: record.image.reference, name: record.name };
}

/** A command as Docker's exec events name it: its first word, a space, the others. */
export function execWords([first = "", ...rest]: readonly string[]): string {
  return `${first} ${rest.join(" ")}`;
}
