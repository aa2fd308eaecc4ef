/**
 * How many tokens the next step checks. A step with more tokens takes longer, so what is guessed wrong costs time: after
 * a draft that was right the next one is longer, after one that was wrong shorter, and where guesses are wrong again and
 * again there are none for a while.
 */
export interface DraftLength {
  readonly next: number;
  /** Steps without a draft before the next one. */
  readonly rest: number;
  /** Drafts in a row of which nothing was right. */
  readonly failures: number;
}

const LONGEST = 16;
const FIRST = 4;
const SHORTEST = 2;
/** So many useless drafts in a row begin a rest, which doubles with each that follows. */
const PATIENCE = 2;
const LONGEST_REST = 64;

export const firstDraftLength: DraftLength = { next: FIRST, rest: 0, failures: 0 };

/** A step came to its end, in which `drafted` tokens were guessed, the first `accepted` of them rightly. */
export function afterStep(
  length: DraftLength,
  { drafted, accepted }: { readonly drafted: number; readonly accepted: number },
): DraftLength {
  if (drafted === 0) return { ...length, rest: Math.max(0, length.rest - 1) };
  if (accepted === drafted) return { next: Math.min(LONGEST, length.next * 2), rest: 0, failures: 0 };
  if (accepted > 0) return { next: Math.max(SHORTEST, accepted + 1), rest: 0, failures: 0 };
  const failures = length.failures + 1;
  const rest = failures < PATIENCE ? 0 : Math.min(LONGEST_REST, 2 ** (failures - PATIENCE + 2));
  return { next: SHORTEST, rest, failures };
}
