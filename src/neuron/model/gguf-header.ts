import type { LayerCache, ModelShape } from "./estimate-footprint.ts";
import { readGgufHead, type GgufHead } from "./gguf-head.ts";

/**
 * The shape of a model from the first bytes of its file. Returns null when the numbers that an estimate needs are
 * not there.
 */
export function readModelShape(prefix: Uint8Array): ModelShape | null {
  const head = readGgufHead(prefix);
  return head === null ? null : modelShapeOf(head);
}

export function modelShapeOf({ metadata, tensors }: GgufHead): ModelShape | null {
  const architecture = metadata.get("general.architecture");
  if (typeof architecture !== "string") return null;
  const figures = new Figures(metadata, architecture);
  const layers = figures.one("block_count");
  const embedding = figures.one("embedding_length");
  const heads = figures.one("attention.head_count");
  const trainedContext = figures.one("context_length");
  if (layers === undefined || embedding === undefined || heads === undefined || trainedContext === undefined)
    return null;
  const vocabulary = tensors?.find(({ name }) => name === "token_embd.weight")?.dimensions[1];
  const mixture = figures.one("expert_feed_forward_length") ?? 0;
  return {
    trainedContext,
    embedding,
    feedForward: Math.max(figures.one("feed_forward_length") ?? 4 * embedding, mixture),
    vocabulary: vocabulary ?? null,
    writesText: !ENCODERS.test(architecture),
    layerCaches: layerCaches(figures, { architecture, layers, heads, headLength: embedding / heads }),
    weights: tensors === null ? null : [tensors],
  };
}

/** They compute embeddings and keep no cache. */
const ENCODERS = /bert|^t5encoder$|-embedding$/;

class Figures {
  readonly #metadata: GgufHead["metadata"];
  readonly #architecture: string;

  constructor(metadata: GgufHead["metadata"], architecture: string) {
    this.#metadata = metadata;
    this.#architecture = architecture;
  }

  /** A figure above zero; of a figure per layer the largest. */
  one(name: string): number | undefined {
    const value = this.#metadata.get(`${this.#architecture}.${name}`);
    const figure = typeof value === "object" ? Math.max(...value) : value;
    return typeof figure === "number" && figure > 0 ? figure : undefined;
  }

  /** What the file says per layer; undefined where it says one figure for all, or none. */
  each(name: string): readonly number[] | undefined {
    const value = this.#metadata.get(`${this.#architecture}.${name}`);
    return typeof value === "object" ? value : undefined;
  }
}

interface Attention {
  readonly architecture: string;
  readonly layers: number;
  readonly heads: number;
  readonly headLength: number;
}

/**
 * Every so many layers one sees the whole context, the others a window: llama.cpp's own figures, for files that give
 * the window and not the pattern. `first`: the whole one comes first. Other architectures keep everything.
 */
const WINDOW_PATTERNS: Readonly<Record<string, { readonly every: number; readonly first?: true }>> = {
  afmoe: { every: 4 },
  cohere2: { every: 4 },
  cohere2moe: { every: 4, first: true },
  exaone4: { every: 4 },
  "exaone-moe": { every: 4 },
  gemma2: { every: 2 },
  gemma3: { every: 6 },
  gemma3n: { every: 5 },
  gemma4: { every: 6 },
  "gpt-oss": { every: 2 },
  llama4: { every: 4 },
  mellum: { every: 4 },
  olmo2: { every: 4 },
  plamo3: { every: 8 },
  smallthinker: { every: 4, first: true },
};

function layerCaches(figures: Figures, attention: Attention): readonly LayerCache[] {
  const { layers, heads, headLength } = attention;
  const keyLength = figures.one("attention.key_length") ?? headLength;
  const valueLength = figures.one("attention.value_length") ?? headLength;
  const kvHeads = figures.each("attention.head_count_kv");
  const sameKvHeads = figures.one("attention.head_count_kv") ?? heads;
  // With latent attention the values are a part of the keys.
  const isLatent = figures.one("attention.key_length_mla") !== undefined;
  const window = figures.one("attention.sliding_window") ?? null;
  const recurrentBytes = recurrentStateBytes(figures);
  const interval = figures.one("full_attention_interval");
  return Array.from({ length: layers }, (_, layer): LayerCache => {
    const headsHere = kvHeads?.[layer] ?? sameKvHeads;
    const isRecurrent = headsHere === 0 || (interval !== undefined && (layer + 1) % interval !== 0);
    if (isRecurrent) return { elementsPerToken: 0, windowTokens: null, bytesPerSlot: recurrentBytes };
    return {
      elementsPerToken: headsHere * (isLatent ? keyLength : keyLength + valueLength),
      windowTokens: window !== null && isWindowed(layer, figures, attention) ? window : null,
      bytesPerSlot: 0,
    };
  });
}

function isWindowed(layer: number, figures: Figures, { architecture, layers }: Attention): boolean {
  const told = figures.each("attention.sliding_window_pattern");
  if (told?.length === layers) return told[layer] !== 0;
  const pattern = WINDOW_PATTERNS[architecture];
  if (pattern === undefined) return false;
  const every = figures.one("attention.sliding_window_pattern") ?? pattern.every;
  return pattern.first === true ? layer % every !== 0 : layer % every < every - 1;
}

/** State of one layer of a state space model, kept once for each slot as 32-bit floats. */
function recurrentStateBytes(figures: Figures): number {
  const inner = figures.one("ssm.inner_size");
  const state = figures.one("ssm.state_size");
  if (inner === undefined || state === undefined) return 0;
  const kernel = figures.one("ssm.conv_kernel") ?? 4;
  const groups = figures.one("ssm.group_count") ?? 0;
  return 4 * ((kernel - 1) * (inner + 2 * groups * state) + state * inner);
}
