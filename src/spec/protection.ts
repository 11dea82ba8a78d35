/**
 * The label that keeps things from being removed by mistake.
 * Pure.
 */
import { Fault } from "./fault.ts";

/** On a volume or container: it is not removed, nor pruned. On a network or image: it is not pruned. */
export const protectLabel = "wherry.protect";

/** By any value but `false`, `no` and `0`. */
export function isProtected(labels: Readonly<Record<string, string>> | null | undefined): boolean {
  const value = labels?.[protectLabel];
  return value !== undefined && !["false", "no", "0"].includes(value.trim().toLowerCase());
}

/** The labels with protection put on or lifted. */
export function withProtection(
  labels: Readonly<Record<string, string>>,
  on: boolean,
): Record<string, string> {
  const { [protectLabel]: _, ...rest } = labels;
  return on ? { ...rest, [protectLabel]: "true" } : rest;
}

/** @throws Fault `conflict` that names the label and how to lift it. */
export function checkUnprotected(
  what: { readonly kind: "volume" | "container"; readonly name: string },
  labels: Readonly<Record<string, string>> | null | undefined,
): void {
  if (!isProtected(labels)) return;
  const { kind, name } = what;
  throw new Fault(
    "conflict",
    `cannot remove ${kind} ${name}: its label ${protectLabel} protects it, lift that with 'wherry ${kind} unprotect ${name}'`,
  );
}
