import { open } from "node:fs/promises";

/** Bytes at the end of a log that are read for a worker's last words. */
const TAIL_BYTES = 64 * 1024;
const KEPT_LINES = 40;
const KEPT_LINE_LENGTH = 2_000;

/** The last lines of a worker's log; none where there is no log. */
export async function lastLinesOf(path: string): Promise<readonly string[]> {
  const file = await open(path, "r").catch(() => null);
  if (file === null) return [];
  try {
    const { size } = await file.stat();
    const length = Math.min(size, TAIL_BYTES);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
    const lines = buffer.toString("utf8").split("\n");
    // The first line of a tail may be half of one.
    const whole = size > length ? lines.slice(1) : lines;
    return whole
      .filter((line) => line !== "")
      .slice(-KEPT_LINES)
      .map((line) => line.slice(0, KEPT_LINE_LENGTH));
  } finally {
    await file.close();
  }
}
