import { assertNever } from "../core/assert-never.ts";
import type { TokenUsage } from "../protocol/headers/usage-header.ts";
import type {
  RequestExplanation,
  RequestStepReport,
  RequestSummary,
} from "../protocol/request-explanation.ts";
import type { LoadSeen } from "./loading/loads-seen.ts";
import type { AnswerCost } from "./relay/relay-answer.ts";
import type { Considered } from "./routing/route-request.ts";

/** One step of a request. Times are monotonic milliseconds; what goes on is filled in when it ends. */
export type RequestStep =
  | {
      readonly kind: "routed";
      readonly atMs: number;
      readonly decision: "serve" | "wait" | "refuse";
      readonly neuron: string | null;
      readonly code: string | null;
      readonly considered: readonly Considered[];
    }
  | {
      readonly kind: "waited";
      readonly atMs: number;
      position: number | null;
      waiting: number;
      /** Those that were on their way for its model while it waited. */
      loads: readonly LoadSeen[];
      endedAtMs: number | null;
      outcome: string | null;
      neuron: string | null;
      code: string | null;
    }
  | {
      readonly kind: "sent";
      readonly atMs: number;
      readonly neuron: string;
      endedAtMs: number | null;
      outcome: string | null;
      code: string | null;
    }
  | { readonly kind: "retried"; readonly atMs: number; readonly reason: string };

/** What is remembered of one request: where it went and why, nothing of what was asked or answered. */
export interface RequestRecord {
  readonly requestId: string;
  /** Milliseconds since the epoch. */
  readonly startedAtEpochMs: number;
  readonly startedAtMs: number;
  readonly route: string;
  readonly key: string;
  readonly stream: boolean;
  readonly steps: RequestStep[];
  modelId: string | undefined;
  neuron: string;
  errorCode: string | undefined;
  firstContentMs: number | undefined;
  retries: number;
  coldStart: boolean;
  usage: TokenUsage | undefined;
  /** Of the attempt under way, or the last one. */
  costSoFar: (() => AnswerCost) | undefined;
  durationMs: number | undefined;
  status: number | undefined;
}

export const requestSummary = (record: RequestRecord): RequestSummary => ({
  request_id: record.requestId,
  started_at_ms: record.startedAtEpochMs,
  duration_ms: record.durationMs === undefined ? null : round(record.durationMs),
  route: record.route,
  model: record.modelId ?? null,
  node: record.neuron === "" ? null : record.neuron,
  key: record.key,
  stream: record.stream,
  status: record.status ?? null,
  code: record.errorCode ?? null,
  retries: record.retries,
  cold_start: record.coldStart,
  first_token_ms: record.firstContentMs === undefined ? null : round(record.firstContentMs),
});

export function requestExplanation(record: RequestRecord): RequestExplanation {
  const { usage, steps, startedAtMs } = record;
  return {
    ...requestSummary(record),
    tokens:
      usage === undefined
        ? null
        : {
            prompt: usage.promptTokens,
            completion: usage.completionTokens,
            cached: usage.cachedTokens,
            reasoning: usage.reasoningTokens,
          },
    steps: steps.map((step) => stepReport(step, startedAtMs)),
  };
}

function stepReport(step: RequestStep, startedAtMs: number): RequestStepReport {
  const after_ms = Math.max(0, round(step.atMs - startedAtMs));
  switch (step.kind) {
    case "routed": {
      const { kind, decision, neuron, code, considered } = step;
      return { kind, after_ms, decision, node: neuron, code, considered: considered.map(consideredReport) };
    }
    case "waited": {
      const { kind, position, waiting, outcome, neuron, code, loads } = step;
      const took_ms = took(step);
      const reported = loads.map((load) => loadReport(load, startedAtMs));
      return { kind, after_ms, took_ms, position, waiting, outcome, node: neuron, code, loads: reported };
    }
    case "sent": {
      const { kind, neuron, outcome, code } = step;
      return { kind, after_ms, took_ms: took(step), node: neuron, outcome, code };
    }
    case "retried":
      return { kind: step.kind, after_ms, reason: step.reason };
    default:
      return assertNever(step);
  }
}

const consideredReport = ({ neuron, verdict, figure }: Considered) => ({
  node: neuron,
  verdict,
  ...(figure === undefined ? {} : { work: figure }),
});

const loadReport = (load: LoadSeen, startedAtMs: number) => ({
  node: load.neuron,
  joined: load.joined,
  evict: [...load.evict],
  after_ms: round(load.startedAtMs - startedAtMs),
  took_ms: load.endedAtMs === null ? null : round(load.endedAtMs - load.startedAtMs),
  outcome: load.outcome,
});

const took = ({ atMs, endedAtMs }: { readonly atMs: number; readonly endedAtMs: number | null }) =>
  endedAtMs === null ? null : Math.max(0, round(endedAtMs - atMs));

/** Tenths of a millisecond say enough. */
const round = (ms: number): number => Math.round(ms * 10) / 10;

/**
 * The latest requests. What a client chose as its request's id may come again: the last one with it is found. Looked
 * for by hand: an index would be kept up for each request, and is asked for when somebody wonders about one.
 */
export class RequestMemory {
  readonly kept: number;
  readonly #ring: RequestRecord[] = [];
  #next = 0;

  constructor(kept: number) {
    this.kept = kept;
  }

  add(record: RequestRecord): void {
    this.#ring[this.#next] = record;
    this.#next = (this.#next + 1) % this.kept;
  }

  find(requestId: string): RequestRecord | undefined {
    return this.latest(this.kept).find((record) => record.requestId === requestId);
  }

  /** Latest first. */
  latest(count: number): readonly RequestRecord[] {
    const inOrder = [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)];
    return inOrder.toReversed().slice(0, count);
  }
}
