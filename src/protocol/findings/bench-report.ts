/**
 * `closed`: so many clients, each of which asks again as soon as it has its answer. `open`: requests that come by chance, so
 * many a second, whether the others are answered or not; what waits is counted from when it was due.
 */
export type LoadMode =
  | { readonly kind: "closed"; readonly clients: number }
  | { readonly kind: "open"; readonly perSecond: number };

export interface Percentiles {
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** `cortex bench --json`. Percentiles are null where nothing was measured. */
export interface BenchReport {
  readonly url: string;
  readonly model: string;
  readonly mode: LoadMode;
  readonly requests: number;
  readonly answered: number;
  readonly failed: readonly { readonly code: string; readonly message: string; readonly count: number }[];
  readonly wall_secs: number;
  readonly requests_per_sec: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly completion_tokens_per_sec: number;
  readonly first_token_ms: Percentiles | null;
  readonly between_tokens_ms: Percentiles | null;
  readonly answer_ms: Percentiles | null;
  /** Of the first token, for charts: milliseconds in ascending order. */
  readonly first_token_samples_ms: readonly number[];
  readonly answer_samples_ms: readonly number[];
}
