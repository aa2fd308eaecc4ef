import type { WorkerFacts } from "../../protocol/worker-messages.ts";
import type { ChatPromptRenderer } from "./render-chat-prompt.ts";
import type { RestoredText } from "./request-marks.ts";
import type { FileSampling, SamplingOptions } from "./sampling-options.ts";

/**
 * A loaded model as the worker's server sees it. The engine knows tokens, slots and sampling; what a request
 * means and what an answer looks like is decided outside of it.
 */
export interface InferenceEngine {
  /** Those of threads change while they are chosen. */
  readonly facts: WorkerFacts;
  readonly renderer: ChatPromptRenderer;
  readonly fileSampling: FileSampling;
  /** Size of the vocabulary; token ids are below it. */
  readonly vocabularySize: number;
  readonly occupancy: SlotOccupancy;
  /** Steps computed since the load; in each, all slots that had something to compute took part. */
  readonly stepsComputed: number;
  readonly tokenizer: PromptTokenizer;
  /** Fails with `unsupported_parameter` when the grammar text does not parse. */
  checkGrammar(grammar: string): void;
  /** True for tokens that end an answer; their logits cannot be biased. */
  endsAnswer(token: number): boolean;
  /**
   * Takes a slot or a place in the queue at once, in order of arrival. Throws `queue_full` when there is neither.
   */
  admit(job: GenerationJob): AdmittedGeneration;
  /** One unit vector per input. Throws `context_length_exceeded` before anything is computed. */
  embed(inputs: readonly EmbeddingInput[], signal: AbortSignal): Promise<EmbeddingResult>;
  /** How well each document answers the query, 0..1. Throws `context_length_exceeded` before anything is computed. */
  rank(job: RankingJob, signal: AbortSignal): Promise<RankingResult>;
  /** Keeps the states of idle slots beyond the end of the process; nothing may be asked of the engine after it. */
  hibernate(): Promise<void>;
}

export interface PromptTokenizer {
  /**
   * A prompt to tokens: control texts in it are control tokens, but for those that are marked as the request's.
   * Begins with the model's own start token exactly once, when the model wants one.
   */
  prompt(prompt: RestoredText): readonly number[];
  /** Text to tokens, none of which is a control token. */
  text(text: string): readonly number[];
  /** The text of tokens, control tokens by their names. */
  textOf(tokens: readonly number[]): string;
  /** A number of tokens that the text has at least; found without tokenizing it. */
  fewestTokens(text: string): number;
}

export interface SlotOccupancy {
  readonly slots: number;
  readonly busy: number;
  readonly queued: number;
  readonly maxQueued: number;
}

export interface GenerationJob {
  readonly promptTokens: readonly number[];
  /** Undefined means up to the end of the context. */
  readonly maxTokens: number | undefined;
  readonly sampling: SamplingOptions;
  readonly ignoreEndOfText: boolean;
  /** How many of the likeliest tokens are told beside each token that is written; undefined asks for no figures. */
  readonly topLogprobs: number | undefined;
  /** Asked before each token: GBNF that it must follow, or undefined. */
  readonly grammar: (() => string | undefined) | undefined;
  /** Ends the generation within one decode step, in the queue and in the prompt too. */
  readonly signal: AbortSignal;
}

export interface AdmittedGeneration {
  /**
   * Runs the job. `onText` gets each token's text ("" for a token that shows nothing yet); "stop" ends the
   * generation; a promise holds it back. Rejects with the signal's reason when it aborts.
   */
  run(onText: OnText): Promise<GenerationResult>;
}

/** `logprob` where the job asks for it, and not with text that was held back to the end. */
export type OnText = (text: string, logprob?: TokenLogprob) => TextVerdict | Promise<TextVerdict>;

/** A token and how likely the model held it, before sampling settings had a say. */
export interface LikelyToken {
  readonly text: string;
  /** Null where the token is no text of its own. */
  readonly bytes: readonly number[] | null;
  /** Natural logarithm. */
  readonly logprob: number;
}

export interface TokenLogprob extends LikelyToken {
  /** Likeliest first. */
  readonly top: readonly LikelyToken[];
}

export type TextVerdict = "continue" | "stop";

export interface GenerationResult {
  /** "end": the model ended it; "limit": tokens or context ran out; "stopped": `onText` said so. */
  readonly ended: "end" | "limit" | "stopped";
  readonly promptTokens: number;
  /** Of the prompt, taken from the slot's history. */
  readonly cachedTokens: number;
  readonly completionTokens: number;
  /** Tokens that were guessed and computed beside others, and how many of them the model then wrote. */
  readonly drafted: { readonly tokens: number; readonly accepted: number };
  /** From the start of the job in its slot to the first token. */
  readonly promptMs: number;
  /** From the first token to the last. */
  readonly predictedMs: number;
  /** Monotonic time of the first token; undefined when there is none. */
  readonly firstTokenAtMs: number | undefined;
}

export type EmbeddingInput = string | readonly number[];

interface EmbeddingResult {
  readonly vectors: readonly (readonly number[])[];
  readonly promptTokens: number;
}

interface RankingJob {
  readonly query: string;
  readonly documents: readonly string[];
}

interface RankingResult {
  /** In the order of the documents. */
  readonly scores: readonly number[];
  readonly promptTokens: number;
}
