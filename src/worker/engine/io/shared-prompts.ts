import type { LlamaContextSequence } from "node-llama-cpp";
import { chooseDonor, sharedPrefixLength } from "../choose-slot.ts";
import type { Slot } from "./llama-slots.ts";
import type { Steps } from "./llama-steps.ts";

/**
 * What two prompts begin with alike is computed once: a prompt that begins like one which is being computed in another
 * slot waits until that one has come so far, and takes a copy; one that begins like what another slot holds takes it
 * at once.
 */
export interface SharedPrompts {
  /** The slot computes this prompt from now on; others may wait for it. */
  begin(slot: Slot, prompt: readonly number[]): void;
  /** The slot has computed more of its prompt. */
  progressed(slot: Slot): void;
  /** The slot computes no more; what it holds stays. */
  end(slot: Slot): void;
  /** Fills the slot with what another one has of the prompt, where that is worth it. Rejects when the signal aborts. */
  copyBeginning(wanted: {
    readonly slot: Slot;
    readonly prompt: readonly number[];
    readonly steps: Steps;
    readonly signal: AbortSignal;
  }): Promise<void>;
}

interface Work {
  readonly prompt: readonly number[];
  /** In order of beginning: who waits does so for somebody who began before, so nobody waits in a circle. */
  readonly number: number;
  readonly waiting: Set<() => void>;
}

export const createSharedPrompts = (slots: readonly Slot[]): SharedPrompts => new CopiedPrompts(slots);

/** For models whose slots cannot be copied. */
export const NOT_SHARED: SharedPrompts = {
  begin: () => undefined,
  progressed: () => undefined,
  end: () => undefined,
  copyBeginning: () => Promise.resolve(),
};

class CopiedPrompts implements SharedPrompts {
  readonly #slots: readonly Slot[];
  readonly #works = new Map<Slot, Work>();
  #begun = 0;

  constructor(slots: readonly Slot[]) {
    this.#slots = slots;
  }

  begin(slot: Slot, prompt: readonly number[]): void {
    this.#begun += 1;
    this.#works.set(slot, { prompt, number: this.#begun, waiting: new Set() });
  }

  progressed(slot: Slot): void {
    for (const look of this.#works.get(slot)?.waiting ?? []) look();
  }

  end(slot: Slot): void {
    const work = this.#works.get(slot);
    this.#works.delete(slot);
    for (const look of work?.waiting ?? []) look();
  }

  async copyBeginning({
    slot,
    prompt,
    steps,
    signal,
  }: Parameters<SharedPrompts["copyBeginning"]>[0]): Promise<void> {
    const donor = this.#donorFor(slot, prompt);
    if (donor === undefined) return;
    const beginning = prompt.slice(0, donor.sharedTokens);
    await this.#reached(donor.slot, { beginning, signal });
    signal.throwIfAborted();
    const had = heldOf(donor.slot.sequence, prompt);
    // The donor may have been cut off, and somebody else be in its slot by now.
    if (had <= heldOf(slot.sequence, prompt)) return;
    await steps.betweenSteps(() =>
      copy(donor.slot.sequence, slot.sequence, Math.min(had, donor.sharedTokens)),
    );
  }

  #donorFor(slot: Slot, prompt: readonly number[]) {
    const number = this.#works.get(slot)?.number ?? Infinity;
    const others = this.#slots.filter((other) => other !== slot);
    const candidates = others.flatMap((other) => {
      const work = this.#works.get(other);
      // What a slot held before it began is about to be cut.
      if (work !== undefined && work.number > number) return [];
      return [{ slot: other, tokens: work?.prompt ?? other.tokens, began: work?.number ?? 0 }];
    });
    return chooseDonor(candidates, prompt, heldOf(slot.sequence, prompt));
  }

  /** Resolves when the slot has computed so much, or computes no more. Until then it may hold something else. */
  async #reached(
    slot: Slot,
    { beginning, signal }: { readonly beginning: readonly number[]; readonly signal: AbortSignal },
  ): Promise<void> {
    const work = this.#works.get(slot);
    if (work === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = (): void => {
      const isAtWork = this.#works.get(slot) === work;
      if (!isAtWork || signal.aborted || heldOf(slot.sequence, beginning) === beginning.length) resolve();
    };
    work.waiting.add(look);
    signal.addEventListener("abort", look, { once: true });
    look();
    await promise;
    work.waiting.delete(look);
    signal.removeEventListener("abort", look);
  }
}

const heldOf = (sequence: LlamaContextSequence, prompt: readonly number[]): number =>
  sharedPrefixLength(sequence.contextTokens, prompt);

/**
 * The binding's own copy, in memory and of the whole slot, cut afterwards. It is not part of its public interface; the
 * version is pinned, and a test notices when it moves. Where the cut fails the slot holds nothing: what it says to
 * hold is always what it holds.
 */
async function copy(from: LlamaContextSequence, to: LlamaContextSequence, tokens: number): Promise<void> {
  const target = to as unknown as Copyable;
  // oxlint-disable-next-line no-underscore-dangle -- the binding's own name
  const isCopied = await target._copyStateFromOtherSequence(from, tokens);
  if (!isCopied) await to.clearHistory();
}

interface Copyable {
  readonly _copyStateFromOtherSequence: (from: LlamaContextSequence, tokens: number) => Promise<boolean>;
}
