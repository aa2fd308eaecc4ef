import { loadavg } from "node:os";
import {
  InsufficientMemoryError,
  LlamaGrammar,
  type Llama,
  type LlamaContext,
  type LlamaModel,
  type LlamaModelOptions,
} from "node-llama-cpp";
import { join } from "node:path";
import { canonicalDigest } from "../../../core/canonical-digest.ts";
import type { Clock } from "../../../core/clock.ts";
import { CortexError, toCortexError } from "../../../core/errors.ts";
import type { Logger } from "../../../platform/logger.ts";
import { carefulThreads, isQuiet } from "../compute-plan.ts";
import { fileFacts } from "../file-facts.ts";
import type { InferenceEngine } from "../inference-engine.ts";
import type { ChatPromptRenderer } from "../render-chat-prompt.ts";
import { readFileSampling } from "../sampling-options.ts";
import {
  HIBERNATE_WITHIN_MS,
  QUEUED_PER_SLOT,
  type WorkerFacts,
  type WorkerStart,
} from "../../../protocol/worker-messages.ts";
import { openCalibration, type CalibrationOptions, type ThreadCalibration } from "./llama-calibration.ts";
import { createEmbedder, type EmbedderOptions } from "./llama-embeddings.ts";
import { estimateFromHeader } from "./llama-estimates.ts";
import { admitGeneration, type GrammarCache } from "./llama-generation.ts";
import { openHibernation, type Hibernation } from "./hibernation.ts";
import { modelIdentity } from "./model-identity.ts";
import { startLlama } from "./llama-binary.ts";
import { stepOverVocabularies } from "./llama-header.ts";
import { checkModelFile } from "./llama-model-file.ts";
import { guardSampling } from "./llama-native-context.ts";
import { canRank, createReranker } from "./llama-reranker.ts";
import { createSlotPool, type Slot } from "./llama-slots.ts";
import { createSharedPrompts, NOT_SHARED } from "./shared-prompts.ts";
import { createSteps, type Steps } from "./llama-steps.ts";
import { createTokenTexts } from "./llama-token-texts.ts";
import { readModelTexts } from "./llama-vocabulary-engine.ts";

export interface LoadOptions {
  readonly modelPath: string;
  /** Tokens per slot; absent means what the file was trained for, as far as memory allows. */
  readonly contextTokens: number | undefined;
  readonly parallel: number;
  readonly gpu: boolean;
  /** How the cache is kept; what is absent is the engine's to choose. */
  readonly cache: Pick<WorkerStart, "kv_cache_type" | "flash_attention" | "swa_full">;
  readonly threads: number | undefined;
  readonly calibrations?: WorkerStart["calibrations"];
  readonly hibernation?: WorkerStart["hibernation"];
  /** Called with 0..1. */
  readonly onProgress: (fraction: number) => void;
  readonly onCalibrated?: CalibrationOptions["onCalibrated"];
  readonly logger: Logger;
  readonly clock: Clock;
}

const GRAMMARS_KEPT = 32;
/**
 * Tokens of all slots together that no machine holds. llama.cpp counts them in 32 bits and its estimates overflow
 * before that, so nonsense must not reach it.
 */
const MOST_CONTEXT_TOKENS = 2 ** 26;

/**
 * Loads the model and makes its context: `parallel` slots of `contextTokens` each. Only binaries that came with
 * the package are used; nothing is downloaded or compiled.
 *
 * Errors: `source_not_found`, `source_forbidden`, `model_file_invalid`, `insufficient_vram`, `load_failed`.
 */
export async function loadLlamaEngine(options: LoadOptions): Promise<InferenceEngine> {
  await checkModelFile(options.modelPath);
  checkContextSize(options);
  if (!options.gpu) estimateFromHeader();
  await stepOverVocabularies();
  const engineWords: string[] = [];
  const llama = await startLlama(options, engineWords);
  const model = await loadModel(llama, options, engineWords);
  const choice = {
    mathCores: llama.cpuMathCores,
    requested: options.threads,
    fullyOffloaded: model.gpuLayers >= model.fileInsights.totalLayers,
  };
  const threads = carefulThreads(choice);
  const { modelPath, calibrations = [], onCalibrated = () => undefined } = options;
  const calibration = await openCalibration({
    llama,
    model,
    modelPath,
    threads: choice,
    calibrations,
    onCalibrated,
  });
  const steps = createSteps({
    slots: options.parallel,
    onGpu: model.gpuLayers > 0,
    threads: calibration.candidates,
    calibration: calibration.known,
    onCalibrated: (chosen) => calibration.record(chosen),
    quiet: () => isQuiet(loadavg()[0] ?? 0, llama.cpuMathCores),
    clock: options.clock,
  });
  const context = generates(model) ? await createContext(model, { ...options, threads, steps }) : undefined;
  const hibernation = await startHibernation({ llama, model, context, options });
  options.onProgress(1);
  return buildEngine({ llama, model, context, steps, hibernation, threads, calibration, options });
}

/** Given with the model, so that what is fitted to a GPU counts with it; contexts take it over from there. */
function cacheOptions(cache: LoadOptions["cache"]): Partial<LlamaModelOptions> {
  const { kv_cache_type, flash_attention, swa_full } = cache;
  const type = kv_cache_type?.toUpperCase() as Uppercase<NonNullable<typeof kv_cache_type>> | undefined;
  if (flash_attention === false && type?.startsWith("Q") === true) {
    throw new CortexError(
      "load_failed",
      `a cache in ${kv_cache_type} takes flash attention, which is turned off`,
      {
        next: "leave out `flash_attention`, or declare `kv_cache_type` f16",
      },
    );
  }
  return {
    ...(flash_attention === undefined ? {} : { defaultContextFlashAttention: flash_attention }),
    ...(swa_full === undefined ? {} : { defaultContextSwaFullCache: swa_full }),
    ...(type === undefined
      ? {}
      : {
          experimentalDefaultContextKvCacheKeyType: type,
          experimentalDefaultContextKvCacheValueType: type,
          ...(type.startsWith("Q") ? { defaultContextFlashAttention: true } : {}),
        }),
  };
}

function checkContextSize({ contextTokens, parallel }: LoadOptions): void {
  if (contextTokens === undefined || contextTokens * parallel <= MOST_CONTEXT_TOKENS) return;
  throw new CortexError(
    "insufficient_vram",
    `no machine holds ${parallel} slots of ${contextTokens} tokens`,
    {
      next: "lower `context` or `parallel`",
    },
  );
}

/** Encoder-only models compute embeddings and write nothing. */
const generates = (model: LlamaModel): boolean =>
  model.fileInsights.hasDecoder || !model.fileInsights.hasEncoder;

async function loadModel(
  llama: Llama,
  options: LoadOptions,
  engineWords: readonly string[],
): Promise<LlamaModel> {
  let reported = 0;
  const onLoadProgress = (fraction: number): void => {
    if (fraction - reported < 0.01) return;
    reported = fraction;
    // The context is still to be made when the weights are in.
    options.onProgress(fraction * 0.95);
  };
  const cache = cacheOptions(options.cache);
  try {
    return await llama.loadModel({
      modelPath: options.modelPath,
      onLoadProgress,
      ...cache,
      ...(options.contextTokens === undefined
        ? {}
        : { gpuLayers: { fitContext: { contextSize: options.contextTokens * options.parallel } } }),
    });
  } catch (thrown) {
    if (thrown instanceof InsufficientMemoryError) throw insufficientMemory(thrown);
    const words = engineWords.slice(0, 1).join("; ");
    const reason = words === "" ? toCortexError(thrown).message : words;
    throw new CortexError("model_file_invalid", `llama.cpp cannot load the file: ${reason}`, {
      cause: thrown,
    });
  }
}

const insufficientMemory = (thrown: Error): CortexError =>
  new CortexError("insufficient_vram", `the model and its context do not fit: ${thrown.message}`, {
    cause: thrown,
    next: "lower `context` or `parallel`, or free memory",
  });

async function createContext(
  model: LlamaModel,
  options: LoadOptions & { readonly threads: number; readonly steps: Steps },
): Promise<LlamaContext> {
  try {
    const context = await model.createContext({
      sequences: options.parallel,
      contextSize: options.contextTokens ?? { max: model.trainContextSize },
      threads: options.threads,
      batching: options.steps.batching,
    });
    if (context.getAllocatedContextSize() >= context.contextSize * options.parallel) {
      options.steps.attach(context);
      guardSampling(context, () => options.logger.warn("no token could be sampled for a request"));
      return context;
    }
    throw new Error(`llama.cpp made room for ${context.getAllocatedContextSize()} tokens in all`);
  } catch (thrown) {
    if (thrown instanceof InsufficientMemoryError) throw insufficientMemory(thrown);
    const { kv_cache_type: type } = options.cache;
    throw new CortexError("load_failed", `no context for the model: ${toCortexError(thrown).message}`, {
      cause: thrown,
      // Quantized ones are in blocks of 32, which the heads of a model may not be.
      ...(type === undefined ? {} : { next: `declare another \`kv_cache_type\` than ${type}, or none` }),
    });
  }
}

/**
 * States are kept apart by all that they depend on. Not for models whose state cannot be cut where a prompt parts from
 * it: recurrent ones, and those with a sliding window.
 */
async function startHibernation(
  loaded: Pick<LoadedParts, "llama" | "model" | "context" | "options">,
): Promise<Hibernation | undefined> {
  const { llama, model, context, options } = loaded;
  const { hibernation, clock, logger } = options;
  if (hibernation === undefined || context === undefined) return undefined;
  const { isRecurrent, isHybrid, swaSize } = model.fileInsights;
  if (isRecurrent || isHybrid || swaSize !== undefined) return undefined;
  const key = canonicalDigest([
    await modelIdentity(options.modelPath),
    llama.llamaCppRelease,
    llama.gpu,
    model.gpuLayers,
    context.contextSize,
    options.parallel,
    context.flashAttention,
    options.cache.kv_cache_type ?? null,
  ]);
  return openHibernation({
    directory: join(hibernation.directory, key.slice(0, 32)),
    mostBytes: hibernation.most_bytes,
    leastRecomputeMs: hibernation.least_recompute_ms,
    clock,
    logger,
  }).catch((thrown: unknown) => {
    logger.warn({ err: thrown }, "conversations of this model do not hibernate");
    return undefined;
  });
}

interface LoadedParts {
  readonly llama: Llama;
  readonly model: LlamaModel;
  readonly context: LlamaContext | undefined;
  readonly steps: Steps;
  readonly hibernation: Hibernation | undefined;
  readonly threads: number;
  readonly calibration: ThreadCalibration;
  readonly options: LoadOptions;
}

function buildEngine(parts: LoadedParts): InferenceEngine {
  const { llama, model, context, steps, hibernation, options } = parts;
  const { tokenizer, renderer, vocabulary } = readModelTexts(model);
  const { general } = model.fileInfo.metadata;
  const facts = describeModel(parts, renderer);
  const slotList = createSlotList(context, options);
  const slots = createSlotPool({
    slots: slotList,
    maxQueued: QUEUED_PER_SLOT * options.parallel,
    clock: options.clock,
  });
  const inputs: EmbedderOptions = {
    model,
    tokenizer,
    contextTokens: facts.context_tokens,
    threads: parts.threads,
    maxWaiting: QUEUED_PER_SLOT * options.parallel,
  };
  const grammars = createGrammarCache(llama);
  const tokenTexts = createTokenTexts(model, vocabulary);
  const shared = canCopy(model) ? createSharedPrompts(slotList) : NOT_SHARED;
  const generating = { llama, model, slots, steps, hibernation, shared, grammars, tokenTexts };
  return {
    get facts() {
      return context === undefined ? facts : { ...facts, threads: parts.calibration.inUse };
    },
    renderer,
    fileSampling: readFileSampling((general as Readonly<Record<string, unknown>>)["sampling"]),
    vocabularySize: vocabulary.size,
    get occupancy() {
      return slots.occupancy;
    },
    get stepsComputed() {
      return steps.computed;
    },
    tokenizer,
    checkGrammar: (text) => {
      grammars.get(text);
    },
    endsAnswer: (token) => model.isEogToken(token as Parameters<typeof model.isEogToken>[0]),
    admit(job) {
      if (context === undefined) {
        throw new CortexError("wrong_modality", "this model computes embeddings and writes no text");
      }
      return admitGeneration({ ...generating, context, clock: options.clock }, job);
    },
    embed: createEmbedder(inputs),
    rank: createReranker(inputs),
    hibernate: async () => hibernation?.keep(slots.idle(), options.clock.monotonicMs() + HIBERNATE_WITHIN_MS),
  };
}

function createSlotList(context: LlamaContext | undefined, options: LoadOptions): readonly Slot[] {
  const count = context === undefined ? 0 : options.parallel;
  return Array.from({ length: count }, (_, id) => ({
    id,
    sequence: (context as LlamaContext).getSequence(),
    tokens: [],
    lastUsedMs: 0,
  }));
}

/** What a recurrent layer holds cannot be cut back to where two prompts part. */
const canCopy = ({ fileInsights }: LlamaModel): boolean =>
  !fileInsights.isRecurrent && !fileInsights.isHybrid;

function describeModel({ model, context, options }: LoadedParts, renderer: ChatPromptRenderer): WorkerFacts {
  const contextTokens = context?.contextSize ?? model.trainContextSize;
  const embeds = !(model.fileInsights.hasEncoder && model.fileInsights.hasDecoder);
  const memories = [model.memoryUsage, ...(context === undefined ? [] : [context.memoryUsage])];
  const onGpu = model.gpuLayers > 0;
  return {
    context_tokens: contextTokens,
    trained_context_tokens: model.trainContextSize,
    max_output_tokens: contextTokens - 1,
    capabilities: [
      ...(context === undefined ? [] : ["text"]),
      ...(renderer.rendersTools ? ["tools"] : []),
      ...(embeds ? ["embeddings"] : []),
      ...(canRank(model) ? ["rerank"] : []),
    ],
    tool_call: renderer.rendersTools,
    reasoning: renderer.marksReasoning,
    // What llama.cpp allocated: on the device when the model is there, else in main memory.
    memory_bytes: memories.reduce((sum, memory) => sum + (onGpu ? memory.vram : memory.ram), 0),
    parallel: options.parallel,
    architecture: model.architecture,
    parameter_count: model.fileInsights.totalParameters,
    file: fileFacts({
      bytes: model.size,
      architecture: model.architecture,
      parameters: model.fileInsights.totalParameters,
      fileType: model.fileInfo.metadata.general.file_type,
      trainedContext: model.trainContextSize,
      embeddingLength: model.embeddingVectorSize,
    }),
  };
}

function createGrammarCache(llama: Llama): GrammarCache {
  const kept = new Map<string, LlamaGrammar>();
  return {
    get(text) {
      const known = kept.get(text);
      if (known !== undefined) return known;
      const grammar = parseGrammar(llama, text);
      kept.set(text, grammar);
      const oldest = kept.keys().next().value;
      if (kept.size > GRAMMARS_KEPT && oldest !== undefined) kept.delete(oldest);
      return grammar;
    },
  };
}

function parseGrammar(llama: Llama, text: string): LlamaGrammar {
  try {
    return new LlamaGrammar(llama, { grammar: text });
  } catch (thrown) {
    throw new CortexError(
      "unsupported_parameter",
      "the schema makes a grammar that the engine cannot parse",
      {
        cause: thrown,
        next: "simplify the schema",
      },
    );
  }
}
