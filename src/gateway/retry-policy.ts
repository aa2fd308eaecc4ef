/**
 * What to do when a replica failed a request of which no byte has been answered (comments that keep a stream alive
 * are no answer). After the first byte nothing is ever sent again: the client would get two answers in one.
 */
export type AttemptFailure =
  /** The connection failed before any answer; `code` is the system's or the HTTP client's word for it. */
  | { readonly kind: "connection"; readonly code: string }
  /** An error was answered; `code` is from its envelope, null when something else than a neuron answered. */
  | { readonly kind: "answered"; readonly status: number; readonly code: string | null };

export interface RetryBudget {
  /** Dispatches that may still be repeated after a failure of the replica. */
  readonly replica: number;
  /** Times that the view may still be found stale. */
  readonly staleView: number;
}

export const FULL_RETRY_BUDGET: RetryBudget = { replica: 1, staleView: 3 };

export type RetryReason =
  | "connection_failed"
  | "neuron_silent"
  | "foreign_answer"
  | "worker_crashed"
  | "stale_view"
  | "replica_refused";

export type RetryVerdict =
  /** What the neuron said, or did not say, is what the client gets. */
  | { readonly kind: "give-up" }
  /** The request may be sent again. */
  | {
      readonly kind: "retry";
      readonly reason: RetryReason;
      readonly budget: RetryBudget;
      /**
       * Only another replica can help; without one the neuron's own answer is the best answer. A crash counts: a
       * request that kills its worker must not have the model loaded again just to kill it again.
       */
      readonly onlyElsewhere: boolean;
    };

/** Failures that leave no doubt that no answer was begun. A header timeout is not among them: work was done. */
const CONNECTION_FAILURES: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ETIMEDOUT",
  "UND_ERR_SOCKET",
  "UND_ERR_CONNECT_TIMEOUT",
]);

const ANSWERS_WORTH_A_RETRY: ReadonlyMap<string, RetryReason> = new Map([
  ["worker_crashed", "worker_crashed"],
  ["upstream_connection_error", "worker_crashed"],
  ["engine_unreachable", "worker_crashed"],
  // The neuron no longer is as the last poll showed it: the model is gone, on its way out, or on its way in.
  ["model_not_found", "stale_view"],
  ["draining", "stale_view"],
  ["model_loading", "stale_view"],
  ["queue_full", "replica_refused"],
]);

/** Whether the answer says that the neuron is not as the view showed it. */
export const isStaleView = (code: string | null): boolean =>
  code !== null && ANSWERS_WORTH_A_RETRY.get(code) === "stale_view";

export function retryVerdict(failure: AttemptFailure, budget: RetryBudget): RetryVerdict {
  const reason = retryReason(failure);
  if (reason === undefined) return { kind: "give-up" };
  if (reason === "stale_view") {
    if (budget.staleView === 0) return { kind: "give-up" };
    const left = { ...budget, staleView: budget.staleView - 1 };
    return { kind: "retry", reason, budget: left, onlyElsewhere: false };
  }
  if (budget.replica === 0) return { kind: "give-up" };
  const left = { ...budget, replica: budget.replica - 1 };
  return { kind: "retry", reason, budget: left, onlyElsewhere: !mayStay(failure) };
}

/** The connection may be better next time; of a neuron that hangs it is asked first whether it lives. */
const mayStay = (failure: AttemptFailure): boolean =>
  failure.kind === "connection" && failure.code !== "NEURON_SILENT";

function retryReason(failure: AttemptFailure): RetryReason | undefined {
  if (failure.kind === "connection") {
    if (failure.code === "NEURON_HUNG" || failure.code === "NEURON_SILENT") return "neuron_silent";
    return CONNECTION_FAILURES.has(failure.code) ? "connection_failed" : undefined;
  }
  return failure.code === null ? "foreign_answer" : ANSWERS_WORTH_A_RETRY.get(failure.code);
}
