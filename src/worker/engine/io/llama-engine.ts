import { loadavg } from "node:os";
import {
  InsufficientMemoryError,
  type Llama,
  type LlamaContext,
  type LlamaModel,
  type LlamaModelOptions,
} from "node-llama-cpp";
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
import { admitGeneration } from "./llama-generation.ts";
import { createGrammarCache } from "./llama-grammars.ts";
import { startHibernation, type Hibernation } from "./hibernation.ts";
import { startLlama } from "./llama-binary.ts";
import { stepOverVocabularies } from "./llama-header.ts";
import { checkModelFile } from "./model-file.ts";
import { estimateFromHeader, growInPlace, guardSampling, reuseSamplers } from "./llama-native-context.ts";
import { canRank, createReranker } from "./llama-reranker.ts";
import { createSlotPool, type Slot } from "./llama-slots.ts";
import { startSpeculation, type Guessing } from "../speculation/io/start-speculation.ts";
import type { ContextQuestion } from "../trial/context-choice.ts";
import { findContext } from "../trial/io/context-trials.ts";
import { createSharedPrompts, NOT_SHARED } from "./shared-prompts.ts";
import { createSteps, type Steps } from "./llama-steps.ts";
import { createTokenTexts } from "./llama-token-texts.ts";
import { readModelTexts } from "./llama-vocabulary-engine.ts";

/** What of them is absent is the engine's to choose, or is not done. */
export type EngineSettings = Pick<
  WorkerStart,
  "kv_cache_type" | "flash_attention" | "swa_full" | "batch_size" | "lora" | "draft_path" | "prompt_lookup"
>;

export interface LoadOptions {
  readonly modelPath: string;
  /** Tokens per slot; absent means what the file was trained for, as far as memory allows. */
  readonly contextTokens: number | undefined;
  readonly parallel: number;
  readonly gpu: boolean;
  readonly settings: EngineSettings;
  readonly threads: number | undefined;
  readonly calibrations?: WorkerStart["calibrations"];
  readonly hibernation?: WorkerStart["hibernation"];
  /** Called with 0..1. */
  readonly onProgress: (fraction: number) => void;
  readonly onCalibrated?: CalibrationOptions["onCalibrated"];
  readonly logger: Logger;
  readonly clock: Clock;
}

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
  const adapters = await Promise.all((options.settings.lora ?? []).map(({ path }) => checkModelFile(path)));
  const llama = await startLlama(options, engineWords);
  reuseSamplers(llama);
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
    context: contextQuestion(model, options),
    calibrations,
    onCalibrated,
  });
  const quiet = (): boolean => isQuiet(loadavg()[0] ?? 0, llama.cpuMathCores);
  const steps = createSteps({
    slots: options.parallel,
    onGpu: model.gpuLayers > 0,
    threads: calibration.candidates,
    calibration: calibration.known,
    onCalibrated: (chosen) => calibration.record(chosen),
    quiet,
    clock: options.clock,
  });
  const context = generates(model)
    ? await createContext(model, { ...options, threads, steps, calibration })
    : undefined;
  const hibernation = await startHibernation({ llama, model, context, options });
  const { draft_path: draftPath, prompt_lookup: looksUp = false } = options.settings;
  if (draftPath !== undefined) await checkModelFile(draftPath);
  const speculation = await startSpeculation({ llama, model, context, threads, draftPath, looksUp });
  options.onProgress(1);
  const adapterBytes = adapters.reduce((sum, bytes) => sum + bytes, 0);
  const loaded = { llama, model, context, steps, hibernation, speculation, adapterBytes };
  const engine = buildEngine({ ...loaded, threads, calibration, options });
  // Only for a neuron, which remembers it.
  if (options.calibrations !== undefined && context !== undefined) {
    const idle = (): boolean => engine.occupancy.busy + engine.occupancy.queued === 0 && quiet();
    const { vocabularySize } = engine;
    const { clock, logger } = options;
    void findContext({ model, vocabularySize, calibration, threads, idle, clock, logger });
  }
  return engine;
}

const contextQuestion = (model: LlamaModel, { contextTokens, settings }: LoadOptions): ContextQuestion => ({
  onGpu: model.gpuLayers > 0,
  contextTokens: contextTokens ?? model.trainContextSize,
  declaredBatch: settings.batch_size,
  declaredFlash: settings.flash_attention,
  quantizedCache: settings.kv_cache_type?.startsWith("q") ?? false,
});

/** Given with the model, so that what is fitted to a GPU counts with it; contexts take it over from there. */
function cacheOptions(settings: EngineSettings): Partial<LlamaModelOptions> {
  const { kv_cache_type, flash_attention, swa_full } = settings;
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
  const cache = cacheOptions(options.settings);
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
  options: LoadOptions & {
    readonly threads: number;
    readonly steps: Steps;
    readonly calibration: ThreadCalibration;
  },
): Promise<LlamaContext> {
  const { calibration, settings } = options;
  const { lora: adapters = [], kv_cache_type: type } = settings;
  const { batchTokens, flashAttention } = calibration.settings;
  try {
    const context = await model.createContext({
      sequences: options.parallel,
      contextSize: options.contextTokens ?? { max: model.trainContextSize },
      threads: options.threads,
      batching: options.steps.batching,
      batchSize: batchTokens,
      ...(flashAttention === null ? {} : { flashAttention }),
      lora: { adapters: adapters.map(({ path, scale }) => ({ filePath: path, scale })) },
    });
    if (context.getAllocatedContextSize() >= context.contextSize * options.parallel) {
      options.steps.attach(context);
      guardSampling(context, () => options.logger.warn("no token could be sampled for a request"));
      return context;
    }
    throw new Error(`llama.cpp made room for ${context.getAllocatedContextSize()} tokens in all`);
  } catch (thrown) {
    // What was found on a quiet machine may be too much on one that holds other models too.
    if (calibration.fallBack()) return createContext(model, options);
    if (thrown instanceof InsufficientMemoryError) throw insufficientMemory(thrown);
    if (/lora/i.test(toCortexError(thrown).message)) throw adapterRefused(adapters, thrown);
    throw new CortexError("load_failed", `no context for the model: ${toCortexError(thrown).message}`, {
      cause: thrown,
      // Quantized ones are in blocks of 32, which the heads of a model may not be.
      ...(type === undefined ? {} : { next: `declare another \`kv_cache_type\` than ${type}, or none` }),
    });
  }
}

/** The binding does not say which of several it is; llama.cpp's reason comes later, into the log. */
function adapterRefused(adapters: NonNullable<EngineSettings["lora"]>, thrown: unknown): CortexError {
  const paths = adapters.map(({ path }) => path).join(", ");
  const message = `\`lora\`: llama.cpp cannot put ${paths} on this model; its reason is in the worker's log`;
  return new CortexError("load_failed", message, {
    param: "lora",
    cause: thrown,
    next: "declare GGUF adapters that were made for this very model (convert_lora_to_gguf.py makes them)",
  });
}

interface LoadedParts {
  readonly llama: Llama;
  readonly model: LlamaModel;
  readonly context: LlamaContext | undefined;
  readonly steps: Steps;
  readonly hibernation: Hibernation | undefined;
  readonly speculation: Guessing | undefined;
  /** On disk, and about as much in memory; the engine does not tell it. */
  readonly adapterBytes: number;
  readonly threads: number;
  readonly calibration: ThreadCalibration;
  readonly options: LoadOptions;
}

function buildEngine(parts: LoadedParts): InferenceEngine {
  const { llama, model, context, steps, hibernation, speculation, options } = parts;
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
  const generating = { llama, model, slots, steps, hibernation, shared, speculation, grammars, tokenTexts };
  return {
    get facts() {
      const { inUse, steps: inSteps } = parts.calibration;
      return context === undefined ? facts : { ...facts, threads: inUse, steps: inSteps };
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
    embed: options.settings.lora === undefined ? createEmbedder(inputs) : refuseBesideAdapters,
    rank: options.settings.lora === undefined ? createReranker(inputs) : refuseBesideAdapters,
    hibernate: async () =>
      hibernation?.keep(await slots.idle(), options.clock.monotonicMs() + HIBERNATE_WITHIN_MS),
  };
}

/** The binding puts adapters on contexts that write text, and on no other. */
function refuseBesideAdapters(): Promise<never> {
  const message =
    "the adapters of `lora` are on the text that this model writes, not on embeddings and ranks";
  return Promise.reject(
    new CortexError("wrong_modality", message, { next: "declare the model without `lora` for these" }),
  );
}

function createSlotList(context: LlamaContext | undefined, options: LoadOptions): readonly Slot[] {
  const count = context === undefined ? 0 : options.parallel;
  return Array.from({ length: count }, (_, id) => ({
    id,
    sequence: growInPlace((context as LlamaContext).getSequence()),
    tokens: [],
    lastUsedMs: 0,
  }));
}

/** What a recurrent layer holds cannot be cut back to where two prompts part. */
const canCopy = ({ fileInsights }: LlamaModel): boolean =>
  !fileInsights.isRecurrent && !fileInsights.isHybrid;

function describeModel(
  { model, context, speculation, adapterBytes, options }: LoadedParts,
  renderer: ChatPromptRenderer,
): WorkerFacts {
  const contextTokens = context?.contextSize ?? model.trainContextSize;
  const isPlain = options.settings.lora === undefined;
  const embeds = isPlain && !(model.fileInsights.hasEncoder && model.fileInsights.hasDecoder);
  const memories = [model, context, speculation?.guesser].flatMap((part) =>
    part === undefined ? [] : [part.memoryUsage],
  );
  const onGpu = model.gpuLayers > 0;
  return {
    context_tokens: contextTokens,
    trained_context_tokens: model.trainContextSize,
    max_output_tokens: contextTokens - 1,
    capabilities: [
      ...(context === undefined ? [] : ["text"]),
      ...(renderer.rendersTools ? ["tools"] : []),
      ...(embeds ? ["embeddings"] : []),
      ...(isPlain && canRank(model) ? ["rerank"] : []),
    ],
    tool_call: renderer.rendersTools,
    reasoning: renderer.marksReasoning,
    // What llama.cpp allocated: on the device when the model is there, else in main memory.
    memory_bytes: memories.reduce((sum, memory) => sum + (onGpu ? memory.vram : memory.ram), adapterBytes),
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
