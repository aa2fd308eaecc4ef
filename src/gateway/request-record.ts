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
  steps: readonly RequestStep[];
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
 *
 * A request that went its way without a detour is copied into a place that is there already: a kilobyte of each request
 * that stays would be moved twice by the collector and then grow old, and the heap would grow with it.
 */
export class RequestMemory {
  readonly kept: number;
  /** Undefined where the usual one of the same number says it all, or where nothing was yet. */
  readonly #ring: (RequestRecord | undefined)[] = [];
  readonly #usual: (UsualRequest | undefined)[] = [];
  #next = 0;

  constructor(kept: number) {
    this.kept = kept;
  }

  /** What is returned is told when it has ended. */
  add(record: RequestRecord): number {
    const at = this.#next;
    this.#ring[at] = record;
    this.#next = (at + 1) % this.kept;
    return at;
  }

  /** Nothing of the record changes any more. */
  ended(at: number, record: RequestRecord): void {
    // So many have come meanwhile that it is forgotten.
    if (this.#ring[at] !== record || !isUsual(record)) return;
    const place = this.#usual[at] ?? new UsualRequest();
    place.fill(record);
    this.#usual[at] = place;
    this.#ring[at] = undefined;
  }

  find(requestId: string): RequestRecord | undefined {
    return this.latest(this.kept).find((record) => record.requestId === requestId);
  }

  /** Latest first. */
  latest(count: number): readonly RequestRecord[] {
    const records: RequestRecord[] = [];
    for (let back = 1; back <= this.kept && records.length < count; back += 1) {
      const at = (this.#next - back + this.kept) % this.kept;
      const record = this.#ring[at] ?? this.#usual[at]?.record();
      if (record !== undefined) records.push(record);
    }
    return records;
  }
}

type Routed = Extract<RequestStep, { kind: "routed" }>;
type Sent = Extract<RequestStep, { kind: "sent" }>;

/** Routed to a neuron, with no other to consider, sent there, answered, and what it cost was told. */
function isUsual({ steps, usage, costSoFar, coldStart, retries }: RequestRecord): boolean {
  const [routed, sent] = steps;
  return (
    steps.length === 2 &&
    routed?.kind === "routed" &&
    routed.considered.length === 1 &&
    sent?.kind === "sent" &&
    usage !== undefined &&
    costSoFar === undefined &&
    !coldStart &&
    retries === 0
  );
}

/** A fraction, so that the collector never sees a new number in the place of an old one. */
const NUMBER = 0.5;

/** Its numbers are overwritten in place. */
class UsualRequest {
  #requestId = "";
  #route = "";
  #key = "";
  #stream = false;
  #modelId: string | undefined;
  #neuron = "";
  #errorCode: string | undefined;
  #status: number | undefined;
  #startedAtEpochMs = NUMBER;
  #startedAtMs = NUMBER;
  #durationMs = NUMBER;
  /** Not a number where no content was seen to begin. */
  #firstContentMs = NUMBER;
  #promptTokens = NUMBER;
  #completionTokens = NUMBER;
  #cachedTokens = NUMBER;
  #reasoningTokens = NUMBER;
  #routedAtMs = NUMBER;
  #decision: Routed["decision"] = "serve";
  #routedTo: string | null = null;
  #routedCode: string | null = null;
  #considered = "";
  #verdict = "";
  /** Not a number where there is none. */
  #figure = NUMBER;
  #sentAtMs = NUMBER;
  #sentTo = "";
  #endedAtMs = NUMBER;
  #outcome: string | null = null;
  #sentCode: string | null = null;

  fill(record: RequestRecord): void {
    // As `isUsual` has found it.
    const usage = record.usage as TokenUsage;
    const [routed, sent] = record.steps as [Routed, Sent];
    const [considered] = routed.considered as [Considered];
    this.#requestId = record.requestId;
    this.#route = record.route;
    this.#key = record.key;
    this.#stream = record.stream;
    this.#modelId = record.modelId;
    this.#neuron = record.neuron;
    this.#errorCode = record.errorCode;
    this.#status = record.status;
    this.#startedAtEpochMs = record.startedAtEpochMs;
    this.#startedAtMs = record.startedAtMs;
    this.#durationMs = orNone(record.durationMs);
    this.#firstContentMs = orNone(record.firstContentMs);
    this.#promptTokens = usage.promptTokens;
    this.#completionTokens = usage.completionTokens;
    this.#cachedTokens = usage.cachedTokens;
    this.#reasoningTokens = usage.reasoningTokens;
    this.#routedAtMs = routed.atMs;
    this.#decision = routed.decision;
    this.#routedTo = routed.neuron;
    this.#routedCode = routed.code;
    this.#considered = considered.neuron;
    this.#verdict = considered.verdict;
    this.#figure = orNone(considered.figure);
    this.#sentAtMs = sent.atMs;
    this.#sentTo = sent.neuron;
    this.#endedAtMs = orNone(sent.endedAtMs);
    this.#outcome = sent.outcome;
    this.#sentCode = sent.code;
  }

  record(): RequestRecord {
    return {
      requestId: this.#requestId,
      startedAtEpochMs: this.#startedAtEpochMs,
      startedAtMs: this.#startedAtMs,
      route: this.#route,
      key: this.#key,
      stream: this.#stream,
      steps: [this.#routed(), this.#sent()],
      modelId: this.#modelId,
      neuron: this.#neuron,
      errorCode: this.#errorCode,
      firstContentMs: known(this.#firstContentMs),
      retries: 0,
      coldStart: false,
      usage: {
        promptTokens: this.#promptTokens,
        completionTokens: this.#completionTokens,
        cachedTokens: this.#cachedTokens,
        reasoningTokens: this.#reasoningTokens,
      },
      costSoFar: undefined,
      durationMs: known(this.#durationMs),
      status: this.#status,
    };
  }

  #routed(): RequestStep {
    const figure = known(this.#figure);
    const [neuron, verdict] = [this.#considered, this.#verdict];
    return {
      kind: "routed",
      atMs: this.#routedAtMs,
      decision: this.#decision,
      neuron: this.#routedTo,
      code: this.#routedCode,
      considered: [figure === undefined ? { neuron, verdict } : { neuron, verdict, figure }],
    };
  }

  #sent(): RequestStep {
    return {
      kind: "sent",
      atMs: this.#sentAtMs,
      neuron: this.#sentTo,
      endedAtMs: known(this.#endedAtMs) ?? null,
      outcome: this.#outcome,
      code: this.#sentCode,
    };
  }
}

const orNone = (number: number | null | undefined): number => number ?? Number.NaN;
const known = (number: number): number | undefined => (Number.isNaN(number) ? undefined : number);
