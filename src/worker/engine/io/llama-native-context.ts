import { GgufInsights, type Llama, type LlamaContext, type LlamaContextSequence } from "node-llama-cpp";
import { withLogprobs, type SampleToken } from "./llama-logprobs.ts";

/** What the binding answers when no token could be sampled; it then fails that one generation. */
const NO_TOKEN = -1;

/**
 * The binding's own object below its context. It is not part of the binding's public interface; the version is
 * pinned, and tests notice when something of it moves.
 */
interface NativeContext {
  readonly sampleToken: SampleToken;
  readonly decodeBatch: () => Promise<void>;
  readonly setThreads: (threads: number) => void;
}

const nativeOf = (context: LlamaContext): NativeContext =>
  // oxlint-disable-next-line no-underscore-dangle -- the binding's own name
  (context as unknown as { readonly _ctx: NativeContext })._ctx;

/**
 * A sampler that fails (a grammar that no token is left for, say) rejects a promise inside the binding's batch that
 * nobody waits for: the process ends, and when that is prevented every stream of the batch waits for ever. So the
 * failure is turned into the answer "no token" where it happens, which fails the one generation it belongs to.
 */
export function guardSampling(context: LlamaContext, onFailure: () => void): void {
  const native = nativeOf(context);
  const sampleToken = withLogprobs(native.sampleToken.bind(native), context.model);
  const guarded: SampleToken = async (...given) => {
    try {
      return await sampleToken(...given);
    } catch {
      // The reason quotes what the model wrote; it goes into no log.
      onFailure();
      return NO_TOKEN;
    }
  };
  // Not assigned: the binding's methods cannot be written to.
  Object.defineProperty(native, "sampleToken", { value: guarded });
}

/** Runs the engine's steps through `run`, which calls `compute` once. */
export function aroundSteps(
  context: LlamaContext,
  run: (step: {
    readonly compute: () => Promise<void>;
    readonly setThreads: (threads: number) => void;
  }) => Promise<void>,
): void {
  const native = nativeOf(context);
  const compute = native.decodeBatch.bind(native);
  const setThreads = native.setThreads.bind(native);
  Object.defineProperty(native, "decodeBatch", { value: () => run({ compute, setThreads }) });
}

/**
 * With each token that a sequence computes the binding makes a new list of all its tokens: at 32,768 of them a copy of
 * 256 KiB a token and stream. So the list grows in place.
 *
 * The list is not part of the binding's public interface; its version is pinned, and a test notices when it moves.
 */
export function growInPlace(sequence: LlamaContextSequence): LlamaContextSequence {
  // oxlint-disable-next-line no-underscore-dangle -- the binding's own name
  let tokens = growing((sequence as unknown as { readonly _contextTokens: number[] })._contextTokens);
  return Object.defineProperty(sequence, "_contextTokens", {
    get: () => tokens,
    set(given: number[]) {
      if (given !== tokens) tokens = growing(given);
    },
  });
}

const growing = (tokens: number[]): number[] =>
  Object.defineProperty(tokens, "concat", {
    value(more: readonly number[]) {
      for (const token of more) tokens.push(token);
      return tokens;
    },
  });

/**
 * Before it loads a model and before it makes a context the binding loads the model without its weights, to learn how
 * much memory it will take: twice the vocabulary and the graphs, which doubled the time of a load (262,144 tokens:
 * 3.0 s of CPU instead of 1.7 s). On a GPU that is how layers are fitted to its memory; on a CPU there is nothing to
 * fit, and the binding's own estimate from the file's header says as well whether main memory holds the model.
 *
 * The place is not part of the binding's public interface; its version is pinned, and a test notices when it moves.
 */
export function estimateFromHeader(): void {
  Object.defineProperty(GgufInsights.prototype, "_resolveSimulatorSource", {
    configurable: true,
    value: () => Promise.resolve(null),
  });
}

interface NativeSampler {
  dispose(): void;
  applyConfig(config: { readonly seed?: number }): void;
}

type NewSampler = new (model: object) => NativeSampler;

interface Bindings {
  readonly AddonSampler: NewSampler;
}

/**
 * The binding makes a sampler for each answer, and a sampler has a list of the whole vocabulary (262,144 tokens: 3 MiB) that is
 * not freed with it, but when the collector finds it. To the collector it is a few bytes: dozens of answers stay in memory, and
 * each new one fills 3 MiB anew. So samplers are used again, as many as answers are written at a time.
 *
 * Not part of the binding's public interface; its version is pinned, and a test notices when it moves.
 */
export function reuseSamplers(llama: Llama): void {
  // oxlint-disable-next-line no-underscore-dangle -- the binding's own name
  const { _bindings: bindings } = llama as unknown as { readonly _bindings: Bindings };
  const idle = new WeakMap<object, NativeSampler[]>();
  const AddonSampler = new Proxy(bindings.AddonSampler, {
    construct(Sampler, [model]: [object]) {
      const waiting = idle.get(model) ?? [];
      idle.set(model, waiting);
      return waiting.pop() ?? keptSampler(new Sampler(model), waiting);
    },
  });
  Object.defineProperty(llama, "_bindings", {
    value: Object.create(bindings, { AddonSampler: { value: AddonSampler } }) as Bindings,
  });
}

/** The binding disposes of each sampler once, after its last use. */
function keptSampler(sampler: NativeSampler, waiting: NativeSampler[]): NativeSampler {
  const dispose = (): void => {
    // What is not named is forgotten: penalties, bias, grammar. Random numbers begin anew only with another seed than before.
    sampler.applyConfig({ seed: 1 });
    sampler.applyConfig({ seed: 2 });
    waiting.push(sampler);
  };
  return Object.defineProperty(sampler, "dispose", { value: dispose });
}
