import { assertNever } from "../../core/assert-never.ts";

/**
 * Whether a lock that was taken is still ours. A reducer; io/hold-lock.ts carries out its effects. Laws: once lost it stays
 * lost; it counts as lost before anybody else may break it, so that a holder who cannot reach the lock stops in time; there
 * is never more than one renewal under way.
 */
export interface LeaseState {
  readonly kind: "held" | "lost";
  readonly ttlMs: number;
  /** Monotonic: when the last renewal that came through was sent. */
  readonly confirmedMs: number;
  readonly isRenewing: boolean;
}

export type LeaseEvent =
  /** The time that was slept is over. */
  | { readonly kind: "time-passed"; readonly nowMs: number }
  /** The lock was renewed; the renewal was sent then. */
  | { readonly kind: "renewal-confirmed"; readonly sentMs: number }
  /** The lock is somebody else's. */
  | { readonly kind: "renewal-refused" }
  /** Where the lock is kept could not be reached. */
  | { readonly kind: "renewal-failed"; readonly nowMs: number };

export type LeaseEffect =
  /** Renew the lock, and report back. */
  | { readonly kind: "renew" }
  /** Report when the time is over. */
  | { readonly kind: "sleep"; readonly forMs: number }
  /** Tell whoever works under the lock to begin nothing new. */
  | { readonly kind: "give-up"; readonly reason: "taken" | "unreachable" };

export interface LeaseStep {
  readonly state: LeaseState;
  readonly effects: readonly LeaseEffect[];
}

/** Renewals for each time to live. */
const RENEWALS = 4;
/** The part of the time to live after which a lock that could not be renewed is given up. */
const GIVEN_UP_AT = 0.75;

export function beginLease(ttlMs: number, takenMs: number): LeaseStep {
  const state: LeaseState = { kind: "held", ttlMs, confirmedMs: takenMs, isRenewing: false };
  return { state, effects: [{ kind: "sleep", forMs: ttlMs / RENEWALS }] };
}

export function stepLease(state: LeaseState, event: LeaseEvent): LeaseStep {
  if (state.kind === "lost") return { state, effects: [] };
  switch (event.kind) {
    case "time-passed":
      if (isOver(state, event.nowMs)) return lose(state, "unreachable");
      return state.isRenewing
        ? { state, effects: [{ kind: "sleep", forMs: state.ttlMs / RENEWALS }] }
        : {
            state: { ...state, isRenewing: true },
            effects: [{ kind: "renew" }, timeLeft(state, event.nowMs)],
          };
    case "renewal-confirmed":
      return {
        state: { ...state, isRenewing: false, confirmedMs: Math.max(state.confirmedMs, event.sentMs) },
        effects: [],
      };
    case "renewal-refused":
      return lose(state, "taken");
    case "renewal-failed":
      return isOver(state, event.nowMs)
        ? lose(state, "unreachable")
        : { state: { ...state, isRenewing: false }, effects: [] };
    default:
      return assertNever(event);
  }
}

/** Whether something may be begun under it now. */
export const isHeld = (state: LeaseState, nowMs: number): boolean =>
  state.kind === "held" && !isOver(state, nowMs);

const isOver = ({ confirmedMs, ttlMs }: LeaseState, nowMs: number): boolean =>
  nowMs - confirmedMs >= ttlMs * GIVEN_UP_AT;

/** Until the next renewal, but not beyond the moment at which the lock is given up. */
function timeLeft({ confirmedMs, ttlMs }: LeaseState, nowMs: number): LeaseEffect {
  const endMs = confirmedMs + ttlMs * GIVEN_UP_AT - nowMs;
  return { kind: "sleep", forMs: Math.max(1, Math.min(ttlMs / RENEWALS, endMs)) };
}

const lose = (state: LeaseState, reason: "taken" | "unreachable"): LeaseStep => ({
  state: { ...state, kind: "lost", isRenewing: false },
  effects: [{ kind: "give-up", reason }],
});
