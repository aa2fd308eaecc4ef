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
 * On a CPU llama.cpp computes attention for 64 tokens of a sequence together, and for fewer one by one: 63 tokens behind 441
 * others took 358 ms where 64 took 233 (bench/worker/mixed-steps.ts), and the more so the longer the context. And a step of unequal pieces is cut
 * where the shorter ones end: beside an answer's one token 64 tokens of a prompt are 1 and 63. So a piece has one token more than
 * that, no shorter rest is left behind, and beside each other stand only pieces which cut nothing short off each other.
 */
const TILE_TOKENS = 64;
const LEAST_TILED_TOKENS = TILE_TOKENS + 1;

export interface StepRoom {
  /** Tokens of prompts that the step should have, with those of `granted`. */
  readonly budgetTokens: number;
  /** And may have. */
  readonly mostTokens: number;
  /** Sizes of the pieces that are in it already. */
  readonly granted: readonly number[];
  readonly onGpu: boolean;
}

/**
 * The prompts that get a piece of the next step: the shortest first, since all of them wait least that way (four
 * equal prompts computed at once all end last), but none is passed over without end. What counts is who was begun later,
 * not in how many steps: a slow processor computes a prompt in many, and all that wait for it would be overdue before it ends.
 */
export function nextPieces(waiting: readonly WaitingPrompt[], room: StepRoom): readonly StepItem[] {
  const overdue = (prompt: WaitingPrompt): number => (prompt.passedOver >= MOST_PASSED_OVER ? 1 : 0);
  const order = waiting.toSorted(
    (a, b) => overdue(b) - overdue(a) || a.remainingTokens - b.remainingTokens || a.arrival - b.arrival,
  );
  const pieces: StepItem[] = [];
  for (const { slot, remainingTokens } of order) {
    const beside = [...room.granted, ...pieces.map((piece) => piece.tokens)];
    const tokens = room.onGpu
      ? pieceOnGpu(remainingTokens, room, beside)
      : pieceOnCpu(remainingTokens, room, beside);
    if (tokens > 0) pieces.push({ slot, tokens });
  }
  return pieces;
}

/** What a prompt gets of a step that has the pieces `beside` already; 0 is nothing. */
type Piece = (remainingTokens: number, room: StepRoom, beside: readonly number[]) => number;

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

const pieceOnGpu: Piece = (remainingTokens, { budgetTokens }, beside) => {
  const tokens = Math.max(0, Math.min(budgetTokens - sum(beside), remainingTokens));
  const isSliver = tokens < LEAST_PIECE_TOKENS && tokens < remainingTokens && beside.length > 0;
  return isSliver ? 0 : tokens;
};

const pieceOnCpu: Piece = (remainingTokens, { budgetTokens, mostTokens }, beside) => {
  const left = budgetTokens - sum(beside);
  const tokens = Math.max(0, Math.min(left, remainingTokens));
  if (beside.length > 0) return cutsNothingShort(tokens, remainingTokens, beside) ? tokens : 0;
  const rest = remainingTokens - tokens;
  return rest < LEAST_TILED_TOKENS && remainingTokens <= mostTokens ? remainingTokens : tokens;
};

function cutsNothingShort(tokens: number, remainingTokens: number, beside: readonly number[]): boolean {
  if (tokens < LEAST_TILED_TOKENS) {
    return tokens === remainingTokens && beside.every((other) => other < LEAST_TILED_TOKENS);
  }
  return beside.every(
    (other) => other >= LEAST_TILED_TOKENS && (other === tokens || Math.abs(other - tokens) >= TILE_TOKENS),
  );
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
const UNMEASURED_TOKENS = { answersWait: LEAST_TILED_TOKENS, alone: 256 };

/** Tokens of prompts that the next step should compute, and may. */
export function promptBudget(input: PromptBudgetInput): Pick<StepRoom, "budgetTokens" | "mostTokens"> {
  // Each answer needs a place in the batch for its token.
  const mostTokens = Math.max(1, input.batchTokens - input.slots);
  if (input.onGpu) return { budgetTokens: mostTokens, mostTokens };
  const kind = input.answersWait ? "answersWait" : "alone";
  const { promptTokenMs } = input;
  const wanted = promptTokenMs === undefined ? UNMEASURED_TOKENS[kind] : STEP_MS[kind] / promptTokenMs;
  // Smaller pieces cost more a token: each step reads all weights.
  const budgetTokens = Math.min(mostTokens, Math.max(LEAST_TILED_TOKENS, Math.floor(wanted)));
  return { budgetTokens, mostTokens };
}
