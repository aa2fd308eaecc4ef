import { assertNever } from "../../core/assert-never.ts";
import { conditionsOf, type Conditions } from "./conditions.ts";
import type { RoundOutcome } from "./round-outcome.ts";

/**
 * When the next look at the repository is due, and what is told of the last one. A reducer; io/start-reconcile.ts carries out
 * its effects. Laws: one round at a time; a push that is announced is looked at at once, or right after the round under way,
 * and ends the waits of that round; what is held back goes on as soon as that is over; failures are tried again ever more seldom, and what only a person can mend no more often
 * than the repository is looked at anyway; nothing is told twice.
 */
export interface LoopState {
  readonly intervalMs: number;
  readonly isRunning: boolean;
  /** A push was announced while a round was under way. */
  readonly isAnnounced: boolean;
  /** Rounds in a row that did not succeed for a reason that may pass. */
  readonly failures: number;
  readonly rounds: number;
  readonly outcome: RoundOutcome | undefined;
  readonly conditions: Conditions;
  /** What was told last, so that it is not told again. */
  readonly told: string;
}

export type LoopEvent =
  /** The time until the next round is over. */
  | { readonly kind: "time-passed" }
  /** The host says that the branch moved. */
  | { readonly kind: "push-announced" }
  /** A round came to its end. `chance` is from 0 to 1; `intervalMs` as the files say it now. */
  | {
      readonly kind: "round-ended";
      readonly outcome: RoundOutcome;
      readonly chance: number;
      readonly nowMs: number;
      readonly intervalMs: number;
    };

export type LoopEffect =
  /** Look, and report back. */
  | { readonly kind: "run-round" }
  /** Let the round under way begin nothing new: a newer revision is there. */
  | { readonly kind: "hurry-round" }
  /** Report when the time is over, unless something else happens before. */
  | { readonly kind: "sleep"; readonly forMs: number }
  /** Tell whoever listens. */
  | { readonly kind: "tell"; readonly conditions: Conditions; readonly outcome: RoundOutcome };

export interface LoopStep {
  readonly state: LoopState;
  readonly effects: readonly LoopEffect[];
}

const FIRST_RETRY_MS = 2000;
const RETRY_FACTOR = 3;
const LONGEST_RETRY_MS = 300_000;
/** Many loops that were started together must not all ask at once. */
const JITTER = 0.1;
/** Drift is looked at again so soon before it counts. */
const CONFIRM_MS = 10_000;
const LEAST_PAUSE_MS = 1000;

export function beginLoop(intervalMs: number, nowMs: number): LoopStep {
  const state: LoopState = {
    intervalMs,
    isRunning: true,
    isAnnounced: false,
    failures: 0,
    rounds: 0,
    outcome: undefined,
    conditions: conditionsOf(undefined, undefined, nowMs),
    told: "",
  };
  return { state, effects: [{ kind: "run-round" }] };
}

export function stepLoop(state: LoopState, event: LoopEvent): LoopStep {
  switch (event.kind) {
    case "time-passed":
      return state.isRunning ? { state, effects: [] } : startRound(state);
    case "push-announced":
      return state.isRunning
        ? { state: { ...state, isAnnounced: true }, effects: [{ kind: "hurry-round" }] }
        : startRound(state);
    case "round-ended":
      return endRound(state, event);
    default:
      return assertNever(event);
  }
}

const startRound = (state: LoopState): LoopStep => ({
  state: { ...state, isRunning: true, isAnnounced: false },
  effects: [{ kind: "run-round" }],
});

function endRound(state: LoopState, event: LoopEvent & { readonly kind: "round-ended" }): LoopStep {
  const { outcome, nowMs, chance, intervalMs } = event;
  const failures = outcome.kind === "failed" ? state.failures + 1 : 0;
  const conditions = conditionsOf(state.conditions, outcome, nowMs);
  const telling = `${outcome.kind} ${conditions.Ready.reason} ${outcome.commit ?? ""}`;
  const isNews = telling !== state.told;
  const told = isNews ? [{ kind: "tell", conditions, outcome } as const] : [];
  const rounds = state.rounds + 1;
  const base = { ...state, intervalMs, failures, conditions, outcome, rounds, told: telling };
  if (state.isAnnounced)
    return { state: { ...base, isAnnounced: false }, effects: [...told, { kind: "run-round" }] };
  const pauseMs = pauseOf(base, outcome) * (1 - JITTER + 2 * JITTER * chance);
  const forMs = Math.round(Math.min(pauseMs, holdLeftMs(outcome, nowMs)));
  return { state: { ...base, isRunning: false }, effects: [...told, { kind: "sleep", forMs }] };
}

/** What is held back goes on when the hold is over, and no sooner. */
const holdLeftMs = (outcome: RoundOutcome, nowMs: number): number =>
  outcome.kind === "held-back" && outcome.until_ms !== null
    ? Math.max(LEAST_PAUSE_MS, outcome.until_ms - nowMs)
    : Infinity;

function pauseOf({ intervalMs, failures }: LoopState, outcome: RoundOutcome): number {
  if (outcome.kind === "drift-suspected") return Math.min(CONFIRM_MS, intervalMs);
  if (outcome.kind !== "failed") return intervalMs;
  return Math.min(FIRST_RETRY_MS * RETRY_FACTOR ** Math.min(failures - 1, 10), LONGEST_RETRY_MS);
}
