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
  /**
   * Of these, those after a failure that is dear: a worker died with the request, which may be the request's doing, or
   * a replica was silent for as long as is waited at all.
   */
  readonly dear: number;
  /** Times that the view may still be found stale. */
  readonly staleView: number;
}

export const FULL_RETRY_BUDGET: RetryBudget = { replica: 6, dear: 1, staleView: 3 };

/**
 * Before a request goes where it has failed already, or where nothing can take it now: at first at once, then later each
 * time. Shares of `retryPauseMs`: a worker that died and a neuron that is started again are back within the sum.
 */
export const RETRY_PAUSES: readonly number[] = [0, 1, 2, 4, 8, 16];

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
      /** Only another replica can help; without one the neuron's own answer is the best answer. */
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
  const dear = budget.dear - Number(isDear(failure));
  if (dear < 0) return { kind: "give-up" };
  const left = { ...budget, replica: budget.replica - 1, dear };
  return { kind: "retry", reason, budget: left, onlyElsewhere: ONLY_ELSEWHERE.has(codeOf(failure)) };
}

const codeOf = ({ code }: AttemptFailure): string => code ?? "";

const isDear = (failure: AttemptFailure): boolean =>
  failure.kind === "connection" ? failure.code === "NEURON_SILENT" : failure.code === "worker_crashed";

/** A full queue is full for a while; and who said nothing for so long is not asked the same again. */
const ONLY_ELSEWHERE: ReadonlySet<string> = new Set(["queue_full", "NEURON_SILENT"]);

function retryReason(failure: AttemptFailure): RetryReason | undefined {
  if (failure.kind === "connection") {
    if (failure.code === "NEURON_HUNG" || failure.code === "NEURON_SILENT") return "neuron_silent";
    return CONNECTION_FAILURES.has(failure.code) ? "connection_failed" : undefined;
  }
  return failure.code === null ? "foreign_answer" : ANSWERS_WORTH_A_RETRY.get(failure.code);
}
