/**
 * Which free slot a request takes. A slot keeps the tokens it computed last, and a prompt that begins like them
 * starts where they part; in a conversation that goes on that is nearly the whole prompt. A slot whose long history
 * shares only a few opening tokens is not worth destroying for them: then one is taken that was not used for long, and
 * of those one beside slots that are busy.
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

interface Candidate extends SlotChoice {
  readonly worthwhile: boolean;
  readonly isEmpty: boolean;
  readonly lastUsedMs: number;
}

/** `busy` are the ids of the slots that are not free. */
export function chooseSlot(
  free: readonly SlotHistory[],
  prompt: readonly number[],
  busy: readonly number[] = [],
): SlotChoice | undefined {
  const candidates = free.map((slot): Candidate => {
    const sharedTokens = sharedPrefixLength(slot.tokens, prompt);
    const shorter = Math.min(slot.tokens.length, prompt.length);
    const worthwhile = shorter > 0 && sharedTokens >= shorter * WORTHWHILE_SHARE;
    const { id, tokens, lastUsedMs } = slot;
    return { id, sharedTokens, worthwhile, isEmpty: tokens.length === 0, lastUsedMs };
  });
  const shared = candidates.filter(({ worthwhile }) => worthwhile);
  const [best] =
    shared.length > 0
      ? shared.toSorted((a, b) => b.sharedTokens - a.sharedTokens || byAge(a, b))
      : expendable(candidates).toSorted((a, b) => runsWith(a.id, busy) - runsWith(b.id, busy) || byAge(a, b));
  return best === undefined ? undefined : { id: best.id, sharedTokens: best.sharedTokens };
}

const byAge = (a: Candidate, b: Candidate): number =>
  a.lastUsedMs - b.lastUsedMs || b.sharedTokens - a.sharedTokens || a.id - b.id;

/** Those with nothing to lose, else the half that was not used for longest: the others are likely to be gone on with. */
function expendable(candidates: readonly Candidate[]): readonly Candidate[] {
  const empty = candidates.filter(({ isEmpty }) => isEmpty);
  if (empty.length > 0) return empty;
  return candidates.toSorted(byAge).slice(0, Math.ceil(candidates.length / 2));
}

/**
 * By how many runs of neighbouring slots there are more once this one is busy too. The engine computes each run by
 * itself (`step-plan.ts`), and reads all weights for it.
 */
function runsWith(id: number, busy: readonly number[]): number {
  return 1 - [id - 1, id + 1].filter((neighbour) => busy.includes(neighbour)).length;
}

/** Fewer tokens are computed about as fast as a whole slot is copied. */
const WORTHWHILE_COPY = 128;

export interface Donor {
  /** What it holds, or will hold when its prompt is computed. */
  readonly tokens: readonly number[];
  /** Rises; 0 when it computes nothing. */
  readonly began: number;
}

/**
 * Whose tokens a slot that holds `heldTokens` of the prompt takes over: the longest beginning, and of equal ones that
 * which is there soonest. The last token of a prompt is never taken: its output is the first of the answer.
 */
export function chooseDonor<Candidate extends Donor>(
  candidates: readonly Candidate[],
  prompt: readonly number[],
  heldTokens: number,
): (Candidate & { readonly sharedTokens: number }) | undefined {
  const usable = prompt.slice(0, -1);
  return candidates
    .map((candidate) => ({ ...candidate, sharedTokens: sharedPrefixLength(candidate.tokens, usable) }))
    .filter(({ sharedTokens }) => sharedTokens - heldTokens >= WORTHWHILE_COPY)
    .toSorted((a, b) => b.sharedTokens - a.sharedTokens || a.began - b.began)[0];
}

export function sharedPrefixLength(a: readonly number[], b: readonly number[]): number {
  const limit = Math.min(a.length, b.length);
  let length = 0;
  while (length < limit && a[length] === b[length]) length += 1;
  return length;
}
