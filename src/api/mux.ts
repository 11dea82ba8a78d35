/**
 * Frames of Docker's multiplexed stream.
 * Pure.
 */

const streamByte = { stdout: 1, stderr: 2 } as const;
const headerBytes = 8;

/** One frame: stream, three zeros, the length in four bytes, then `prefix` and `bytes`. */
export function muxFrame(stream: "stdout" | "stderr", bytes: Uint8Array, prefix = ""): Uint8Array {
  const length = prefix.length + bytes.length;
  const frame = Buffer.allocUnsafe(headerBytes + length);
  frame.writeUInt32BE(streamByte[stream] * 0x1000000, 0);
  frame.writeUInt32BE(length, 4);
  if (prefix !== "") frame.write(prefix, headerBytes, "latin1");
  frame.set(bytes, headerBytes + prefix.length);
  return frame;
}
