import { createNoise, TENSOR_TYPE, writeGguf, type MetadataValue, type Tensor } from "./gguf-file.ts";

/**
 * Writes small GGUF model files from a seed: llama architecture, byte-level SPM vocabulary, ChatML template with
 * tools in the Hermes form. Equal options give equal bytes on every machine: only integer arithmetic and exactly
 * rounded float operations are used, never a transcendental function.
 *
 * The weights are noise with one deliberate direction: dimension 0 of every token embedding is a constant that
 * dominates the residual stream, so column 0 of the output matrix acts as a bias per token. That is how a noise
 * model is told to write printable text and when to stop.
 */
export interface TinyGgufOptions {
  readonly seed?: number;
  readonly layers?: number;
  readonly embedding?: number;
  readonly heads?: number;
  readonly feedForward?: number;
  /** Tokens the file claims to be trained for. */
  readonly contextLength?: number;
  readonly weights?: "f32" | "f16";
  /** "never" makes every generation run to its limit; a number is added to the end token's logit, roughly. */
  readonly endOfText?: "never" | number;
  /** "printable" keeps to ASCII letters, digits and punctuation; "bytes" writes any byte, mostly broken UTF-8. */
  readonly output?: "printable" | "bytes";
  /** So many times as sure of each token: the same answers at temperature 0, with larger probabilities. */
  readonly certainty?: number;
  readonly addBos?: boolean;
  /** A byte-level BPE vocabulary with this pre-tokenizer ("tekken", "gpt-4o", ...) in place of the SPM one. */
  readonly preTokenizer?: string | null;
  /** Replaces the ChatML template; null leaves the file without one. */
  readonly chatTemplate?: string | null;
  /** A reranker: the qwen3 architecture with a classifier of two labels, "yes" and "no". */
  readonly reranks?: boolean;
  /** More metadata, e.g. `general.sampling.temp`. */
  readonly metadata?: Readonly<Record<string, MetadataValue>>;
}

export const CHATML_HERMES_TEMPLATE = [
  "{%- if tools %}",
  "{{- '<|im_start|>system\\n' }}",
  "{%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}",
  "{{- 'Tools:\\n<tools>' }}",
  "{%- for tool in tools %}{{- '\\n' }}{{- tool | tojson }}{%- endfor %}",
  '{{- \'\\n</tools>\\nCall one as <tool_call>\\n{"name": ..., "arguments": {...}}\\n</tool_call><|im_end|>\\n\' }}',
  "{%- elif messages[0].role == 'system' %}",
  "{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}",
  "{%- endif %}",
  "{%- for message in messages %}",
  "{%- if message.role == 'user' or message.role == 'assistant' or (message.role == 'system' and not loop.first) %}",
  "{{- '<|im_start|>' + message.role + '\\n' }}",
  "{%- if message.content %}{{- message.content }}{%- endif %}",
  "{%- if message.tool_calls %}",
  "{%- for call in message.tool_calls %}",
  '{{- \'\\n<tool_call>\\n{"name": "\' + call.function.name + \'", "arguments": \' }}',
  "{{- call.function.arguments | tojson }}",
  "{{- '}\\n</tool_call>' }}",
  "{%- endfor %}",
  "{%- endif %}",
  "{{- '<|im_end|>\\n' }}",
  "{%- elif message.role == 'tool' %}",
  "{{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}",
  "{%- endif %}",
  "{%- endfor %}",
  "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}",
].join("\n");

const TOKEN_TYPE = { normal: 1, unknown: 2, control: 3, byte: 6 } as const;
const UNKNOWN_TOKEN = 0;
const BOS_TOKEN = 1;
const END_OF_TURN_TOKEN = 4;
const CONTROL_TOKENS = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"];
const SPACE_MARK = "\u2581";
/** Size of the constant direction and of a bias that rules a token out. */
const CONSTANT_DIRECTION = 4;
const RULED_OUT = -40;

interface Vocabulary {
  readonly tokens: readonly string[];
  readonly types: readonly number[];
}

function byteVocabulary(preTokenizer: string | null): Vocabulary {
  const nameOf = preTokenizer === null ? spmByteName : bpeByteName;
  const bytes = Array.from({ length: 256 }, (_, byte) => nameOf(byte));
  const controlTypes = CONTROL_TOKENS.map((_, index) =>
    index === UNKNOWN_TOKEN ? TOKEN_TYPE.unknown : TOKEN_TYPE.control,
  );
  return {
    tokens: [...CONTROL_TOKENS, ...bytes, SPACE_MARK],
    types: [
      ...controlTypes,
      ...bytes.map(() => (preTokenizer === null ? TOKEN_TYPE.byte : TOKEN_TYPE.normal)),
      TOKEN_TYPE.normal,
    ],
  };
}

const spmByteName = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;

const hasNameOfItsOwn = (byte: number): boolean =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;

/** GPT-2's names of bytes: printable ones are themselves, the others count up from U+0100. */
function bpeByteName(byte: number): string {
  if (hasNameOfItsOwn(byte)) return String.fromCharCode(byte);
  const before = Array.from({ length: byte }, (_, code) => code).filter((code) => !hasNameOfItsOwn(code));
  return String.fromCharCode(0x100 + before.length);
}

/** How much the noise model leans to a token; about what is added to its logit. */
function outputBias(token: string, index: number, options: Required<TinyGgufOptions>): number {
  if (index === END_OF_TURN_TOKEN) return options.endOfText === "never" ? RULED_OUT : options.endOfText;
  if (index < CONTROL_TOKENS.length) return RULED_OUT;
  if (token === SPACE_MARK) return 0;
  const byte = index - CONTROL_TOKENS.length;
  const printable = byte > 0x20 && byte < 0x7f;
  return options.output === "bytes" || printable ? 0 : RULED_OUT;
}

function modelTensors(options: Required<TinyGgufOptions>, vocabulary: Vocabulary): Tensor[] {
  const { embedding, feedForward, layers, weights } = options;
  const noise = createNoise(options.seed);
  const matrix = (name: string, inputs: number, outputs: number): Tensor => ({
    name,
    dimensions: [inputs, outputs],
    values: noise(inputs * outputs, 1 / Math.sqrt(inputs)),
    type: weights,
  });
  const norm = (name: string): Tensor => ({
    name,
    dimensions: [embedding],
    values: new Float32Array(embedding).fill(1),
    type: "f32",
  });
  const vocabularySize = vocabulary.tokens.length;
  const tokenEmbedding: Tensor = {
    ...matrix("token_embd.weight", embedding, vocabularySize),
    values: noise(embedding * vocabularySize, 1),
  };
  const output: Tensor = {
    ...matrix("output.weight", embedding, vocabularySize),
    values: noise(embedding * vocabularySize, 2 / Math.sqrt(embedding)),
  };
  for (const [index, token] of vocabulary.tokens.entries()) {
    tokenEmbedding.values[index * embedding] = CONSTANT_DIRECTION;
    output.values[index * embedding] = outputBias(token, index, options) / CONSTANT_DIRECTION;
  }
  if (options.certainty !== 1)
    output.values.forEach((value, at, all) => (all[at] = value * options.certainty));
  const headNorm = (name: string): Tensor => {
    const length = embedding / options.heads;
    return { name, dimensions: [length], values: new Float32Array(length).fill(1), type: "f32" };
  };
  const blocks = Array.from({ length: layers }, (_, block) => [
    norm(`blk.${block}.attn_norm.weight`),
    matrix(`blk.${block}.attn_q.weight`, embedding, embedding),
    matrix(`blk.${block}.attn_k.weight`, embedding, embedding),
    matrix(`blk.${block}.attn_v.weight`, embedding, embedding),
    matrix(`blk.${block}.attn_output.weight`, embedding, embedding),
    norm(`blk.${block}.ffn_norm.weight`),
    matrix(`blk.${block}.ffn_gate.weight`, embedding, feedForward),
    matrix(`blk.${block}.ffn_up.weight`, embedding, feedForward),
    matrix(`blk.${block}.ffn_down.weight`, feedForward, embedding),
    ...(options.reranks
      ? [headNorm(`blk.${block}.attn_q_norm.weight`), headNorm(`blk.${block}.attn_k_norm.weight`)]
      : []),
  ]);
  const classifier = options.reranks
    ? [{ ...matrix("cls.output.weight", embedding, 2), type: "f32" as const }]
    : [];
  return [tokenEmbedding, norm("output_norm.weight"), output, ...blocks.flat(), ...classifier];
}

const RERANKER_METADATA: Readonly<Record<string, MetadataValue>> = {
  "qwen3.pooling_type": { uint32: 4 },
  "qwen3.classifier.output_labels": { strings: ["yes", "no"] },
  "tokenizer.chat_template.rerank": "<|im_start|>{query}<|im_end|>{document}<|im_end|>",
};

function modelMetadata(
  options: Required<TinyGgufOptions>,
  vocabulary: Vocabulary,
): Record<string, MetadataValue> {
  const architecture = options.reranks ? "qwen3" : "llama";
  return {
    "general.architecture": architecture,
    "general.name": `tiny test model ${options.seed}`,
    "general.file_type": { uint32: TENSOR_TYPE[options.weights] },
    [`${architecture}.context_length`]: { uint32: options.contextLength },
    [`${architecture}.embedding_length`]: { uint32: options.embedding },
    [`${architecture}.block_count`]: { uint32: options.layers },
    [`${architecture}.feed_forward_length`]: { uint32: options.feedForward },
    [`${architecture}.attention.head_count`]: { uint32: options.heads },
    [`${architecture}.attention.head_count_kv`]: { uint32: options.heads },
    [`${architecture}.rope.dimension_count`]: { uint32: options.embedding / options.heads },
    [`${architecture}.attention.layer_norm_rms_epsilon`]: 1e-5,
    [`${architecture}.vocab_size`]: { uint32: vocabulary.tokens.length },
    ...(options.preTokenizer === null
      ? { "tokenizer.ggml.model": "llama" }
      : {
          "tokenizer.ggml.model": "gpt2",
          "tokenizer.ggml.pre": options.preTokenizer,
          "tokenizer.ggml.merges": { strings: [] },
        }),
    "tokenizer.ggml.tokens": { strings: vocabulary.tokens },
    "tokenizer.ggml.scores": { floats: vocabulary.tokens.map(() => 0) },
    "tokenizer.ggml.token_type": { ints: vocabulary.types },
    "tokenizer.ggml.unknown_token_id": { uint32: UNKNOWN_TOKEN },
    "tokenizer.ggml.bos_token_id": { uint32: BOS_TOKEN },
    "tokenizer.ggml.eos_token_id": { uint32: END_OF_TURN_TOKEN },
    "tokenizer.ggml.add_bos_token": options.addBos,
    "tokenizer.ggml.add_space_prefix": false,
    ...(options.chatTemplate === null ? {} : { "tokenizer.chat_template": options.chatTemplate }),
    ...(options.reranks ? RERANKER_METADATA : {}),
    ...options.metadata,
  };
}

/** A whole model file. `embedding` must be a multiple of `2 * heads`. */
export function writeTinyGguf(given: TinyGgufOptions = {}): Uint8Array {
  const options: Required<TinyGgufOptions> = {
    seed: 1,
    layers: 2,
    embedding: 64,
    heads: 4,
    feedForward: 128,
    contextLength: 1024,
    weights: "f32",
    endOfText: "never",
    output: "printable",
    certainty: 1,
    addBos: false,
    preTokenizer: null,
    chatTemplate: CHATML_HERMES_TEMPLATE,
    reranks: false,
    metadata: {},
    ...given,
  };
  const vocabulary = byteVocabulary(options.preTokenizer);
  const tensors = modelTensors(options, vocabulary);
  return writeGguf(modelMetadata(options, vocabulary), tensors);
}
