/**
 * What `POST /system/check` tells, one JSON object a line: findings as they come, in the end what was looked at.
 * Pure.
 */

export type CheckArea = "blobs" | "layers" | "volumes" | "networks" | "containers";

/** Something that is not as the records or its own name say. */
export interface Finding {
  readonly area: CheckArea;
  /** One sentence. */
  readonly problem: string;
  /** What a repair does, or what somebody has to do where none can without loss. */
  readonly remedy: string;
  /** Loses nothing that is still there. Absent: it is for somebody to decide. */
  readonly repair?: (() => Promise<void> | void) | undefined;
}

export interface CheckedFinding {
  readonly Area: CheckArea;
  readonly Problem: string;
  readonly Remedy: string;
  readonly Repairable: boolean;
  readonly Repaired: boolean;
  /** Why a repair that was tried failed. */
  readonly Error?: string;
}

export interface CheckSummary {
  readonly Findings: number;
  readonly Repaired: number;
  /** How many things of each kind were looked at. */
  readonly Looked: Readonly<Partial<Record<CheckArea, number>>>;
  /** Bytes that were read to verify digests. */
  readonly ReadBytes: number;
}

export type CheckLine = { readonly Finding: CheckedFinding } | { readonly Summary: CheckSummary };
