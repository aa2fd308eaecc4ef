import {
  afterNoOutcome,
  afterOutcome,
  afterSending,
  GOOD_STANDING,
  isLeftOut,
  isProbeDue,
  isResting,
  workOfFailures,
  type ReplicaStanding,
} from "../routing/replica-standing.ts";
import type { Trust } from "../routing/route-request.ts";
import { copyKey, type PlaceAt, type RequestOutcome, type Scheduler } from "./scheduler-state.ts";

const standingOf = (state: Scheduler, { neuron, modelId }: PlaceAt): ReplicaStanding | undefined =>
  state.standings.get(copyKey(neuron, modelId));

/** What is known of a copy's failures; null: nothing. */
export function trustIn(state: Scheduler, place: PlaceAt, atMs: number): Trust | null {
  const standing = standingOf(state, place);
  if (standing === undefined) return null;
  return {
    isLeftOut: isLeftOut(standing, atMs),
    isProbeDue: isProbeDue(standing, atMs),
    extraWork: workOfFailures(standing, atMs),
  };
}

/** It has failed of late, and nobody is sent there before its rest is over. */
export function restsAt(state: Scheduler, place: PlaceAt, atMs: number): boolean {
  const standing = standingOf(state, place);
  return standing !== undefined && isResting(standing, atMs);
}

/** A request has a place there: it is the probe when one is due. */
export function withSending(state: Scheduler, place: PlaceAt, atMs: number): Scheduler {
  const standing = standingOf(state, place);
  return standing === undefined ? state : withStanding(state, place, afterSending(standing, atMs));
}

/** What came of a request there; a good standing is not kept. */
export function withOutcome(
  state: Scheduler,
  place: PlaceAt,
  { outcome, atMs }: { readonly outcome: RequestOutcome | null; readonly atMs: number },
): Scheduler {
  const standing = standingOf(state, place);
  if (outcome === "failed") {
    return withStanding(state, place, afterOutcome(standing ?? GOOD_STANDING, outcome, atMs));
  }
  if (standing === undefined) return state;
  const next = outcome === null ? afterNoOutcome(standing) : afterOutcome(standing, outcome, atMs);
  return withStanding(state, place, next);
}

const FORGOTTEN_SHARE = 0.01;

function withStanding(state: Scheduler, { neuron, modelId }: PlaceAt, standing: ReplicaStanding): Scheduler {
  const standings = new Map(state.standings);
  const isGood = standing.failuresInRow === 0 && standing.errorShare < FORGOTTEN_SHARE;
  if (isGood) standings.delete(copyKey(neuron, modelId));
  else standings.set(copyKey(neuron, modelId), standing);
  return { ...state, standings };
}
