import { assertNever } from "../core/assert-never.ts";
import { CortexError, errorKind } from "../core/errors.ts";
import type { ErrorEnvelope } from "../protocol/error-envelope.ts";
import { refusesToken } from "../protocol/neuron-failure.ts";
import { comesAndGoes, connectionError, foreignAnswer, refusedToken } from "./course-errors.ts";
import type { WaitOutcome } from "./loading/scheduler-state.ts";
import type { HeldAnswer, RelayResult } from "./relay/relay-answer.ts";
import {
  FULL_RETRY_BUDGET,
  isStaleView,
  RETRY_PAUSES,
  retryVerdict,
  type AttemptFailure,
  type RetryBudget,
  type RetryReason,
  type RetryVerdict,
} from "./retry-policy.ts";
import type { Decision } from "./routing/route-request.ts";

/**
 * The course of one request, as a reducer: it is routed, waits for a load if it must, is sent to a replica, and after
 * a failure is sent again or given up.
 *
 * As long as nothing was answered, a request that failed goes on: to another replica at once, and where all have failed
 * it waits a little, longer each time, for one that is back. What bounds it are counts: of dispatches, of workers that
 * died with it (a request of death ends two of them at most), and of pauses.
 *
 * The laws that the property test holds it to: it always ends, and with one word to the client at most; a request is
 * sent once, and again once for each retry that the budget allows; nothing is sent again after the first byte of an
 * answer, after an error that is the request's own, or after the client has left; and a request whose worker crashed is
 * sent again once.
 */
export interface RequestCourse {
  readonly stage: Stage;
  /** Neurons that failed this request: taken only when nothing else serves. */
  readonly avoid: ReadonlySet<string>;
  /** Neurons found dead by this request: not taken at all, whatever the view still says. */
  readonly excluded: ReadonlySet<string>;
  readonly budget: RetryBudget;
  /** Waits that ended without an answer to this request. */
  readonly loadRounds: number;
  /** Times that nothing was left but to look again. */
  readonly looks: number;
}

/** Which event is awaited. */
type Stage =
  /** Where it goes: at first, and after a load that ended without an answer. */
  | { readonly kind: "routing" }
  /** For a place. */
  | { readonly kind: "waiting"; readonly modelId: string }
  /** For the answer of a replica. */
  | { readonly kind: "sent"; readonly to: Replica }
  /** Where else it could go after a failure. */
  | { readonly kind: "seeking-another"; readonly failed: FailedAttempt }
  /** For a while, so that something may come back. */
  | { readonly kind: "pausing"; readonly failed: FailedAttempt }
  /** What the neuron that failed holds now. */
  | { readonly kind: "asking-again"; readonly failed: FailedAttempt }
  /** Where it goes once that is known. */
  | { readonly kind: "routing-again"; readonly failed: FailedAttempt }
  /** For nothing any more. */
  | { readonly kind: "over" };

interface Replica {
  readonly neuron: string;
  readonly modelId: string;
}

type Failure = Extract<RelayResult, { kind: "failed-before-answer" | "answered-error" }>;

interface FailedAttempt {
  readonly replica: Replica;
  readonly failure: Failure;
  readonly verdict: Extract<RetryVerdict, { kind: "retry" }>;
}

export type CourseEvent =
  /** The router has decided. */
  | { readonly kind: "request-routed"; readonly decision: Decision }
  /** The wait for a place is over. */
  | { readonly kind: "wait-ended"; readonly outcome: WaitOutcome }
  /** The replica has answered, or has failed. */
  | { readonly kind: "attempt-ended"; readonly result: RelayResult }
  /** The pause is over; whether the request may wait any longer. */
  | { readonly kind: "pause-ended"; readonly mayGoOn: boolean }
  /** The neuron that failed was asked what it holds now; false: it is dead. */
  | { readonly kind: "neuron-refreshed"; readonly answers: boolean }
  /** The client has left, or the gateway stops. */
  | { readonly kind: "request-stopped" };

/** What is done aside; the request does not wait for it. */
export type CourseNote =
  /** The request goes on after a failure of a replica. */
  | { readonly kind: "count-retry"; readonly modelId: string; readonly reason: RetryReason }
  /** A neuron failed though the view believes in it: look again. */
  | { readonly kind: "refresh-aside"; readonly neuron: string };

/** What is done next, and brings the next event. */
export type CourseDeed =
  /** Ask the router. */
  | {
      readonly kind: "route";
      readonly avoid: ReadonlySet<string>;
      readonly excluded: ReadonlySet<string>;
    }
  /** Wait for a place at a copy of the model, which may have to be loaded first. */
  | {
      readonly kind: "wait";
      readonly modelId: string;
      readonly avoid: ReadonlySet<string>;
      readonly excluded: ReadonlySet<string>;
    }
  /** Send the request to the replica. */
  | { readonly kind: "send"; readonly neuron: string; readonly modelId: string }
  /** Do nothing for a while, of this length in terms of the first one. */
  | { readonly kind: "pause"; readonly length: number }
  /** Ask the neuron what it holds now. */
  | { readonly kind: "refresh"; readonly neuron: string };

/** How the course ends. */
export type CourseEnd =
  /** The client gets an error of the gateway's. */
  | { readonly kind: "answer-error"; readonly error: CortexError }
  /** The client gets the neuron's own error. */
  | {
      readonly kind: "pass-on-error";
      readonly answer: HeldAnswer;
      readonly envelope: ErrorEnvelope;
    }
  /** The client has its answer. */
  | { readonly kind: "completed" }
  /** The answer broke off, and the client has been told, with this code. */
  | { readonly kind: "cut"; readonly code: string }
  /** Whoever stopped the request says whether the client is told. */
  | { readonly kind: "stopped" };

export interface CourseStep {
  readonly course: RequestCourse;
  readonly notes: readonly CourseNote[];
  /** A deed, or the end where the stage is `over`. */
  readonly next: CourseDeed | CourseEnd;
}

/** Waits that may end without an answer before a request gives up: the fleet changed each time. */
export const MAX_LOAD_ROUNDS = 4;

const NONE: ReadonlySet<string> = new Set();
const ROUTING: Stage = { kind: "routing" };
const OVER: Stage = { kind: "over" };
const NO_NOTES: readonly CourseNote[] = [];

/** Shared by all requests: it is never changed. */
const FRESH: RequestCourse = {
  stage: ROUTING,
  avoid: NONE,
  excluded: NONE,
  budget: FULL_RETRY_BUDGET,
  loadRounds: 0,
  looks: 0,
};

export const beginCourse = (): CourseStep => routeFrom(FRESH, ROUTING);

export function stepCourse(course: RequestCourse, event: CourseEvent): CourseStep {
  switch (event.kind) {
    case "request-routed":
      return onRouted(course, event.decision);
    case "wait-ended":
      return onWaitEnded(course, event.outcome);
    case "attempt-ended":
      return onAttemptEnded(course, event.result);
    case "pause-ended":
      return onPauseEnded(course, event.mayGoOn);
    case "neuron-refreshed":
      return onRefreshed(course, event.answers);
    case "request-stopped":
      return end(course, { kind: "stopped" });
    default:
      return assertNever(event);
  }
}

const step = (course: RequestCourse, stage: Stage, next: CourseDeed | CourseEnd): CourseStep => ({
  course: { ...course, stage },
  notes: NO_NOTES,
  next,
});

const end = (course: RequestCourse, next: CourseEnd): CourseStep => step(course, OVER, next);

const routeFrom = (course: RequestCourse, stage: Stage): CourseStep =>
  step(course, stage, { kind: "route", avoid: course.avoid, excluded: course.excluded });

const misplaced = (event: CourseEvent["kind"], course: RequestCourse): Error =>
  new Error(`${event} came to a request that is ${course.stage.kind}`);

function onRouted(course: RequestCourse, decision: Decision): CourseStep {
  const { stage } = course;
  if (stage.kind === "routing") return follow(course, decision);
  if (stage.kind === "seeking-another") return onSought(course, stage.failed, decision);
  if (stage.kind === "routing-again") return onRoutedAgain(course, stage.failed, decision);
  throw misplaced("request-routed", course);
}

function follow(course: RequestCourse, decision: Decision): CourseStep {
  switch (decision.kind) {
    case "refuse":
      return end(course, { kind: "answer-error", error: decision.error });
    case "serve":
      return send(course, decision.neuron, decision.modelId);
    case "wait": {
      const { modelId } = decision;
      const { avoid, excluded } = course;
      return step(course, { kind: "waiting", modelId }, { kind: "wait", modelId, avoid, excluded });
    }
    default:
      return assertNever(decision);
  }
}

const send = (course: RequestCourse, neuron: string, modelId: string): CourseStep =>
  step(course, { kind: "sent", to: { neuron, modelId } }, { kind: "send", neuron, modelId });

function onWaitEnded(course: RequestCourse, outcome: WaitOutcome): CourseStep {
  const { stage } = course;
  if (stage.kind !== "waiting") throw misplaced("wait-ended", course);
  switch (outcome.kind) {
    case "granted":
      return send(course, outcome.neuron, stage.modelId);
    case "refused":
      return end(course, { kind: "answer-error", error: outcome.error });
    case "cancelled":
      return end(course, { kind: "stopped" });
    case "decide-again":
      return anotherRound(course, stage.modelId);
    default:
      return assertNever(outcome);
  }
}

function anotherRound(course: RequestCourse, modelId: string): CourseStep {
  const loadRounds = course.loadRounds + 1;
  if (loadRounds >= MAX_LOAD_ROUNDS) {
    const message = `what could hold ${modelId} keeps coming and going`;
    return end(course, { kind: "answer-error", error: new CortexError("model_loading", message) });
  }
  return routeFrom({ ...course, loadRounds }, ROUTING);
}

const withName = (names: ReadonlySet<string>, name: string): ReadonlySet<string> => new Set(names).add(name);

function onAttemptEnded(course: RequestCourse, result: RelayResult): CourseStep {
  const { stage } = course;
  if (stage.kind !== "sent") throw misplaced("attempt-ended", course);
  switch (result.kind) {
    case "completed":
      return end(course, { kind: "completed" });
    case "cut":
      return end(course, { kind: "cut", code: result.code });
    case "aborted":
      return end(course, { kind: "stopped" });
    case "failed-before-answer":
    case "answered-error":
      return onFailure(course, stage.to, result);
    default:
      return assertNever(result);
  }
}

function onFailure(course: RequestCourse, replica: Replica, failure: Failure): CourseStep {
  const verdict = retryVerdict(attemptFailure(failure), course.budget);
  if (verdict.kind === "give-up") return giveUp(course, replica, failure);
  const stage: Stage = { kind: "seeking-another", failed: { replica, failure, verdict } };
  return routeFrom({ ...course, avoid: withName(course.avoid, replica.neuron) }, stage);
}

const attemptFailure = (failure: Failure): AttemptFailure =>
  failure.kind === "failed-before-answer"
    ? { kind: "connection", code: failure.code }
    : { kind: "answered", status: failure.answer.status, code: codeOf(failure.answer) };

/** Null when nothing that a neuron says was answered. */
const codeOf = ({ envelope }: HeldAnswer): string | null =>
  envelope === null ? null : (envelope.error.code ?? "");

/**
 * Another replica is taken at once. Without one the neuron is asked what it holds now: it may have lost the model
 * (then it is loaded anew), only the connection (then it is tried again), or its life (then it is left out).
 */
function onSought(course: RequestCourse, failed: FailedAttempt, decision: Decision): CourseStep {
  const { neuron } = failed.replica;
  const elsewhere = decision.kind === "serve" ? decision.neuron : replicaWithoutRoom(decision);
  if (elsewhere !== null && !course.avoid.has(elsewhere)) {
    // Who waits must not be sent back to where only another one helps, whoever has gone meanwhile.
    const excluded = failed.verdict.onlyElsewhere ? withName(course.excluded, neuron) : course.excluded;
    return retried(follow({ ...course, excluded }, decision), failed, [{ kind: "refresh-aside", neuron }]);
  }
  if (failed.verdict.onlyElsewhere) return giveUp(course, failed.replica, failed.failure);
  return lookAgain(course, failed) ?? giveUp(course, failed.replica, failed.failure);
}

/** Null when it has been done often enough. */
function lookAgain(course: RequestCourse, failed: FailedAttempt): CourseStep | null {
  const length = RETRY_PAUSES[course.looks];
  if (length === undefined) return null;
  const looking = { ...course, looks: course.looks + 1 };
  if (length > 0) return step(looking, { kind: "pausing", failed }, { kind: "pause", length });
  return askAgain(looking, failed);
}

const askAgain = (course: RequestCourse, failed: FailedAttempt): CourseStep =>
  step(course, { kind: "asking-again", failed }, { kind: "refresh", neuron: failed.replica.neuron });

function onPauseEnded(course: RequestCourse, mayGoOn: boolean): CourseStep {
  const { stage } = course;
  if (stage.kind !== "pausing") throw misplaced("pause-ended", course);
  const { failed } = stage;
  if (!mayGoOn) return giveUp(course, failed.replica, failed.failure);
  // What was dead may be back: the view tells, and one look at whoever failed last.
  return askAgain({ ...course, excluded: NONE }, failed);
}

/** What does not take work now may take it in a moment. */
function onRoutedAgain(course: RequestCourse, failed: FailedAttempt, decision: Decision): CourseStep {
  const passes = decision.kind === "refuse" && errorKind(decision.error.code).retryable;
  return (passes ? lookAgain(course, failed) : null) ?? retried(follow(course, decision), failed, NO_NOTES);
}

const replicaWithoutRoom = (decision: Decision): string | null =>
  decision.kind === "wait" ? decision.replica : null;

function onRefreshed(course: RequestCourse, answers: boolean): CourseStep {
  const { stage } = course;
  if (stage.kind !== "asking-again") throw misplaced("neuron-refreshed", course);
  const { failed } = stage;
  const excluded = answers ? course.excluded : withName(course.excluded, failed.replica.neuron);
  return routeFrom({ ...course, excluded }, { kind: "routing-again", failed });
}

function retried(following: CourseStep, failed: FailedAttempt, notes: readonly CourseNote[]): CourseStep {
  const { replica, verdict } = failed;
  const count = { kind: "count-retry", modelId: replica.modelId, reason: verdict.reason } as const;
  return {
    course: { ...following.course, budget: verdict.budget },
    notes: [...notes, count],
    next: following.next,
  };
}

/** A neuron's error reaches the client in the neuron's words, except one that is between the gateway and it. */
function giveUp(course: RequestCourse, replica: Replica, failure: Failure): CourseStep {
  const { neuron } = replica;
  if (failure.kind === "failed-before-answer") {
    return end(course, { kind: "answer-error", error: connectionError(neuron, failure.code) });
  }
  const { answer } = failure;
  const { envelope, status } = answer;
  if (refusesToken(status, codeOf(answer))) {
    return end(course, { kind: "answer-error", error: refusedToken(neuron, status) });
  }
  if (envelope === null) return end(course, { kind: "answer-error", error: foreignAnswer(neuron, status) });
  if (isStaleView(codeOf(answer))) return end(course, { kind: "answer-error", error: comesAndGoes(replica) });
  return end(course, { kind: "pass-on-error", answer, envelope });
}
