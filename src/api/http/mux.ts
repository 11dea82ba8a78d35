/** Pure. Frames of Docker's multiplexed stream, with what stands in front of a line. */
import { frameHead, frameHeadBytes } from "#spec/frames.ts";

/** One frame: its head, then `prefix` and `bytes`. */
export function muxFrame(stream: "stdout" | "stderr", bytes: Uint8Array, prefix = ""): Uint8Array {
  const length = prefix.length + bytes.length;
  const frame = Buffer.allocUnsafe(frameHeadBytes + length);
  frameHead(frame, 0, stream, length);
  if (prefix !== "") frame.write(prefix, frameHeadBytes, "latin1");
  frame.set(bytes, frameHeadBytes + prefix.length);
  return frame;
}
