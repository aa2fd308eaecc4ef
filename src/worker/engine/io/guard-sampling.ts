import type { LlamaContext } from "node-llama-cpp";
import { withLogprobs, type SampleToken } from "./llama-logprobs.ts";

/** What the binding answers when no token could be sampled; it then fails that one generation. */
const NO_TOKEN = -1;

interface NativeSampling {
  readonly sampleToken: SampleToken;
}

/**
 * A sampler that fails (a grammar that no token is left for, say) rejects a promise inside the binding's batch that
 * nobody waits for: the process ends, and when that is prevented every stream of the batch waits for ever. So the
 * failure is turned into the answer "no token" where it happens, which fails the one generation it belongs to.
 *
 * The place is not part of the binding's public interface; its version is pinned, and a test notices when it moves.
 */
export function guardSampling(context: LlamaContext, onFailure: () => void): void {
  // oxlint-disable-next-line no-underscore-dangle -- the binding's own name
  const native = (context as unknown as { readonly _ctx: NativeSampling })._ctx;
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
