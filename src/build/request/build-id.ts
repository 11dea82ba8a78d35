import { randomBytes } from "node:crypto";

/** 25 letters and digits, as BuildKit names things. */
export function newId(): string {
  return BigInt(`0x${randomBytes(17).toString("hex")}`)
    .toString(36)
    .padStart(25, "0")
    .slice(-25);
}
