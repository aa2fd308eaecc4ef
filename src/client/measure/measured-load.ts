import type { BenchReport, LoadMode, Percentiles } from "../../protocol/findings/bench-report.ts";

/** One request, as its client saw it. Times are milliseconds since it was due. */
export interface MeasuredAnswer {
  readonly firstTokenMs: number;
  readonly totalMs: number;
  /** Between the texts that came one after the other. */
  readonly gapsMs: readonly number[];
  readonly promptTokens: number;
  readonly completionTokens: number;
}

export type MeasuredRequest =
  | ({ readonly kind: "answered" } & MeasuredAnswer)
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

export interface Measured {
  readonly url: string;
  readonly model: string;
  readonly mode: LoadMode;
  readonly wallMs: number;
  readonly requests: readonly MeasuredRequest[];
}

export function summarize({ url, model, mode, wallMs, requests }: Measured): BenchReport {
  const answered = requests.filter((request) => request.kind === "answered");
  const sum = (of: (answer: MeasuredAnswer) => number) =>
    answered.reduce((total, each) => total + of(each), 0);
  const ascending = (values: readonly number[]) => values.toSorted((one, other) => one - other).map(tidy);
  const seconds = Math.max(wallMs, 1) / 1000;
  const firstTokens = ascending(answered.map(({ firstTokenMs }) => firstTokenMs));
  const answers = ascending(answered.map(({ totalMs }) => totalMs));
  const completionTokens = sum((answer) => answer.completionTokens);
  return {
    url,
    model,
    mode,
    requests: requests.length,
    answered: answered.length,
    failed: failuresOf(requests),
    wall_secs: tidy(seconds),
    requests_per_sec: tidy(answered.length / seconds),
    prompt_tokens: sum((answer) => answer.promptTokens),
    completion_tokens: completionTokens,
    completion_tokens_per_sec: tidy(completionTokens / seconds),
    first_token_ms: percentilesOf(firstTokens),
    between_tokens_ms: percentilesOf(ascending(answered.flatMap(({ gapsMs }) => gapsMs))),
    answer_ms: percentilesOf(answers),
    first_token_samples_ms: firstTokens,
    answer_samples_ms: answers,
  };
}

/** The most frequent first; of each code the first message. */
function failuresOf(requests: readonly MeasuredRequest[]): BenchReport["failed"] {
  const found = new Map<string, { readonly code: string; readonly message: string; count: number }>();
  for (const request of requests) {
    if (request.kind === "answered") continue;
    const { code, message } = request;
    const known = found.get(code) ?? { code, message, count: 0 };
    known.count += 1;
    found.set(code, known);
  }
  return [...found.values()].toSorted((one, other) => other.count - one.count);
}

/** Of values in ascending order: the smallest that so many of them do not exceed. */
export function percentilesOf(ascending: readonly number[]): Percentiles | null {
  const max = ascending.at(-1);
  if (max === undefined) return null;
  const at = (part: number) => ascending[Math.max(0, Math.ceil(part * ascending.length) - 1)] ?? max;
  const mean = tidy(ascending.reduce((total, value) => total + value, 0) / ascending.length);
  return { mean, p50: at(0.5), p90: at(0.9), p95: at(0.95), p99: at(0.99), max };
}

const tidy = (value: number): number => Math.round(value * 100) / 100;
