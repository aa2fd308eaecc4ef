import { createNoise, writeGguf } from "./gguf-file.ts";

interface TinyLoraOptions {
  readonly seed?: number;
  /** Of the model that it is for. */
  readonly embedding?: number;
  readonly layers?: number;
  readonly rank?: number;
  readonly alpha?: number;
  readonly architecture?: string;
}

/** A LoRA adapter of noise for the query weights of a model of `writeTinyGguf`. */
export function writeTinyLora(options: TinyLoraOptions = {}): Uint8Array {
  const { seed = 5, embedding = 64, layers = 2, rank = 4, alpha = 16, architecture = "llama" } = options;
  const noise = createNoise(seed);
  const matrix = (name: string, inputs: number, outputs: number) => ({
    name,
    dimensions: [inputs, outputs],
    values: noise(inputs * outputs, 1 / Math.sqrt(inputs)),
    type: "f32" as const,
  });
  const blocks = Array.from({ length: layers }, (_, block) => [
    matrix(`blk.${block}.attn_q.weight.lora_a`, embedding, rank),
    matrix(`blk.${block}.attn_q.weight.lora_b`, rank, embedding),
  ]);
  return writeGguf(
    {
      "general.architecture": architecture,
      "general.type": "adapter",
      "adapter.type": "lora",
      "adapter.lora.alpha": alpha,
    },
    blocks.flat(),
  );
}
