import { CortexError } from "../../core/errors.ts";
import { present } from "../../core/present.ts";
import type { ChatRequest, CompletionRequest } from "../../protocol/openai/chat.ts";
import { answerConstraint, callableTools } from "./answer-constraint.ts";
import { createAnswerParser, type AnswerParser } from "./answer-parser.ts";
import { contextExceeded } from "./context-exceeded.ts";
import type { GenerationJob, InferenceEngine } from "../engine/inference-engine.ts";
import type { RestoredText } from "../engine/request-marks.ts";
import { resolveSampling, SEED_RANGE, type SamplingOptions } from "../engine/sampling-options.ts";

/** A request turned into what the engine runs and what reads the engine's text. */
export interface PreparedAnswer {
  /** In the order of their indices: all of the first prompt, then all of the second. */
  readonly choices: readonly [PreparedChoice, ...PreparedChoice[]];
  readonly includeUsage: boolean;
}

export interface PreparedChoice {
  /** Place of its prompt in the request. */
  readonly prompt: number;
  readonly job: GenerationJob;
  readonly parser: AnswerParser;
  /** Text that comes before the model's own; "" for none. */
  readonly echo: string;
}

export interface PrepareContext {
  readonly engine: InferenceEngine;
  readonly randomSeed: number;
  readonly signal: AbortSignal;
}

/**
 * Everything that can be wrong with a chat request is found here, before it takes a slot.
 * Errors: `unsupported_parameter`, `template_render_failed`, `vision_unsupported`, `invalid_request_body`,
 * `context_length_exceeded`, `wrong_modality`.
 */
export function prepareChat(request: ChatRequest, context: PrepareContext): PreparedAnswer {
  const { engine } = context;
  demandText(engine);
  const tools = callableTools(request);
  const prompt = engine.renderer.render({
    messages: request.messages,
    tools,
    variables: { ...request.chat_template_kwargs, ...reasoningEffort(request, engine) },
  });
  const constraint = answerConstraint(request);
  for (const text of constraint?.texts ?? []) engine.checkGrammar(text);
  const stops = stopList(request.stop);
  const promptTokens = promptTokensOf(engine, prompt, "messages");
  const sampling = samplingFor(request, context);
  const topLogprobs = chatTopLogprobs(request);
  const choice = (index: number): PreparedChoice => {
    const parser = createAnswerParser({
      stops,
      reasoning: engine.renderer.marksReasoning ? { startsInside: prompt.startsInReasoning } : undefined,
      tools: tools.length === 0 ? undefined : { several: request.parallel_tool_calls },
    });
    return {
      prompt: 0,
      parser,
      echo: "",
      job: {
        promptTokens,
        maxTokens: request.max_completion_tokens ?? request.max_tokens,
        sampling: { ...sampling, seed: seedOf(sampling, index) },
        ignoreEndOfText: request.ignore_eos === true,
        topLogprobs,
        grammar: constraint === undefined ? undefined : () => constraint.grammar(parser.position),
        signal: context.signal,
      },
    };
  };
  return {
    choices: several(request.n, choice),
    includeUsage: request.stream_options?.include_usage === true,
  };
}

const several = (
  count: number,
  choice: (index: number) => PreparedChoice,
): readonly [PreparedChoice, ...PreparedChoice[]] => [
  choice(0),
  ...Array.from({ length: count - 1 }, (_, index) => choice(index + 1)),
];

/** Equal settings with equal seeds would write the same text again. */
const seedOf = (sampling: SamplingOptions, index: number): number => (sampling.seed + index) % SEED_RANGE;

function chatTopLogprobs(request: ChatRequest): number | undefined {
  if (request.logprobs === true) return request.top_logprobs ?? 0;
  if ((request.top_logprobs ?? 0) === 0) return undefined;
  throw new CortexError("invalid_request_body", "`top_logprobs` needs `logprobs: true`", {
    param: "top_logprobs",
  });
}

/** Both are read again for every token that is written. */
const MOST_BIASES = 1024;
const MOST_STOP_CHARACTERS = 1024;

/** Legacy completions write at most this much unless told otherwise, as OpenAI's do. */
const COMPLETION_DEFAULT_TOKENS = 16;

/** Answers to one request, all prompts together. */
const MOST_CHOICES = 128;

/** The same for a legacy completion: the prompt is the caller's to the letter. */
export function prepareCompletion(request: CompletionRequest, context: PrepareContext): PreparedAnswer {
  const { engine } = context;
  demandText(engine);
  checkCompletion(request);
  const prompts = promptList(request.prompt).map((prompt) => ({
    tokens:
      typeof prompt === "string"
        ? promptTokensOf(engine, rawPrompt(prompt), "prompt")
        : known(engine, prompt),
    echo: request.echo === true ? textOf(engine, prompt) : "",
  }));
  const stops = stopList(request.stop);
  const sampling = samplingFor(request, context);
  const choice = (index: number): PreparedChoice => {
    const prompt = Math.floor(index / request.n);
    const { tokens, echo } = present(prompts[prompt], "the prompt of a choice");
    return {
      prompt,
      echo,
      parser: createAnswerParser({ stops, reasoning: undefined, tools: undefined }),
      job: {
        promptTokens: tokens,
        maxTokens: request.max_tokens ?? COMPLETION_DEFAULT_TOKENS,
        sampling: { ...sampling, seed: seedOf(sampling, index % request.n) },
        ignoreEndOfText: request.ignore_eos === true,
        topLogprobs: request.logprobs,
        grammar: undefined,
        signal: context.signal,
      },
    };
  };
  return {
    choices: several(prompts.length * request.n, choice),
    includeUsage: request.stream_options?.include_usage === true,
  };
}

function checkCompletion(request: CompletionRequest): void {
  if (request.echo === true && request.logprobs !== undefined) {
    throw new CortexError("unsupported_parameter", "no figures are kept of the tokens of a prompt", {
      param: "logprobs",
      next: "leave out `echo` or `logprobs`",
    });
  }
  const choices = promptList(request.prompt).length * request.n;
  if (choices <= MOST_CHOICES) return;
  throw new CortexError(
    "unsupported_parameter",
    `${choices} answers are asked for; ${MOST_CHOICES} are given`,
    {
      param: request.n === 1 ? "prompt" : "n",
      next: "send several requests",
    },
  );
}

type CompletionPrompt = string | readonly number[];

function promptList(prompt: CompletionRequest["prompt"]): readonly CompletionPrompt[] {
  if (typeof prompt === "string") return [prompt];
  const tokens = prompt.filter((item) => typeof item === "number");
  return tokens.length === prompt.length ? [tokens] : prompt.filter((item) => typeof item !== "number");
}

const textOf = (engine: InferenceEngine, prompt: CompletionPrompt): string =>
  typeof prompt === "string" ? prompt : engine.tokenizer.textOf(prompt);

function known(engine: InferenceEngine, tokens: readonly number[]): readonly number[] {
  const stranger = tokens.find((token) => token >= engine.vocabularySize);
  if (stranger !== undefined) {
    throw new CortexError("invalid_request_body", `\`prompt\`: ${stranger} is not a token of this model`, {
      param: "prompt",
    });
  }
  checkPromptLength(engine, tokens.length, "prompt");
  return tokens;
}

function demandText(engine: InferenceEngine): void {
  if (engine.facts.capabilities.includes("text")) return;
  throw new CortexError("wrong_modality", "this model computes embeddings and writes no text");
}

/** A prompt that the caller wrote whole: its control texts are meant. */
const rawPrompt = (text: string): RestoredText => ({ text, marked: [] });

/** A prompt far too long is refused before it is tokenized, which takes its time. */
function promptTokensOf(engine: InferenceEngine, prompt: RestoredText, param: string): readonly number[] {
  const fewest = engine.tokenizer.fewestTokens(prompt.text);
  if (fewest > engine.facts.context_tokens) checkPromptLength(engine, fewest, param);
  const tokens = engine.tokenizer.prompt(prompt);
  checkPromptLength(engine, tokens.length, param);
  return tokens;
}

function checkPromptLength(engine: InferenceEngine, promptTokens: number, param: string): void {
  if (promptTokens === 0) {
    throw new CortexError("invalid_request_body", `\`${param}\` is empty for this model`, { param });
  }
  const most = engine.facts.context_tokens - 1;
  if (promptTokens <= most) return;
  throw contextExceeded({ param, promptTokens, contextTokens: engine.facts.context_tokens });
}

function stopList(stop: string | readonly string[] | undefined): readonly string[] {
  const stops = typeof stop === "string" ? [stop] : (stop ?? []);
  if (stops.every((text) => text.length <= MOST_STOP_CHARACTERS)) return stops;
  throw new CortexError(
    "unsupported_parameter",
    `\`stop\` has a text of more than ${MOST_STOP_CHARACTERS} characters`,
    { param: "stop", next: "use the end of the text alone" },
  );
}

/** Templates have two ways to be told; a model whose template knows neither cannot honour it. */
function reasoningEffort(request: ChatRequest, engine: InferenceEngine): Readonly<Record<string, unknown>> {
  const effort = request.reasoning_effort;
  if (effort === undefined) return {};
  if (effort === "none" && engine.renderer.mentions("enable_thinking")) return { enable_thinking: false };
  if (engine.renderer.mentions("reasoning_effort")) return { reasoning_effort: effort };
  throw new CortexError(
    "unsupported_parameter",
    "this model's chat template has no setting for reasoning effort",
    {
      param: "reasoning_effort",
    },
  );
}

function samplingFor(request: ChatRequest | CompletionRequest, context: PrepareContext): SamplingOptions {
  const { engine } = context;
  const sampling = resolveSampling(request, engine.fileSampling, context.randomSeed);
  if (sampling.logitBias.size > MOST_BIASES) {
    throw new CortexError("unsupported_parameter", `\`logit_bias\` has more than ${MOST_BIASES} tokens`, {
      param: "logit_bias",
      next: "bias fewer tokens",
    });
  }
  for (const token of sampling.logitBias.keys()) {
    const param = `logit_bias.${token}`;
    if (token >= engine.vocabularySize) {
      throw new CortexError("invalid_request_body", `\`${param}\` is not a token of this model`, { param });
    }
    if (engine.endsAnswer(token)) {
      throw new CortexError("unsupported_parameter", `\`${param}\` ends answers and cannot be biased`, {
        param,
        next: "use `max_tokens` or `ignore_eos` to steer the length",
      });
    }
  }
  return sampling;
}
