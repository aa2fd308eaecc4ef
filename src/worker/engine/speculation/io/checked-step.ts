import type { LlamaContextSequence, SequenceEvaluateOptions, Token } from "node-llama-cpp";

/** A token with the figures that were asked for, as the binding gives them. */
export interface CheckedToken {
  readonly token: Token;
  readonly confidence?: number;
  readonly probabilities?: ReadonlyMap<Token, number>;
}

export interface CheckedSteps {
  /**
   * Computes tokens and a draft of what follows them in one step. `take` gets each token that the model writes, in
   * order, as if it were computed alone: the one after the draft's first, second and so on as long as the draft was
   * right and `take` wants more. Answers with how many of the draft were.
   */
  step(
    tokens: readonly Token[],
    draft: readonly Token[],
    take: (token: CheckedToken) => boolean,
  ): Promise<number>;
  end(): void;
}

interface CheckedOptions {
  readonly sequence: LlamaContextSequence;
  readonly options: SequenceEvaluateOptions;
  readonly figures: { readonly confidence?: boolean; readonly probabilities?: boolean };
  /** Runs work that needs the engine between two steps. */
  readonly betweenSteps: (work: () => Promise<void>) => Promise<void>;
}

/**
 * The binding's own speculation is not used: of what was guessed it takes one token a step at most (it compares with
 * tokens that it never notes), samples with penalties that do not know the guessed tokens, and goes on drawing random
 * numbers after a guess was wrong. Here a token is sampled only once all before it are known, so that grammar,
 * penalties and random numbers are what they are without a draft.
 */
export function startChecked({ sequence, options, figures, betweenSteps }: CheckedOptions): CheckedSteps {
  const inner = innerOf(sequence);
  const sampler = inner.createSampler();
  const { probabilities = false, confidence = false } = figures;

  const sample = async (at: number): Promise<CheckedToken | undefined> => {
    sampler.applyConfig(inner.samplerConfig(options));
    const { context } = inner;
    const sampled = await (probabilities || confidence
      ? context.sampleToken(at, sampler, probabilities, confidence)
      : context.sampleToken(at, sampler));
    return readSampled(sampled);
  };

  const step: CheckedSteps["step"] = async (tokens, draft, take) => {
    const last = tokens.length - 1;
    const logits: boolean[] = [];
    for (let at = last; at <= last + draft.length; at += 1) logits[at] = true;
    let accepted = 0;
    let goesOn = true;
    let failure: unknown;
    // The binding asks for one place after the other, and for the next one when the last is answered.
    const look = async (at: number, place: number): Promise<undefined> => {
      if (!goesOn) return;
      goesOn = false;
      try {
        const sampled = await sample(at);
        if (sampled === undefined) throw new Error("Failed to sample next token");
        goesOn = take(sampled) && sampled.token === draft[place - last];
        if (goesOn) accepted += 1;
      } catch (thrown) {
        failure = thrown;
      }
    };
    await inner.decode(
      [...tokens, ...draft],
      logits,
      options.evaluationPriority,
      inner.tokenMeter,
      options.contextShift,
      look,
      // A checkpoint must not hold what may be taken back.
      draft.length === 0 ? inner.takeCheckpoint : undefined,
    );
    const refuted = draft.length - accepted;
    if (refuted > 0) await betweenSteps(() => takeBack(sequence, refuted));
    if (failure !== undefined) throw failure as Error;
    return accepted;
  };
  return { step, end: () => sampler.dispose() };
}

async function takeBack(sequence: LlamaContextSequence, tokens: number): Promise<void> {
  const end = sequence.nextTokenIndex;
  await sequence.eraseContextTokenRanges([{ start: end - tokens, end }]);
}

function readSampled(sampled: unknown): CheckedToken | undefined {
  const parts: unknown = Array.isArray(sampled) ? sampled : [sampled];
  const [token, pairs, confidence] = parts as readonly [
    Token | null | undefined,
    ArrayLike<number>?,
    number?,
  ];
  if (token === null || token === undefined || token < 0) return undefined;
  return {
    token,
    ...(confidence === undefined ? {} : { confidence }),
    ...(pairs === undefined ? {} : { probabilities: readPairs(pairs) }),
  };
}

function readPairs(pairs: ArrayLike<number>): ReadonlyMap<Token, number> {
  const read = new Map<Token, number>();
  for (let at = 0; at + 1 < pairs.length; at += 2) read.set(pairs[at] as Token, pairs[at + 1] ?? 0);
  return read;
}

/**
 * What of the binding is used beside its public interface, which has no way of sampling a place of a step after looking
 * at the one before. The version is pinned, and a test notices when something of it moves.
 */
function innerOf(sequence: LlamaContextSequence) {
  const { _tokenMeter: tokenMeter, _takeIntervalCheckpointIfNeededAfterBatch: takeCheckpoint } =
    sequence as unknown as InnerSequence;
  const { _decodeTokens: decode, _resolveSamplerConfig: samplerConfig } =
    sequence as unknown as InnerSequence;
  const { _ctx: context } = sequence.context as unknown as InnerContext;
  const { _model: model, _llama: llama } = sequence.model as unknown as InnerModel;
  const { _bindings: bindings } = llama;
  return {
    tokenMeter,
    takeCheckpoint,
    context,
    decode: (...given: unknown[]) => decode.apply(sequence, given),
    samplerConfig: (options: SequenceEvaluateOptions) => samplerConfig.call(sequence, options),
    createSampler: () => new bindings.AddonSampler(model),
  };
}

interface InnerSequence {
  readonly _tokenMeter: unknown;
  readonly _resolveSamplerConfig: (options: SequenceEvaluateOptions) => object;
  readonly _takeIntervalCheckpointIfNeededAfterBatch: unknown;
  readonly _decodeTokens: (...given: unknown[]) => Promise<unknown>;
}

interface InnerContext {
  readonly _ctx: { readonly sampleToken: (...given: readonly unknown[]) => Promise<unknown> };
}

interface InnerModel {
  readonly _model: object;
  readonly _llama: { readonly _bindings: { readonly AddonSampler: new (model: object) => InnerSampler } };
}

interface InnerSampler {
  applyConfig(config: object): void;
  dispose(): void;
}
