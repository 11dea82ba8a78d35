/**
 * The trash of volumes on the wire: wherry's own requests `GET /trash`, `POST /trash/restore` and `DELETE /trash`.
 * Pure.
 */

/** A volume that was removed and can be had back. Times RFC 3339, sizes bytes. */
export interface TrashedVolume {
  readonly Id: string;
  /** What was removed by one request has it in common. */
  readonly Removal: string;
  readonly Name: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Options: Readonly<Record<string, string>>;
  readonly CreatedAt: string;
  readonly RemovedAt: string;
  readonly KeptUntil: string;
  readonly Size: number;
}

/** What names a removal, and an entry of the trash. */
const idPattern = /^[0-9a-f]{12}$/;

export function isTrashId(text: string): boolean {
  return idPattern.test(text);
}
