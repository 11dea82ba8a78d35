/** What Docker puts into a container event's attributes: its labels, image and name. Pure. */
import type { ContainerRecord } from "#spec/container.ts";

export function containerAttributes(record: ContainerRecord): Record<string, string> {
  return { ...record.config.Labels, image: record.image.reference, name: record.name };
}
