/**
 * Which free slot a request takes. A slot keeps the tokens it computed last, and a prompt that begins like them
 * starts where they part; in a conversation that goes on that is nearly the whole prompt. A slot whose long history
 * shares only a few opening tokens is not worth destroying for them: then the longest unused one is taken.
 */
export interface SlotHistory {
  readonly id: number;
  /** What the slot holds, oldest first. */
  readonly tokens: readonly number[];
  /** Monotonic; 0 when never used. */
  readonly lastUsedMs: number;
}

export interface SlotChoice {
  readonly id: number;
  readonly sharedTokens: number;
}

/** Part of the prompt or of the slot's history that must be shared for the slot to be worth its history. */
const WORTHWHILE_SHARE = 0.5;

export function chooseSlot(free: readonly SlotHistory[], prompt: readonly number[]): SlotChoice | undefined {
  const candidates = free.map((slot) => {
    const sharedTokens = sharedPrefixLength(slot.tokens, prompt);
    const shorter = Math.min(slot.tokens.length, prompt.length);
    const worthwhile = shorter > 0 && sharedTokens >= shorter * WORTHWHILE_SHARE;
    return { id: slot.id, sharedTokens, lastUsedMs: slot.lastUsedMs, score: worthwhile ? sharedTokens : 0 };
  });
  const best = candidates.sort(
    (a, b) =>
      b.score - a.score || a.lastUsedMs - b.lastUsedMs || b.sharedTokens - a.sharedTokens || a.id - b.id,
  )[0];
  return best === undefined ? undefined : { id: best.id, sharedTokens: best.sharedTokens };
}

export function sharedPrefixLength(a: readonly number[], b: readonly number[]): number {
  const limit = Math.min(a.length, b.length);
  let length = 0;
  while (length < limit && a[length] === b[length]) length += 1;
  return length;
}
