import { createWriteStream, existsSync, mkdirSync, renameSync } from "node:fs";
import { once } from "node:events";
import { join } from "node:path";
import { promptsOf } from "../../src/client/measure/prompts.ts";

/*
 * GGUF files of random weights in the shape of real models, for speed and memory only: llama's architecture, 32,000 or
 * 8,192 tokens, of which each word of the prompts is one. Written once, in pieces, without the whole file in memory.
 */

/** All that prompts are made of. */
const WORDS = new Set(promptsOf(1, 5000, 1).join(" ").split(" "));

export interface RandomModel {
  readonly name: string;
  readonly vocabulary: number;
  readonly embedding: number;
  readonly layers: number;
  readonly feedForward: number;
  readonly type: "f16" | "q8_0";
}

const SHAPES = [
  { size: "4m", vocabulary: 8192, embedding: 192, layers: 6, feedForward: 512 },
  { size: "80m", vocabulary: 32_000, embedding: 640, layers: 12, feedForward: 1728 },
  { size: "500m", vocabulary: 32_000, embedding: 1280, layers: 24, feedForward: 3456 },
] as const;

export const RANDOM_MODELS: readonly RandomModel[] = SHAPES.flatMap(({ size, ...shape }) =>
  (["f16", "q8_0"] as const).map((type) => ({ name: `random-${size}-${type}`, ...shape, type })),
);

const ALIGNMENT = 32;
const TYPE = { f32: 0, f16: 1, q8_0: 8 } as const;
const HEAD = 64;
const TILE_VALUES = 1 << 20;

interface Tensor {
  readonly name: string;
  readonly dimensions: readonly number[];
  readonly type: keyof typeof TYPE;
}

const count = ({ dimensions }: Tensor): number => dimensions.reduce((product, size) => product * size, 1);

function bytesOf(tensor: Tensor): number {
  const values = count(tensor);
  if (tensor.type === "f32") return values * 4;
  return tensor.type === "f16" ? values * 2 : (values / 32) * 34;
}

function tensorsOf({ vocabulary, embedding, layers, feedForward, type }: RandomModel): readonly Tensor[] {
  const matrix = (name: string, inputs: number, outputs: number): Tensor => ({
    name,
    dimensions: [inputs, outputs],
    type,
  });
  const norm = (name: string): Tensor => ({ name, dimensions: [embedding], type: "f32" });
  const blocks = Array.from({ length: layers }, (_, block) => [
    norm(`blk.${block}.attn_norm.weight`),
    ...["q", "k", "v", "output"].map((part) =>
      matrix(`blk.${block}.attn_${part}.weight`, embedding, embedding),
    ),
    norm(`blk.${block}.ffn_norm.weight`),
    matrix(`blk.${block}.ffn_gate.weight`, embedding, feedForward),
    matrix(`blk.${block}.ffn_up.weight`, embedding, feedForward),
    matrix(`blk.${block}.ffn_down.weight`, feedForward, embedding),
  ]);
  return [matrix("token_embd.weight", embedding, vocabulary), norm("output_norm.weight"), ...blocks.flat()];
}

/** Words are found letter by letter: each beginning of one is a token, and merges lead from one to the next. */
function vocabularyOf(size: number): { readonly texts: string[]; readonly types: number[] } {
  const special = ["<unk>", "<s>", "</s>"];
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const beginnings = new Set<string>(["\u2581", ...Array.from("abcdefghijklmnopqrstuvwxyz")]);
  for (const word of WORDS)
    for (let length = 1; length <= word.length; length++) beginnings.add(`\u2581${word.slice(0, length)}`);
  const named = [...special, ...bytes, ...beginnings];
  const texts = [...named, ...Array.from({ length: size - named.length }, (_, at) => `filler${at}`)];
  const types = texts.map((_, at) => {
    if (at === 0) return 2;
    if (at < special.length) return 3;
    return at < special.length + bytes.length ? 6 : 1;
  });
  return { texts, types };
}

class Head {
  readonly #parts: Buffer[] = [];
  length = 0;

  #add(buffer: Buffer): void {
    this.#parts.push(buffer);
    this.length += buffer.length;
  }
  u32(value: number): void {
    const buffer = Buffer.alloc(4);
    buffer.writeUInt32LE(value);
    this.#add(buffer);
  }
  u64(value: number): void {
    const buffer = Buffer.alloc(8);
    buffer.writeBigUInt64LE(BigInt(value));
    this.#add(buffer);
  }
  f32(value: number): void {
    const buffer = Buffer.alloc(4);
    buffer.writeFloatLE(value);
    this.#add(buffer);
  }
  text(value: string): void {
    const bytes = Buffer.from(value);
    this.u64(bytes.length);
    this.#add(bytes);
  }
  raw(bytes: Buffer): void {
    this.#add(bytes);
  }
  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

function headOf(model: RandomModel, tensors: readonly Tensor[]): Buffer {
  const { texts, types } = vocabularyOf(model.vocabulary);
  const heads = model.embedding / HEAD;
  const integers = {
    context_length: 8192,
    embedding_length: model.embedding,
    block_count: model.layers,
    feed_forward_length: model.feedForward,
    "attention.head_count": heads,
    "attention.head_count_kv": heads,
    "rope.dimension_count": HEAD,
    vocab_size: model.vocabulary,
  };
  const ids = { bos_token_id: 1, eos_token_id: 2, unknown_token_id: 0 };
  const entries: (() => void)[] = [];
  const head = new Head();
  const entry = (key: string, type: number, write: () => void): void => {
    entries.push(() => {
      head.text(key);
      head.u32(type);
      write();
    });
  };
  const list = (key: string, type: number, write: () => void): void =>
    entry(key, 9, () => {
      head.u32(type);
      head.u64(texts.length);
      write();
    });
  entry("general.architecture", 8, () => head.text("llama"));
  entry("general.name", 8, () => head.text(model.name));
  for (const [key, value] of Object.entries(integers)) entry(`llama.${key}`, 4, () => head.u32(value));
  entry("llama.attention.layer_norm_rms_epsilon", 6, () => head.f32(1e-5));
  entry("tokenizer.ggml.model", 8, () => head.text("llama"));
  for (const [key, value] of Object.entries(ids)) entry(`tokenizer.ggml.${key}`, 4, () => head.u32(value));
  list("tokenizer.ggml.tokens", 8, () => texts.forEach((text) => head.text(text)));
  list("tokenizer.ggml.scores", 6, () => texts.forEach((text) => head.f32(text.length)));
  list("tokenizer.ggml.token_type", 5, () => types.forEach((type) => head.u32(type)));
  head.raw(Buffer.from("GGUF"));
  head.u32(3);
  head.u64(tensors.length);
  head.u64(entries.length);
  for (const write of entries) write();
  let offset = 0;
  for (const tensor of tensors) {
    head.text(tensor.name);
    head.u32(tensor.dimensions.length);
    for (const size of tensor.dimensions) head.u64(size);
    head.u32(TYPE[tensor.type]);
    head.u64(offset);
    offset += Math.ceil(bytesOf(tensor) / ALIGNMENT) * ALIGNMENT;
  }
  head.raw(Buffer.alloc((ALIGNMENT - (head.length % ALIGNMENT)) % ALIGNMENT));
  return head.bytes();
}

/** Weights around 0.01, over and over: what stands in them does not change what they cost. */
function tileOf(type: RandomModel["type"]): Buffer {
  let state = 1;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 16;
  };
  if (type === "f16") {
    const tile = Buffer.alloc(TILE_VALUES * 2);
    // Sign and fraction at random, exponents of 2^-7 and 2^-6.
    for (let at = 0; at < TILE_VALUES; at++) {
      const bits = next();
      tile.writeUInt16LE((bits & 0x83ff) | ((8 + (bits & 1)) << 10), at * 2);
    }
    return tile;
  }
  const tile = Buffer.alloc((TILE_VALUES / 32) * 34);
  for (let block = 0; block < TILE_VALUES / 32; block++) {
    // A scale of 2^-13.
    tile.writeUInt16LE(2 << 10, block * 34);
    for (let at = 0; at < 32; at++) tile.writeInt8((next() & 0xff) - 128, block * 34 + 2 + at);
  }
  return tile;
}

/** Path of the model's file in the directory, written where it is not there. */
export async function randomModelFile(directory: string, model: RandomModel): Promise<string> {
  const path = join(directory, `${model.name}.gguf`);
  if (existsSync(path)) return path;
  mkdirSync(directory, { recursive: true });
  const tensors = tensorsOf(model);
  const out = createWriteStream(`${path}.partial`);
  const write = async (bytes: Buffer): Promise<void> => {
    if (!out.write(bytes)) await once(out, "drain");
  };
  await write(headOf(model, tensors));
  const tile = tileOf(model.type);
  for (const tensor of tensors) {
    const size = bytesOf(tensor);
    if (tensor.type === "f32") {
      const ones = Buffer.alloc(size);
      for (let at = 0; at < size; at += 4) ones.writeFloatLE(1, at);
      await write(ones);
    } else {
      for (let at = 0; at < size; at += tile.length)
        await write(tile.subarray(0, Math.min(tile.length, size - at)));
    }
    await write(Buffer.alloc((ALIGNMENT - (size % ALIGNMENT)) % ALIGNMENT));
  }
  out.end();
  await once(out, "finish");
  renameSync(`${path}.partial`, path);
  return path;
}
