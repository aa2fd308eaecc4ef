import { createHash, randomUUID } from "node:crypto";
import { mkdir, rename, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeTinyLora } from "./gguf-lora-writer.ts";
import { writeTinyGguf, type TinyGgufOptions } from "./gguf-writer.ts";

/**
 * Path of a tiny model file, written once per content. The name carries the digest and the file appears by
 * rename, so test processes that run side by side share it and never see half of it.
 */
export async function tinyModelFile(options: TinyGgufOptions = {}): Promise<string> {
  return await placeFile(writeTinyGguf(options));
}

/** A LoRA adapter for a tiny model. */
export async function tinyLoraFile(options: Parameters<typeof writeTinyLora>[0] = {}): Promise<string> {
  return await placeFile(writeTinyLora(options));
}

/** A file that starts like a model and ends in the middle of its tensors. */
export async function truncatedModelFile(): Promise<string> {
  const whole = writeTinyGguf();
  return await placeFile(whole.subarray(0, Math.floor(whole.length / 2)));
}

/** A file with a model's name and no model in it. */
export async function corruptModelFile(): Promise<string> {
  return await placeFile(new TextEncoder().encode("GGUF? no: just text. ".repeat(50)));
}

async function placeFile(bytes: Uint8Array): Promise<string> {
  const digest = createHash("sha256").update(bytes).digest("hex");
  const directory = join(tmpdir(), "cortex-test-models");
  const path = join(directory, `tiny-${digest.slice(0, 24)}.gguf`);
  const present = await stat(path).catch(() => undefined);
  if (present?.size === bytes.length) return path;
  await mkdir(directory, { recursive: true });
  const partial = `${path}.${randomUUID()}.partial`;
  await writeFile(partial, bytes);
  await rename(partial, path);
  return path;
}
