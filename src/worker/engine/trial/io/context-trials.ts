import { InsufficientMemoryError, type LlamaContext, type LlamaModel, type Token } from "node-llama-cpp";
import type { Clock } from "../../../../core/clock.ts";
import type { Logger } from "../../../../platform/logger.ts";
import { chooseContext, type ContextSettings, type TriedContext } from "../context-choice.ts";

interface TrialOptions {
  readonly model: LlamaModel;
  readonly vocabularySize: number;
  /** The usual one first. */
  readonly candidates: readonly ContextSettings[];
  readonly threads: number;
  /** Nobody asks for anything, and nothing else wants the machine. */
  readonly idle: () => boolean;
  readonly clock: Clock;
}

/** Tries how the next context is best made, and tells. */
export async function findContext({
  calibration,
  logger,
  ...options
}: Omit<TrialOptions, "candidates"> & {
  readonly calibration: {
    /** The usual one first; none where nothing is open. */
    readonly toTry: readonly ContextSettings[];
    readonly found: (settings: ContextSettings) => void;
  };
  readonly logger: Logger;
}): Promise<void> {
  const { toTry: candidates } = calibration;
  if (candidates.length === 0) return;
  try {
    const found = chooseContext(await tryContexts({ ...options, candidates }));
    if (found !== undefined) calibration.found(found);
  } catch (thrown) {
    logger.warn({ err: thrown }, "how contexts of this model are best made was not found out");
  }
}

/** Nobody must have asked for so long, and after each trial again. */
const IDLE_MS = 5000;
const ROUNDS = 2;
const ANSWER_TOKENS = 16;
/** A token of an answer counts so often: answers are a fourth as long as prompts. */
const ANSWER_WEIGHT = 8;
const PROMPT_TOKENS = 512;
/** Where a prompt takes longer its steps are cut shorter than any batch, so there is nothing to choose. */
const LONGEST_PROMPT_MS = 1000;
const PROBE_TOKENS = 32;
/** A request that comes ends a trial; so many that were cut are enough. */
const MOST_CUT = 20;

/**
 * Makes each context beside the loaded one, of one slot, and computes a prompt and the beginning of an answer in it, in
 * turns. Only the usual one where it takes too long, none where there is no memory for it or somebody always asks.
 */
async function tryContexts(options: TrialOptions): Promise<readonly TriedContext[]> {
  const { candidates, clock, idle } = options;
  const costs = candidates.map((): number[] => []);
  const order = Array.from({ length: ROUNDS }, () => candidates.map((_, index) => index)).flat();
  let cut = 0;
  while (order.length > 0 && cut < MOST_CUT) {
    await clock.sleep(IDLE_MS);
    if (!idle()) continue;
    const [index = 0] = order;
    const settings = candidates[index];
    if (settings === undefined) return [];
    const costMs = await tryContext(settings, options);
    if (costMs === "slow") return [{ settings, costsMs: [0] }];
    if (costMs === "no-room") return [];
    if (costMs === "cut") cut += 1;
    else {
      costs[index]?.push(costMs);
      order.shift();
    }
  }
  if (order.length > 0) return [];
  return candidates.map((settings, index) => ({ settings, costsMs: costs[index] ?? [] }));
}

async function tryContext(
  settings: ContextSettings,
  { candidates, clock, idle, model, threads, vocabularySize }: TrialOptions,
): Promise<number | "cut" | "slow" | "no-room"> {
  const promptTokens = Math.max(PROMPT_TOKENS, ...candidates.map(({ batchTokens }) => batchTokens));
  let context: LlamaContext;
  try {
    context = await model.createContext({
      sequences: 1,
      contextSize: PROBE_TOKENS + promptTokens + ANSWER_TOKENS + 1,
      batchSize: settings.batchTokens,
      flashAttention: settings.flashAttention ?? "auto",
      threads,
    });
  } catch (thrown) {
    if (thrown instanceof InsufficientMemoryError) return "no-room";
    throw thrown;
  }
  // Once somebody came, what was measured is of no use, also when he has gone again.
  let wasCut = false;
  const goesOn = (): boolean => {
    wasCut ||= !idle();
    return !wasCut;
  };
  try {
    const timed = async (work: () => Promise<void>): Promise<number> => {
      const fromMs = clock.monotonicMs();
      await work();
      return clock.monotonicMs() - fromMs;
    };
    const sequence = context.getSequence();
    const tokens = anyTokens(vocabularySize, PROBE_TOKENS + promptTokens);
    // Touches the pages too, so that the first trial is not the slowest for that.
    const probe = tokens.slice(0, PROBE_TOKENS);
    const probeMs = await timed(() => sequence.evaluateWithoutGeneratingNewTokens(probe));
    if ((probeMs / PROBE_TOKENS) * promptTokens > LONGEST_PROMPT_MS) return "slow";
    const promptMs = await timed(async () => {
      for (let at = PROBE_TOKENS; at < tokens.length && goesOn(); at += settings.batchTokens) {
        await sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(at, at + settings.batchTokens));
      }
    });
    const answerMs = await timed(async () => {
      for (let at = 0; at < ANSWER_TOKENS && goesOn(); at++) {
        await sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(at, at + 1));
      }
    });
    return goesOn() ? promptMs + answerMs * ANSWER_WEIGHT : "cut";
  } finally {
    await context.dispose();
  }
}

/** What stands in them costs nothing. */
const anyTokens = (vocabularySize: number, count: number): Token[] =>
  Array.from({ length: count }, (_, at) => ((at * 7919) % vocabularySize) as Token);
