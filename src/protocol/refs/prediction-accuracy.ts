/** How well plans foretold what applies then measured. */
export interface PredictionAccuracy {
  /** Applies that were looked at. */
  readonly applies: number;
  /** Steps of which both are known. */
  readonly steps: number;
  /** Of all of them, then for each source of the prediction, the most frequent first. */
  readonly seconds: readonly SecondsAccuracy[];
  /** Steps after which the model's memory was measured; null without any. */
  readonly memory: ErrorFigures | null;
  /** Steps of which the bytes to fetch were foretold and something was fetched; null without any. */
  readonly download: ErrorFigures | null;
  /** Applies as a whole: what the schedule foretold for all of it. */
  readonly whole: ErrorFigures | null;
}

export interface SecondsAccuracy extends ErrorFigures {
  /** `all`, or as the plan calls it: `measured`, `neuron_rate`, `default_rate`. */
  readonly source: string;
}

/** Errors as a part of what was predicted: 0.1 is ten percent too many or too few. */
export interface ErrorFigures {
  readonly count: number;
  /** Measured through predicted, in the middle: above 1 it took more than foretold. */
  readonly median_ratio: number;
  readonly median_error: number;
  /** Nine of ten are no further off. */
  readonly p90_error: number;
}
