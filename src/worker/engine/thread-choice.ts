/**
 * How many threads compute a step, found by trying while steps are computed. No rule from the outside holds: ggml's
 * threads wait for each other by spinning, so that two threads on two cores are half as slow again as one with a
 * model of 270 M parameters on a quiet machine, and twenty times slower where something else wants a core, or where
 * the model is tiny. Prompts gain from threads that answers lose by.
 */
export interface ThreadTrial {
  readonly threads: number;
  /** Milliseconds of its steps, per unit of work; the last few. */
  readonly costsMs: readonly number[];
}

/** The choice for one kind of step. */
export interface ThreadChoice {
  readonly trials: readonly ThreadTrial[];
  /** The trial that goes on, or what was chosen. */
  readonly at: number;
  readonly decided: boolean;
  /** It was decided by what steps cost, and not because the machine was busy. */
  readonly telling: boolean;
  /** Steps since it was decided, and after how many it is tried again. */
  readonly steps: number;
  readonly patience: number;
  /** Steps in a row that were far slower than what the choice was made for. */
  readonly slowSteps: number;
}

/** What a choice came to, as far as another process on the same machine can go on with it. */
export interface KeptThreads {
  readonly threads: number;
  /** Milliseconds per unit of work, on the machine as it was when it was quiet. */
  readonly costMs: number;
}

const STEPS_PER_TRIAL = 3;
/** Shorter steps are not worth what threads cost each other, and the trial would cost a request more than it can win. */
const LEAST_STEP_MS = 8;
/** More threads must be better by this, since others want cores too. */
const WORTHWHILE_GAIN = 0.92;
/** A trial that is worse by this ends after its first step. */
const HOPELESS = 2;
/** A step slower by this, this often in a row, means that the machine is not the one that the choice was made on. */
const FAR_SLOWER = 3;
const SLOW_STEPS = 2;
const FIRST_PATIENCE = 256;
/** A choice that an earlier process made is tried again after this many steps, not at once. */
const RESUMED_PATIENCE = 4096;
const LONGEST_PATIENCE = 65_536;

/** Candidates are tried in the given order; the fewest threads come first. */
export const startChoice = (candidates: readonly number[]): ThreadChoice => ({
  trials: candidates.map((threads) => ({ threads, costsMs: [] })),
  at: 0,
  decided: candidates.length === 1,
  telling: false,
  steps: 0,
  patience: FIRST_PATIENCE,
  slowSteps: 0,
});

/** Goes on with what an earlier process has chosen. What it cost then tells when the machine is another now. */
export function resumeChoice(candidates: readonly number[], { threads, costMs }: KeptThreads): ThreadChoice {
  const at = candidates.indexOf(threads);
  const fresh = startChoice(candidates);
  if (at < 0 || fresh.decided) return fresh;
  return {
    ...fresh,
    trials: fresh.trials.map((trial, index) => (index === at ? { ...trial, costsMs: [costMs] } : trial)),
    at,
    decided: true,
    patience: RESUMED_PATIENCE,
  };
}

/**
 * What is worth remembering of a choice: one for which every number was tried, or whose steps are too short for a
 * trial. What was decided because the machine was busy says nothing of the model.
 */
export function keptThreads(choice: ThreadChoice): KeptThreads | undefined {
  const trial = choice.trials[choice.at];
  if (trial === undefined || !choice.decided || !choice.telling) return undefined;
  return { threads: trial.threads, costMs: typicalMs(trial) };
}

export const chosenThreads = (choice: ThreadChoice): number => choice.trials[choice.at]?.threads ?? 1;

export interface ComputedStep {
  /** Milliseconds per unit of work, with the threads of the choice. */
  readonly costMs: number;
  /** Milliseconds of the whole step. */
  readonly stepMs: number;
  /** Nothing else wants the cores, as far as is known. */
  readonly quiet: boolean;
}

export function learnStep(choice: ThreadChoice, step: ComputedStep): ThreadChoice {
  if (choice.trials.length === 1) return choice;
  return choice.decided ? watch(choice, step.costMs) : learnTrial(choice, step);
}

function learnTrial(choice: ThreadChoice, { costMs, stepMs, quiet }: ComputedStep): ThreadChoice {
  const trials = choice.trials.map((trial, index) =>
    index === choice.at ? { ...trial, costsMs: [...trial.costsMs, costMs] } : trial,
  );
  const best = Math.min(...trials.slice(0, choice.at).map((trial) => typicalMs(trial)));
  const trial = trials[choice.at];
  const done = (trial?.costsMs.length ?? 0) >= STEPS_PER_TRIAL || costMs > best * HOPELESS;
  if (!done) return { ...choice, trials };
  const worthATrial = quiet && stepMs >= LEAST_STEP_MS;
  const allTried = choice.at + 1 >= trials.length;
  if (worthATrial && !allTried) return { ...choice, trials, at: choice.at + 1 };
  const telling = allTried || stepMs < LEAST_STEP_MS;
  return { ...choice, trials, at: bestTrial(trials), decided: true, telling, steps: 0, slowSteps: 0 };
}

function watch(choice: ThreadChoice, costMs: number): ThreadChoice {
  const trial = choice.trials[choice.at];
  const slow = trial !== undefined && costMs > typicalMs(trial) * FAR_SLOWER;
  const slowSteps = slow ? choice.slowSteps + 1 : 0;
  const steps = choice.steps + 1;
  // With the fewest threads there is nothing safer to go back to.
  if (slowSteps >= SLOW_STEPS && choice.at > 0) return again(choice, FIRST_PATIENCE);
  if (steps < choice.patience) return { ...choice, steps, slowSteps };
  return again(choice, Math.min(LONGEST_PATIENCE, choice.patience * 2));
}

const again = (choice: ThreadChoice, patience: number): ThreadChoice => ({
  ...startChoice(choice.trials.map((trial) => trial.threads)),
  patience,
});

function bestTrial(trials: readonly ThreadTrial[]): number {
  let best = 0;
  for (const [index, trial] of trials.entries()) {
    const against = trials[best];
    if (against !== undefined && typicalMs(trial) < typicalMs(against) * WORTHWHILE_GAIN) best = index;
  }
  return best;
}

/** The middle one: a neighbour's burst makes single steps slow. */
function typicalMs(trial: ThreadTrial): number {
  const sorted = trial.costsMs.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.POSITIVE_INFINITY;
}
