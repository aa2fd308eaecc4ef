import {
  TokenBias,
  type Llama,
  type LlamaContext,
  type LlamaModel,
  type SequenceEvaluateOptions,
  type Token,
} from "node-llama-cpp";
import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import type {
  AdmittedGeneration,
  GenerationJob,
  GenerationResult,
  OnText,
  TextVerdict,
} from "../inference-engine.ts";
import type { SamplingOptions } from "../sampling-options.ts";
import { createAnswerWriter, type AnswerWriter, type Decoded } from "./answer-writer.ts";
import { createGrammarFollower, type GrammarCache, type GrammarFollower } from "./llama-grammars.ts";
import { decodeChecked, type Speculation } from "../speculation/io/checked-decode.ts";
import { logprobMetadata, type FiguredToken } from "./llama-logprobs.ts";
import type { Hibernation } from "./hibernation.ts";
import type { Slot, SlotPool } from "./llama-slots.ts";
import type { Steps } from "./llama-steps.ts";
import type { SharedPrompts } from "./shared-prompts.ts";
import type { TokenTexts } from "./llama-token-texts.ts";

export interface GenerationDependencies {
  readonly llama: Llama;
  readonly model: LlamaModel;
  readonly context: LlamaContext;
  readonly slots: SlotPool;
  readonly steps: Steps;
  readonly hibernation: Hibernation | undefined;
  readonly shared: SharedPrompts;
  /** Undefined where nothing is guessed. */
  readonly speculation: Speculation | undefined;
  readonly grammars: GrammarCache;
  readonly tokenTexts: TokenTexts;
  readonly clock: Clock;
}

/**
 * Queues the job for a slot. All slots are computed together, a step at a time; a prompt takes part in pieces, so
 * that others go on and a cancellation is seen between them.
 */
export function admitGeneration(
  dependencies: GenerationDependencies,
  job: GenerationJob,
): AdmittedGeneration {
  const granted = dependencies.slots.acquire(job.promptTokens, job.signal);
  // The rejection is seen by `run`; until then nobody listens.
  granted.catch(() => undefined);
  return {
    run: async (onText) => {
      const slot = await granted;
      const generation: Generation = { job, slot, onText, underWay: undefined };
      try {
        job.signal.throwIfAborted();
        return await generate(dependencies, generation);
      } finally {
        dependencies.steps.leave(slot.id);
        dependencies.shared.end(slot);
        const { underWay } = generation;
        const note = (): void => {
          slot.tokens = slot.sequence.contextTokens;
        };
        if (underWay === undefined) {
          note();
          dependencies.slots.release(slot);
        } else dependencies.slots.releaseAfter(slot, underWay.then(note, note));
      }
    },
  };
}

interface Generation {
  readonly job: GenerationJob;
  readonly slot: Slot;
  readonly onText: OnText;
  /** The step of a token that nobody wants any more. The answer does not wait for it; its slot does. */
  underWay: Promise<unknown> | undefined;
}

async function generate(
  dependencies: GenerationDependencies,
  generation: Generation,
): Promise<GenerationResult> {
  const { clock, context } = dependencies;
  const { job, slot } = generation;
  const startedMs = clock.monotonicMs();
  const prompt = job.promptTokens as readonly Token[];
  const room = context.contextSize - prompt.length;
  const limit = Math.min(job.maxTokens ?? room, room);
  await dependencies.hibernation?.wake(slot, prompt, dependencies.steps);
  dependencies.shared.begin(slot, prompt);
  await dependencies.shared.copyBeginning({ slot, prompt, steps: dependencies.steps, signal: job.signal });
  // The last prompt token is always computed: its output is the first token.
  await dependencies.steps.betweenSteps(() => slot.sequence.adaptStateToTokens(prompt.slice(0, -1), false));
  const cachedTokens = slot.sequence.nextTokenIndex;
  const base = { promptTokens: prompt.length, cachedTokens };
  if (limit === 0) {
    return {
      ...base,
      ended: "limit",
      completionTokens: 0,
      promptMs: 0,
      drafted: { tokens: 0, accepted: 0 },
      predictedMs: 0,
      firstTokenAtMs: undefined,
    };
  }
  const computingFromMs = clock.monotonicMs();
  const lastPiece = await prefill(dependencies, generation, prompt.slice(cachedTokens));
  const decoded = await decode(dependencies, generation, { lastPiece, limit });
  const endedMs = clock.monotonicMs();
  const firstTokenAtMs = decoded.firstTokenAtMs;
  const computingMs = (firstTokenAtMs ?? endedMs) - computingFromMs;
  dependencies.hibernation?.measured(prompt.length - cachedTokens, computingMs);
  return {
    ...base,
    ...decoded,
    promptMs: (firstTokenAtMs ?? endedMs) - startedMs,
    predictedMs: endedMs - (firstTokenAtMs ?? endedMs),
  };
}

/** Computes all but the last piece of the prompt and returns that piece. */
async function prefill(
  dependencies: GenerationDependencies,
  { job, slot }: Generation,
  tokens: readonly Token[],
): Promise<Token[]> {
  const { steps } = dependencies;
  const evaluationPriority = steps.priorityOf(slot.id);
  let at = 0;
  while (true) {
    job.signal.throwIfAborted();
    const pieceTokens = await steps.takePiece({
      slot: slot.id,
      remainingTokens: tokens.length - at,
      signal: job.signal,
    });
    job.signal.throwIfAborted();
    if (tokens.length - at <= pieceTokens) return tokens.slice(at);
    const piece = tokens.slice(at, at + pieceTokens);
    await slot.sequence.evaluateWithoutGeneratingNewTokens(piece, { evaluationPriority });
    dependencies.shared.progressed(slot);
    at += pieceTokens;
  }
}

interface Decoding {
  readonly lastPiece: Token[];
  readonly limit: number;
}

async function decode(
  dependencies: GenerationDependencies,
  generation: Generation,
  { lastPiece, limit }: Decoding,
): Promise<Decoded> {
  const { job, slot } = generation;
  const { steps } = dependencies;
  const writer = createAnswerWriter(dependencies, {
    ...generation,
    limit,
    keepsHistory: punishes(job.sampling),
  });
  const grammar = job.grammar === undefined ? undefined : createGrammarFollower(dependencies, job.grammar);
  const options = {
    ...evaluateOptions(dependencies, { job, generated: writer.generated, grammar }),
    evaluationPriority: steps.priorityOf(slot.id),
  };
  const { speculation } = dependencies;
  if (speculation !== undefined) {
    const answer = { lastPiece, options, grammar, writer };
    return await writer.end(await decodeWithDrafts(dependencies, generation, { ...answer, speculation }));
  }
  const tokens = slot.sequence.evaluateWithMetadata(
    lastPiece,
    logprobMetadata(job.topLogprobs),
    options,
  ) as AsyncGenerator<FiguredToken, void>;
  try {
    return await writer.end(await decodeAhead(dependencies, generation, { tokens, grammar, writer }));
  } finally {
    const closed = tokens.return();
    if (generation.underWay === undefined) await closed;
    else generation.underWay = closed;
  }
}

interface AheadDecoding {
  readonly tokens: AsyncGenerator<FiguredToken, void>;
  readonly grammar: GrammarFollower | undefined;
  readonly writer: AnswerWriter;
}

/**
 * A token is told to its reader while the next one is computed: to make an event of it and to write that to a socket takes as
 * long as a step of a small model, for each stream. Before that next one is sampled everything is known that its sampling asks.
 */
async function decodeAhead(
  { steps }: GenerationDependencies,
  generation: Generation,
  { tokens, grammar, writer }: AheadDecoding,
): Promise<Decoded["ended"]> {
  const { job, slot } = generation;
  const hear = (figured: FiguredToken): TextVerdict | Promise<TextVerdict> => {
    const verdict = writer.tell(figured);
    return typeof verdict === "string" ? verdict : withoutOthers(steps, slot, verdict);
  };
  const tellNow = (): void => steps.catchUp(slot.id);
  let held: Promise<void> | undefined;
  const next = (): Promise<IteratorResult<FiguredToken, void>> => {
    held = steps.holdBack(slot.id);
    const asked = nextToken(tokens, job, { grammar, held });
    // Where no step comes of it nobody else tells the last token.
    asked.catch(tellNow);
    return asked;
  };
  let asked = next();
  while (true) {
    const { done, value: figured } = await asked;
    if (done === true) return "end";
    writer.take(figured);
    if (writer.tokensLeft() === 0) return writer.endedBy(await hear(figured)) ?? "limit";
    asked = generation.underWay = next();
    const heard = await (held === undefined ? steps.meanwhile(slot.id, () => hear(figured)) : hear(figured));
    const ended = writer.endedBy(heard);
    if (ended !== undefined) return ended;
    generation.underWay = undefined;
  }
}

interface DraftedDecoding {
  readonly lastPiece: Token[];
  readonly options: SequenceEvaluateOptions;
  readonly grammar: GrammarFollower | undefined;
  readonly writer: AnswerWriter;
  readonly speculation: Speculation;
}

async function decodeWithDrafts(
  { model, steps }: GenerationDependencies,
  { job, slot: { id, sequence } }: Generation,
  { lastPiece, options, grammar, writer, speculation }: DraftedDecoding,
): Promise<Decoded["ended"]> {
  const answer = {
    sequence,
    options,
    figures: logprobMetadata(job.topLogprobs),
    prompt: job.promptTokens,
    lastPiece,
    line: {
      isAlone: () => !job.signal.aborted && steps.isAlone(id),
      holdBack: () => steps.holdBack(id),
      leave: () => steps.leave(id),
      betweenSteps: (work: () => Promise<void>) => steps.betweenSteps(work),
    },
    writer,
    endsAnswer: (token: Token) => !job.ignoreEndOfText && model.isEogToken(token),
    mayGoOn: () => mayGoOn(job, grammar),
  };
  return await decodeChecked(answer, speculation).catch((thrown: unknown) => {
    throw samplingFailure(job, thrown);
  });
}

/** A slow reader holds back its own answer only. */
function withoutOthers(steps: Steps, slot: Slot, verdict: Promise<TextVerdict>): Promise<TextVerdict> {
  steps.leave(slot.id);
  return verdict;
}

async function nextToken<Output>(
  tokens: AsyncGenerator<Output, void>,
  job: GenerationJob,
  more: { readonly grammar: GrammarFollower | undefined; readonly held: Promise<void> | undefined },
): Promise<IteratorResult<Output, void>> {
  const { grammar, held } = more;
  if (held !== undefined) await held;
  const next = await tokens.next().catch((thrown: unknown) => {
    throw samplingFailure(job, thrown);
  });
  mayGoOn(job, grammar);
  return next;
}

function mayGoOn(job: GenerationJob, grammar: GrammarFollower | undefined): void {
  job.signal.throwIfAborted();
  if (grammar?.failure !== undefined) throw grammar.failure;
}

/**
 * A bias may forbid all tokens with which the grammar could go on. Whether it does is only known where it happens:
 * the model chooses the way through the grammar.
 */
function samplingFailure(job: GenerationJob, thrown: unknown): unknown {
  if (job.signal.aborted || job.grammar === undefined || job.sampling.logitBias.size === 0) return thrown;
  return new CortexError(
    "unsupported_parameter",
    "`logit_bias` forbids every token with which the demanded structure could go on",
    { param: "logit_bias", cause: thrown },
  );
}

interface EvaluateInput {
  readonly job: GenerationJob;
  readonly generated: readonly Token[];
  readonly grammar: GrammarFollower | undefined;
}

function evaluateOptions(
  dependencies: GenerationDependencies,
  { job, generated, grammar }: EvaluateInput,
): SequenceEvaluateOptions {
  const { sampling } = job;
  return {
    temperature: sampling.temperature,
    topP: sampling.topP,
    topK: sampling.topK,
    minP: sampling.minP,
    seed: sampling.seed,
    yieldEogToken: job.ignoreEndOfText,
    ...(grammar === undefined ? {} : { grammarEvaluationState: grammar.state }),
    ...(sampling.logitBias.size === 0 ? {} : { tokenBias: tokenBias(dependencies.model, sampling) }),
    ...(punishes(sampling) ? { repeatPenalty: repeatPenalty(sampling, generated) } : {}),
    // The caller stops before the context is full: shifting would silently drop the start of the prompt.
    contextShift: {
      strategy: () => {
        throw new Error("the context is full");
      },
    },
  };
}

const punishes = (sampling: SamplingOptions): boolean =>
  sampling.repetitionPenalty !== 1 || sampling.frequencyPenalty !== 0 || sampling.presencePenalty !== 0;

function repeatPenalty(sampling: SamplingOptions, generated: readonly Token[]) {
  return {
    punishTokens: () => generated.slice(-sampling.penaltyWindow),
    maxPunishTokens: sampling.penaltyWindow,
    penalty: sampling.repetitionPenalty,
    frequencyPenalty: sampling.frequencyPenalty,
    presencePenalty: sampling.presencePenalty,
  };
}

function tokenBias(model: LlamaModel, sampling: SamplingOptions): TokenBias {
  const bias = TokenBias.for(model);
  for (const [token, logit] of sampling.logitBias) {
    bias.set([token as Token], logit <= -100 ? "never" : { logit });
  }
  return bias;
}
