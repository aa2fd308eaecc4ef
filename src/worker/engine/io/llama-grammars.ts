import { LlamaGrammar, LlamaGrammarEvaluationState, type Llama, type LlamaModel } from "node-llama-cpp";
import { CortexError } from "../../../core/errors.ts";

/** Parsed grammars, the few used last: clients send the same tools and schema again and again. */
export interface GrammarCache {
  get(text: string): LlamaGrammar;
}

const GRAMMARS_KEPT = 32;

export function createGrammarCache(llama: Llama): GrammarCache {
  const kept = new Map<string, LlamaGrammar>();
  return {
    get(text) {
      const known = kept.get(text);
      if (known !== undefined) return known;
      const grammar = parseGrammar(llama, text);
      kept.set(text, grammar);
      const oldest = kept.keys().next().value;
      if (kept.size > GRAMMARS_KEPT && oldest !== undefined) kept.delete(oldest);
      return grammar;
    },
  };
}

function parseGrammar(llama: Llama, text: string): LlamaGrammar {
  try {
    return new LlamaGrammar(llama, { grammar: text });
  } catch (thrown) {
    throw new CortexError(
      "unsupported_parameter",
      "the schema makes a grammar that the engine cannot parse",
      {
        cause: thrown,
        next: "simplify the schema",
      },
    );
  }
}

export interface GrammarFollower {
  /** The state for the token that comes next. Never throws: it is called inside the binding's batch. */
  readonly state: () => LlamaGrammarEvaluationState | undefined;
  /** Why there was no state where there should have been one. */
  readonly failure: unknown;
}

/** A new grammar text starts a new state; the same text goes on with the one it has. */
export function createGrammarFollower(
  dependencies: { readonly model: LlamaModel; readonly grammars: GrammarCache },
  wanted: () => string | undefined,
): GrammarFollower {
  let text: string | undefined;
  let state: LlamaGrammarEvaluationState | undefined;
  let failure: unknown;

  const follow = (): LlamaGrammarEvaluationState | undefined => {
    const next = wanted();
    if (next === text) return state;
    text = next;
    if (next === undefined) return undefined;
    const grammar = dependencies.grammars.get(next);
    return new LlamaGrammarEvaluationState({ model: dependencies.model, grammar });
  };
  return {
    state: () => {
      try {
        state = follow();
      } catch (thrown) {
        failure ??= thrown;
        state = undefined;
      }
      return state;
    },
    get failure() {
      return failure;
    },
  };
}
