import { afterStep, firstDraftLength, type DraftLength } from "./draft-length.ts";
import { createPromptLookup } from "./prompt-lookup.ts";

/** Guesses by another means than the text itself, and may take a while. */
export interface Guesser {
  guess(wanted: {
    readonly history: readonly number[];
    readonly most: number;
    /** False once another stream wants to be computed: then a guess is worth nothing any more. */
    readonly goesOn: () => boolean;
  }): Promise<readonly number[]>;
}

/** The guesses of one answer. */
export interface Drafting {
  /** The answer has one more token. */
  push(token: number): void;
  /** At most `room` tokens that may come next; none where guessing does not pay. */
  draft(room: number, goesOn: () => boolean): readonly number[] | Promise<readonly number[]>;
  checked(step: { readonly drafted: number; readonly accepted: number }): void;
}

interface DraftingOptions {
  readonly prompt: readonly number[];
  /** Look for the last tokens in the text so far. */
  readonly looksUp: boolean;
  readonly guesser: Guesser | undefined;
}

class AnswerDrafting implements Drafting {
  readonly #guesser: Guesser | undefined;
  readonly #lookup: ReturnType<typeof createPromptLookup> | undefined;
  readonly #history: number[];
  #length: DraftLength = firstDraftLength;

  constructor({ prompt, looksUp, guesser }: DraftingOptions) {
    this.#guesser = guesser;
    this.#lookup = looksUp ? createPromptLookup(prompt) : undefined;
    this.#history = guesser === undefined ? [] : [...prompt];
  }

  push(token: number): void {
    this.#lookup?.push(token);
    if (this.#guesser !== undefined) this.#history.push(token);
  }

  draft(room: number, goesOn: () => boolean): readonly number[] | Promise<readonly number[]> {
    const most = Math.min(room, this.#length.next);
    if (this.#length.rest > 0 || most <= 0) return [];
    const found = this.#lookup?.draft(most) ?? [];
    // What the text says costs nothing; a model is asked where it says nothing.
    if (found.length > 0 || this.#guesser === undefined) return found;
    return this.#guesser.guess({ history: this.#history, most, goesOn });
  }

  checked(step: { readonly drafted: number; readonly accepted: number }): void {
    this.#length = afterStep(this.#length, step);
  }
}

export const createDrafting = (options: DraftingOptions): Drafting => new AnswerDrafting(options);
