import type { Llama, LlamaContext, LlamaContextSequence, LlamaModel, Token } from "node-llama-cpp";
import { CortexError, toCortexError } from "../../../../core/errors.ts";
import type { Guesser } from "../drafting.ts";

/** A small model that guesses what a large one of the same vocabulary will write. */
export interface DraftModel extends Guesser {
  readonly memoryUsage: { readonly ram: number; readonly vram: number };
}

interface DraftModelOptions {
  readonly llama: Llama;
  readonly path: string;
  /** The context that the guesses are for. */
  readonly target: LlamaContext;
  readonly threads: number;
}

/** Of a prompt that the model has not seen; between two pieces it looks whether the guess is still wanted. */
const PIECE_TOKENS = 256;
/** What the model itself holds less likely is not worth being checked. */
const LEAST_CONFIDENCE = 0.6;

/** One sequence for all slots, since guesses are made for one stream at a time. Throws `load_failed`. */
export async function loadDraftModel(options: DraftModelOptions): Promise<DraftModel> {
  const { llama, path, target, threads } = options;
  try {
    const model = await llama.loadModel({ modelPath: path });
    const context = await model.createContext({
      sequences: 1,
      contextSize: target.contextSize,
      threads,
    });
    requireSameVocabulary(target, context);
    return asDraftModel(model, context);
  } catch (thrown) {
    const reason = toCortexError(thrown).message;
    throw new CortexError("load_failed", `the model of \`draft\` cannot be used: ${reason}`, {
      param: "draft",
      cause: thrown,
      next: "declare a small model of the same family in `draft`, or leave it out",
    });
  }
}

/** The binding's own check, which it makes before its own speculation. */
function requireSameVocabulary(target: LlamaContext, draft: LlamaContext): void {
  // oxlint-disable-next-line no-underscore-dangle -- the binding's own name
  const [{ _ctx: of }, { _ctx: with_ }] = [target, draft] as unknown as [InnerContext, InnerContext];
  of.ensureDraftContextIsCompatibleForSpeculative(with_);
}

interface InnerContext {
  readonly _ctx: { readonly ensureDraftContextIsCompatibleForSpeculative: (draft: unknown) => void };
}

function asDraftModel(model: LlamaModel, context: LlamaContext): DraftModel {
  const sequence = context.getSequence();
  const [weights, cache] = [model.memoryUsage, context.memoryUsage];
  return {
    memoryUsage: { ram: weights.ram + cache.ram, vram: weights.vram + cache.vram },
    async guess({ history, most, goesOn }) {
      // The draft must not reach the end, where the binding would shift what it holds.
      if (history.length + most >= context.contextSize) return [];
      try {
        const rest = await catchUp(sequence, history as readonly Token[], goesOn);
        return rest === undefined ? [] : await guessFrom(sequence, rest, { most, goesOn });
      } catch {
        // A guess that fails costs nothing but itself; what the model holds is compared again before the next one.
        return [];
      }
    },
  };
}

/** Computes all but the last piece of what the model has not seen, and answers with that piece. */
async function catchUp(
  sequence: LlamaContextSequence,
  history: readonly Token[],
  goesOn: () => boolean,
): Promise<Token[] | undefined> {
  await sequence.adaptStateToTokens(history.slice(0, -1), false);
  while (goesOn()) {
    const rest = history.slice(sequence.nextTokenIndex);
    if (rest.length <= PIECE_TOKENS) return rest;
    await sequence.evaluateWithoutGeneratingNewTokens(rest.slice(0, PIECE_TOKENS));
  }
  return undefined;
}

async function guessFrom(
  sequence: LlamaContextSequence,
  tokens: Token[],
  { most, goesOn }: { readonly most: number; readonly goesOn: () => boolean },
): Promise<readonly Token[]> {
  const guessed: Token[] = [];
  const likely = sequence.evaluateWithMetadata(
    tokens,
    { confidence: true },
    { temperature: 0, yieldEogToken: true },
  );
  for await (const { token, confidence } of likely) {
    if (confidence < LEAST_CONFIDENCE || !goesOn()) break;
    guessed.push(token);
    if (guessed.length >= most) break;
  }
  return guessed;
}
