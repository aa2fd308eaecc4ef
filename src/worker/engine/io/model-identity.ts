import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";

const SAMPLES = 64;
const SAMPLE_BYTES = 64 * 1024;

export async function fileSha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }))
    hash.update(chunk as Buffer);
  return hash.digest("hex");
}

/**
 * Tells a model file from every other by its size and samples all through it: to read a large file whole takes longer
 * than to load it. All parts of a model that comes in several.
 */
export async function modelIdentity(path: string): Promise<string> {
  const hash = createHash("sha256");
  for (const part of partsOf(path)) {
    const file = await open(part, "r");
    try {
      const { size } = await file.stat();
      hash.update(`${size}\n`);
      const stride = Math.max(SAMPLE_BYTES, Math.floor(size / SAMPLES));
      const buffer = Buffer.alloc(SAMPLE_BYTES);
      for (let at = 0; at < size; at += stride) {
        const { bytesRead } = await file.read(buffer, 0, SAMPLE_BYTES, at);
        hash.update(buffer.subarray(0, bytesRead));
      }
    } finally {
      await file.close();
    }
  }
  return hash.digest("hex");
}

function partsOf(path: string): readonly string[] {
  const [, head, count] = /^(.*)-\d{5}-of-(\d{5})\.gguf$/.exec(path) ?? [];
  if (head === undefined || count === undefined) return [path];
  return Array.from(
    { length: Number(count) },
    (_, index) => `${head}-${String(index + 1).padStart(5, "0")}-of-${count}.gguf`,
  );
}
