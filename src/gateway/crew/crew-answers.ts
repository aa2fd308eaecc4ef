import type { GatewayWorker } from "../../protocol/gateway-api.ts";
import type { RequestExplanation, RequestSummary } from "../../protocol/request-explanation.ts";
import type { WorkerTraffic } from "./crew-messages.ts";

/** What goes through all workers together. */
export const trafficOfAll = (workers: readonly WorkerTraffic[]): WorkerTraffic => ({
  requestsInFlight: sum(workers, ({ requestsInFlight }) => requestsInFlight),
  requestsPerSec: sum(workers, ({ requestsPerSec }) => requestsPerSec),
  connectionsRefusedPerSec: sum(workers, ({ connectionsRefusedPerSec }) => connectionsRefusedPerSec),
  ofLate: {
    tokens: sum(workers, ({ ofLate }) => ofLate.tokens),
    errors: sum(workers, ({ ofLate }) => ofLate.errors),
    firstTokensMs: workers.flatMap(({ ofLate }) => ofLate.firstTokensMs),
  },
});

const sum = <Item>(items: readonly Item[], of: (item: Item) => number): number =>
  items.reduce((total, item) => total + of(item), 0);

/** The process in a place of the crew. */
export interface ProcessLife {
  /** Null while there is none. */
  readonly pid: number | null;
  /** Milliseconds since the epoch. */
  readonly upSinceMs: number | null;
  /** How often one was started in the place of another. */
  readonly restarts: number;
}

/** `heard`: of a process that has said something. */
export const workerState = (
  worker: number,
  { pid, upSinceMs, restarts }: ProcessLife,
  heard: { readonly isListening: boolean; readonly traffic: WorkerTraffic } | undefined,
): GatewayWorker => ({
  worker,
  state: pid === null ? "down" : heard?.isListening === true ? "serving" : "starting",
  pid,
  up_since_ms: upSinceMs,
  restarts,
  requests_in_flight: heard?.traffic.requestsInFlight ?? 0,
});

export interface FromWorker<Answer> {
  readonly worker: number;
  readonly answer: Answer;
}

/** The latest requests of all workers, latest first, each with the worker that has it. */
export const latestOfAll = (
  told: readonly FromWorker<readonly RequestSummary[]>[],
  count: number,
): readonly RequestSummary[] =>
  told
    .flatMap(({ worker, answer }) => answer.map((summary) => ({ ...summary, worker })))
    .toSorted((one, other) => other.started_at_ms - one.started_at_ms)
    .slice(0, count);

/** Clients choose ids, and may choose one again: the last one with it. */
export function explanationOfAll(
  told: readonly FromWorker<RequestExplanation | null>[],
): RequestExplanation | null {
  const found = told.flatMap(({ worker, answer }) => (answer === null ? [] : [{ ...answer, worker }]));
  return found.toSorted((one, other) => other.started_at_ms - one.started_at_ms)[0] ?? null;
}
