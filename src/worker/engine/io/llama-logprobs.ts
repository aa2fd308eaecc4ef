import type { LlamaModel, Token } from "node-llama-cpp";
import type { TokenLogprob } from "../inference-engine.ts";
import type { TokenTexts } from "./llama-token-texts.ts";

/** Most tokens told beside the one that was written, as OpenAI's service has it. */
export const MOST_TOP_LOGPROBS = 20;

export type SampleToken = (...given: readonly unknown[]) => Promise<unknown>;

interface NativeSampler {
  applyConfig(config: { readonly temperature: number }): void;
}

interface NativeModel {
  readonly _model: object;
  readonly _llama: { readonly _bindings: { readonly AddonSampler: new (model: object) => NativeSampler } };
}

/**
 * The binding's probabilities are those that are left after top-k, temperature and grammar; what clients of OpenAI's
 * API expect is what the model itself held likely. So when a call asks for the confidence, the token is sampled as
 * always and the same logits are read once more by a sampler without settings. The answer has the logarithms at the
 * places of the binding's own figures, which then come out of `evaluateWithMetadata`: the logarithm of the written
 * token as its confidence, and those of the likeliest ones as probabilities when these are asked for too.
 */
export function withLogprobs(sampleToken: SampleToken, model: LlamaModel): SampleToken {
  const native = model as unknown as NativeModel;
  let plain: NativeSampler | undefined;
  let turn: Promise<unknown> = Promise.resolve();

  const readLogits = async (position: unknown, token: number, top: number): Promise<Figures> => {
    plain ??= createPlainSampler(native);
    const filter = [[token], false, false, true, top];
    const answered = await sampleToken(position, plain, false, false, filter, true);
    const [, , , logits, weight] = answered as readonly [number, unknown, unknown, ArrayLike<number>, number];
    return figuresOf(logits, weight);
  };

  return async (...given) => {
    const [position, sampler, wantsTop, wantsFigures] = given;
    if (wantsFigures !== true) return await sampleToken(...given);
    const token = (await sampleToken(position, sampler)) as number | undefined;
    if (token === undefined || token < 0) return token;
    const top = wantsTop === true ? MOST_TOP_LOGPROBS : 0;
    // The sampler has one list of candidates.
    const figures = turn.then(() => readLogits(position, token, top));
    turn = figures.catch(() => undefined);
    const { logprobs, likeliest } = await figures;
    const pairs = likeliest.slice(0, top).flatMap((other) => [other, logprobs.get(other)]);
    return [token, wantsTop === true ? pairs : undefined, logprobs.get(token)];
  };
}

function createPlainSampler({ _model: model, _llama: llama }: NativeModel): NativeSampler {
  const { _bindings: bindings } = llama;
  const sampler = new bindings.AddonSampler(model);
  // Takes the likeliest token, so that its logit is among the answers: the weight is relative to it.
  sampler.applyConfig({ temperature: 0 });
  return sampler;
}

interface Figures {
  readonly logprobs: ReadonlyMap<number, number>;
  readonly likeliest: readonly number[];
}

/** `pairs`: token, logit, token, logit ...; `weight`: the sum of exp(logit - largest logit). */
function figuresOf(pairs: ArrayLike<number>, weight: number): Figures {
  const logits = new Map<number, number>();
  for (let at = 0; at + 1 < pairs.length; at += 2) logits.set(pairs[at] ?? 0, pairs[at + 1] ?? 0);
  const sorted = [...logits].sort((a, b) => b[1] - a[1]);
  const base = (sorted[0]?.[1] ?? 0) + Math.log(weight);
  return {
    logprobs: new Map(sorted.map(([token, logit]) => [token, Math.min(0, logit - base)])),
    likeliest: sorted.map(([token]) => token),
  };
}

/** What `evaluateWithMetadata` is asked for. */
export const logprobMetadata = (top: number | undefined) =>
  top === undefined ? {} : { confidence: true, ...(top > 0 ? { probabilities: true } : {}) };

export interface FiguredToken {
  readonly token: Token;
  readonly confidence?: number;
  readonly probabilities?: ReadonlyMap<Token, number>;
}

export function describeLogprobs(
  { token, confidence, probabilities }: FiguredToken,
  top: number | undefined,
  texts: TokenTexts,
): TokenLogprob | undefined {
  if (top === undefined) return undefined;
  const likeliest = [...(probabilities ?? [])].slice(0, top);
  return {
    ...texts.describe(token),
    logprob: confidence ?? Number.NEGATIVE_INFINITY,
    top: likeliest.map(([other, logprob]) => ({ ...texts.describe(other), logprob })),
  };
}
