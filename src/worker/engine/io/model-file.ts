import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { CortexError } from "../../../core/errors.ts";

const MAGIC = "GGUF";

/** Says what is wrong with a path before llama.cpp says it in its own way; answers with the bytes of the file. */
export async function checkModelFile(path: string): Promise<number> {
  const file = await openModelFile(path);
  try {
    const start = Buffer.alloc(MAGIC.length);
    await file.read(start, 0, start.length, 0);
    if (start.toString("latin1") !== MAGIC) {
      throw new CortexError("model_file_invalid", `${path} is not a GGUF file`);
    }
    return (await file.stat()).size;
  } catch (thrown) {
    if (thrown instanceof CortexError) throw thrown;
    throw new CortexError("model_file_invalid", `${path} cannot be read`, { cause: thrown });
  } finally {
    await file.close();
  }
}

async function openModelFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, "r");
  } catch (thrown) {
    const errno = thrown instanceof Error && "code" in thrown ? thrown.code : undefined;
    if (errno === "EACCES" || errno === "EPERM") {
      throw new CortexError("source_forbidden", `${path} may not be read by this user`, {
        cause: thrown,
        next: "let the neuron's user read the file",
      });
    }
    throw new CortexError("source_not_found", `there is no file ${path}`, { cause: thrown });
  }
}

/** Of the identity of a file. */
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
