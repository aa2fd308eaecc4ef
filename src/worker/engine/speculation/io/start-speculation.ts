import type { Llama, LlamaContext, LlamaModel } from "node-llama-cpp";
import { CortexError } from "../../../../core/errors.ts";
import type { Speculation } from "./checked-decode.ts";
import { loadDraftModel, type DraftModel } from "./draft-model.ts";

export interface Guessing extends Speculation {
  readonly guesser: DraftModel | undefined;
}

interface SpeculationOptions {
  readonly llama: Llama;
  readonly model: LlamaModel;
  readonly context: LlamaContext | undefined;
  readonly threads: number;
  readonly draftPath: string | undefined;
  readonly looksUp: boolean;
}

/** Undefined where nothing is to be guessed. Throws `load_failed` where that cannot be done with the model. */
export async function startSpeculation(options: SpeculationOptions): Promise<Guessing | undefined> {
  const { llama, model, context, threads, draftPath: path, looksUp } = options;
  if (path === undefined && !looksUp) return undefined;
  const field = path === undefined ? "prompt_lookup" : "draft";
  if (context === undefined) throw refused(field, "writes no text");
  if (!canTakeBack(model)) throw refused(field, "has recurrent layers, which cannot take tokens back");
  if (path === undefined) return { looksUp, guesser: undefined };
  return { looksUp, guesser: await loadDraftModel({ llama, path, target: context, threads }) };
}

/** What was guessed wrong is taken back, which states of recurrent layers do not allow. */
const canTakeBack = ({ fileInsights }: LlamaModel): boolean =>
  !fileInsights.isRecurrent && !fileInsights.isHybrid;

const refused = (field: string, why: string): CortexError =>
  new CortexError("load_failed", `\`${field}\` is not for this model: it ${why}`, {
    param: field,
    next: `leave out \`${field}\``,
  });
