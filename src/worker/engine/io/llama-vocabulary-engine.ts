import type { LlamaModel } from "node-llama-cpp";
import { CortexError } from "../../../core/errors.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { WorkerFacts } from "../../../protocol/worker-messages.ts";
import type { ControlTexts } from "../control-texts.ts";
import { fallbackTemplate } from "../fallback-template.ts";
import type { InferenceEngine, PromptTokenizer } from "../inference-engine.ts";
import { createChatPromptRenderer, type ChatPromptRenderer } from "../render-chat-prompt.ts";
import { readFileSampling } from "../sampling-options.ts";
import { startLlama } from "./llama-binary.ts";
import { stepOverVocabularies } from "./llama-header.ts";
import { checkModelFile } from "./model-file.ts";
import { estimateFromHeader } from "./llama-native-context.ts";
import { createTokenizer } from "./llama-tokenizer.ts";
import { readControlTexts, vocabularyOf, type Vocabulary } from "./llama-vocabulary.ts";

/** What a model makes of texts; the same whether its weights are there or not. */
interface ModelTexts {
  readonly vocabulary: Vocabulary;
  readonly controls: ControlTexts;
  readonly tokenizer: PromptTokenizer;
  readonly renderer: ChatPromptRenderer;
}

export function readModelTexts(model: LlamaModel): ModelTexts {
  const { metadata } = model.fileInfo;
  const vocabulary = vocabularyOf(model);
  const controls = readControlTexts(vocabulary);
  return {
    vocabulary,
    controls,
    tokenizer: createTokenizer({ model, vocabulary, controls }),
    renderer: createChatPromptRenderer({
      controls,
      source: metadata.tokenizer?.chat_template ?? fallbackTemplate(controls),
      bosText: model.tokens.bosString ?? "",
      eosText: model.tokens.eosString ?? "",
    }),
  };
}

const without = (): never => {
  throw new CortexError("model_not_found", "only the vocabulary of this model is here, without its weights");
};

export interface VocabularyOptions {
  readonly modelPath: string;
  /** What one slot would hold; absent means what the file was trained for. */
  readonly contextTokens: number | undefined;
  readonly logger: Logger;
}

/**
 * A model without its weights: it counts and names tokens as the loaded model does, and writes nothing. Takes the memory
 * of its vocabulary.
 *
 * Errors: `source_not_found`, `source_forbidden`, `model_file_invalid`, `load_failed`.
 */
export async function loadVocabularyEngine(options: VocabularyOptions): Promise<InferenceEngine> {
  await checkModelFile(options.modelPath);
  await stepOverVocabularies();
  estimateFromHeader();
  const llama = await startLlama({ gpu: false, logger: options.logger }, []);
  const model = await llama
    .loadModel({ modelPath: options.modelPath, vocabOnly: true })
    .catch((thrown: unknown) => {
      throw new CortexError("model_file_invalid", "llama.cpp cannot read the vocabulary of the file", {
        cause: thrown,
      });
    });
  const { tokenizer, renderer, vocabulary } = readModelTexts(model);
  return {
    facts: describeVocabulary(model, { renderer, contextTokens: options.contextTokens }),
    renderer,
    tokenizer,
    fileSampling: readFileSampling(undefined),
    vocabularySize: vocabulary.size,
    occupancy: { slots: 0, busy: 0, queued: 0, maxQueued: 0 },
    stepsComputed: 0,
    checkGrammar: without,
    endsAnswer: without,
    admit: without,
    embed: without,
    rank: without,
    hibernate: () => Promise.resolve(),
  };
}

function describeVocabulary(
  model: LlamaModel,
  {
    renderer,
    contextTokens,
  }: { readonly renderer: ChatPromptRenderer; readonly contextTokens?: number | undefined },
): WorkerFacts {
  // llama.cpp reads no more of the header than the vocabulary needs.
  const trained = Math.max(1, model.fileInfo.architectureMetadata.context_length ?? 1);
  const context = contextTokens ?? trained;
  return {
    context_tokens: context,
    trained_context_tokens: trained,
    max_output_tokens: Math.max(1, context - 1),
    capabilities: [],
    tool_call: renderer.rendersTools,
    reasoning: renderer.marksReasoning,
    memory_bytes: 0,
    parallel: 1,
    architecture: model.architecture,
    parameter_count: null,
  };
}
