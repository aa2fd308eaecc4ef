import type { ApplyRecord, StepRecord } from "../../protocol/refs/apply-record.ts";
import type {
  ErrorFigures,
  PredictionAccuracy,
  SecondsAccuracy,
} from "../../protocol/refs/prediction-accuracy.ts";

interface Pair {
  readonly predicted: number;
  readonly actual: number;
}

/** Below this a step is over before a difference means anything: a second off of a second is no bad prediction. */
const LEAST_SECS = 1;

/** What the records of a fleet's applies say of its predictions. Steps that failed or were done already say nothing. */
export function predictionAccuracy(records: readonly ApplyRecord[]): PredictionAccuracy {
  const steps = records.flatMap((record) => record.steps).filter(({ actual }) => actual !== null);
  const timed = steps.flatMap((step) => {
    const pair = secondsOf(step);
    return pair === undefined ? [] : [{ source: step.predicted.source, pair }];
  });
  return {
    applies: records.length,
    steps: timed.length,
    seconds: secondsBySource(timed),
    memory: figuresOf(steps.flatMap(memoryOf)),
    download: figuresOf(steps.flatMap(downloadOf)),
    whole: figuresOf(records.flatMap(wholeOf)),
  };
}

/** A step that fetched took longer than was foretold of its load, and says nothing of that. */
const hasFetched = ({ actual }: StepRecord): boolean => actual !== null && actual.download_bytes > 0;

const secondsOf = (step: StepRecord): Pair | undefined => {
  const { predicted, actual } = step;
  return actual === null || predicted.secs === null || hasFetched(step)
    ? undefined
    : { predicted: Math.max(LEAST_SECS, predicted.secs), actual: Math.max(LEAST_SECS, actual.secs) };
};

/** An unload leaves nothing, and foretelling that is no art. */
const memoryOf = ({ predicted, actual }: StepRecord): Pair[] =>
  actual === null || actual.vram_mb === null || predicted.vram_mb === 0
    ? []
    : [{ predicted: predicted.vram_mb, actual: actual.vram_mb }];

const downloadOf = ({ predicted, actual }: StepRecord): Pair[] =>
  actual === null || actual.download_bytes === 0 || (predicted.download_bytes ?? 0) === 0
    ? []
    : [{ predicted: predicted.download_bytes ?? 0, actual: actual.download_bytes }];

/** Only one that did all that was foretold. */
const wholeOf = ({ predicted_secs, actual_secs, steps }: ApplyRecord): Pair[] =>
  predicted_secs === null ||
  steps.length === 0 ||
  steps.some((step) => step.actual === null || hasFetched(step))
    ? []
    : [{ predicted: Math.max(LEAST_SECS, predicted_secs), actual: Math.max(LEAST_SECS, actual_secs) }];

function secondsBySource(
  timed: readonly { readonly source: string; readonly pair: Pair }[],
): SecondsAccuracy[] {
  const bySource = [...Map.groupBy(timed, ({ source }) => source)].toSorted(
    ([, left], [, right]) => right.length - left.length,
  );
  const groups = [["all", timed] as const, ...bySource];
  return groups.flatMap(([source, rows]) => {
    const figures = figuresOf(rows.map(({ pair }) => pair));
    return figures === null ? [] : [{ source, ...figures }];
  });
}

function figuresOf(pairs: readonly Pair[]): ErrorFigures | null {
  if (pairs.length === 0) return null;
  const ratios = pairs.map(({ predicted, actual }) => actual / predicted);
  const errors = pairs.map(({ predicted, actual }) => Math.abs(actual - predicted) / predicted);
  return {
    count: pairs.length,
    median_ratio: quantile(ratios, 0.5),
    median_error: quantile(errors, 0.5),
    p90_error: quantile(errors, 0.9),
  };
}

/** Of whole steps: the smallest value that so many are not above. */
function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  const value = sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? 0;
  return Math.round(value * 1000) / 1000;
}
