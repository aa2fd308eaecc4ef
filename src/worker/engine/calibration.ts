import type { StepsInUse, ThreadsInUse } from "../../protocol/neuron-api.ts";
import type { Calibration } from "../../protocol/worker-messages.ts";
import { usualContext, type ContextQuestion } from "./trial/context-choice.ts";
import { resumeChoice, keptThreads, startChoice, type ThreadChoice } from "./thread-choice.ts";

/**
 * Steps of one kind cost alike: those with prompts by the token, those of answers by how many there are, in powers of
 * two.
 */
export const PROMPTS = -1;
export const kindOfAnswers = (answers: number): number => Math.floor(Math.log2(Math.max(1, answers)));

/** The choice of a kind of step that is computed for the first time in this process. */
export function openChoice(
  kind: number,
  candidates: readonly number[],
  remembered: Calibration | undefined,
): ThreadChoice {
  const known =
    kind === PROMPTS
      ? remembered?.prompts
      : remembered?.answers.find(({ streams }) => kindOfAnswers(streams) === kind);
  if (known === undefined || known === null) return startChoice(candidates);
  return resumeChoice(candidates, { threads: known.threads, costMs: known.cost_ms });
}

/** With what a choice came to, where that is worth remembering. */
export function recordChoice(calibration: Calibration, kind: number, choice: ThreadChoice): Calibration {
  const kept = keptThreads(choice);
  if (kept === undefined) return calibration;
  const entry = { threads: kept.threads, cost_ms: kept.costMs };
  if (kind === PROMPTS) {
    // A short prompt is a short step, whatever the model: only a trial of all numbers tells.
    const tried = choice.trials.every(({ costsMs }) => costsMs.length > 0);
    return tried ? { ...calibration, prompts: entry } : calibration;
  }
  const streams = 2 ** kind;
  const others = calibration.answers.filter((answer) => answer.streams !== streams);
  return {
    ...calibration,
    answers: [...others, { streams, ...entry }].toSorted((a, b) => a.streams - b.streams),
  };
}

/** What computes at the moment of the load, as far as it is known. */
export function threadsAtLoad(
  requested: number | undefined,
  candidates: readonly number[],
  remembered: Calibration | undefined,
): ThreadsInUse {
  const [only] = candidates;
  if (only !== undefined && candidates.length === 1) {
    const source = requested === undefined ? "measured" : "declared";
    return { source, prompts: only, answers: [{ streams: 1, threads: only }] };
  }
  return {
    source: remembered === undefined ? "measured" : "remembered",
    prompts: remembered?.prompts?.threads ?? null,
    answers: (remembered?.answers ?? []).map(({ streams, threads }) => ({ streams, threads })),
  };
}

/** The same with the choices that were made since. */
export const threadsSince = (calibration: Calibration): ThreadsInUse => ({
  ...threadsAtLoad(undefined, [], calibration),
  source: "measured",
});

const sourceOf = (declared: boolean | number | undefined, isKnown: boolean) => {
  if (declared !== undefined) return "declared";
  return isKnown ? "remembered" : "engine";
};

/** What the context is made with: as it is declared, else as it was found before, else as the engine has it. */
export function stepsAtLoad(
  question: ContextQuestion,
  remembered: NonNullable<Calibration["context"]> | undefined,
): StepsInUse {
  const { declaredBatch, declaredFlash } = question;
  const usual = usualContext(question);
  const isKnown = remembered !== undefined;
  return {
    batch_size: {
      source: sourceOf(declaredBatch, isKnown),
      tokens: Math.min(declaredBatch ?? remembered?.batch_size ?? usual.batchTokens, question.contextTokens),
    },
    flash_attention: {
      source: sourceOf(declaredFlash, isKnown),
      on: declaredFlash ?? (question.quantizedCache ? null : (remembered?.flash_attention ?? null)),
    },
    found: null,
  };
}
