/**
 * What one step of the engine computes: a token for each answer that is being written, and pieces of the prompts
 * that wait. Between two steps a cancelled request stops, and answers wait for every piece of a prompt.
 */
export interface StepItem {
  readonly slot: number;
  readonly tokens: number;
}

/**
 * The order in which slots go into a batch. llama.cpp gives each sequence its own stream of the cache and computes
 * together only those that stand in the batch with ids that follow each other; any other order falls apart into
 * runs of which each reads all weights anew. Eight answers in order of their slots cost 10 ms of CPU a token where
 * the same eight in order of arrival cost 24 (gemma-3-270m, one thread).
 */
export const bySlot = (a: Pick<StepItem, "slot">, b: Pick<StepItem, "slot">): number => a.slot - b.slot;

export interface WaitingPrompt {
  readonly slot: number;
  readonly remainingTokens: number;
  /** In which order prompts came. */
  readonly arrival: number;
  /** Prompts that came later and were begun while this one waited for a piece. */
  readonly passedOver: number;
}

/** A prompt that was passed over by so many goes first for a piece, however long it is. */
const MOST_PASSED_OVER = 6;
/** Less of a prompt than this is not worth a place in a step that has another piece already. */
const LEAST_PIECE_TOKENS = 16;

/**
 * The prompts that get a piece of the next step: the shortest first, since all of them wait least that way (four
 * equal prompts computed at once all end last), but none is passed over without end. What counts is who was begun later,
 * not in how many steps: a slow processor computes a prompt in many, and all that wait for it would be overdue before it ends.
 */
export function nextPieces(waiting: readonly WaitingPrompt[], budgetTokens: number): readonly StepItem[] {
  const overdue = (prompt: WaitingPrompt): number => (prompt.passedOver >= MOST_PASSED_OVER ? 1 : 0);
  const order = waiting.toSorted(
    (a, b) => overdue(b) - overdue(a) || a.remainingTokens - b.remainingTokens || a.arrival - b.arrival,
  );
  const pieces: StepItem[] = [];
  let left = budgetTokens;
  for (const { slot, remainingTokens } of order) {
    const tokens = Math.min(left, remainingTokens);
    const sliver = tokens < LEAST_PIECE_TOKENS && tokens < remainingTokens && pieces.length > 0;
    if (tokens <= 0 || sliver) continue;
    pieces.push({ slot, tokens });
    left -= tokens;
  }
  return pieces;
}

export interface PromptBudgetInput {
  /** Tokens that the engine computes in one step at most. */
  readonly batchTokens: number;
  readonly slots: number;
  readonly onGpu: boolean;
  /** Answers are being written and wait for every step. */
  readonly answersWait: boolean;
  /** What a token of a prompt cost lately; undefined before the first was computed. */
  readonly promptTokenMs: number | undefined;
}

/** How long a step with a piece of a prompt may take: what writers of answers wait, and what a cancellation does. */
const STEP_MS = { answersWait: 150, alone: 600 };
/** Tokens of a step whose cost is not known yet. */
const UNMEASURED_TOKENS = { answersWait: 64, alone: 256 };
/** Smaller pieces cost more a token: each step reads all weights. */
const LEAST_STEP_TOKENS = 64;

/** Tokens of prompts that the next step computes. */
export function promptBudget(input: PromptBudgetInput): number {
  // Each answer needs a place in the batch for its token.
  const room = Math.max(1, input.batchTokens - input.slots);
  if (input.onGpu) return room;
  const kind = input.answersWait ? "answersWait" : "alone";
  const { promptTokenMs } = input;
  const wanted = promptTokenMs === undefined ? UNMEASURED_TOKENS[kind] : STEP_MS[kind] / promptTokenMs;
  return Math.min(room, Math.max(LEAST_STEP_TOKENS, Math.floor(wanted)));
}
