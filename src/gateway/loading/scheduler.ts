import { assertNever } from "../../core/assert-never.ts";
import { observeView, withEntered, withLeft } from "./copy-watch.ts";
import { EMPTY_QUEUE, enqueue } from "./fair-queue.ts";
import { grantPlaces, grantPlacesOf } from "./grant-places.ts";
import { keepFor, onLoadAccepted, onLoadEnded, onLoadProgressed } from "./load-news.ts";
import { cancelUnwanted, startLoads, unloadIdle } from "./load-upkeep.ts";
import { recycleWorn } from "./recycle-worn.ts";
import { withoutFarewell, withWish } from "./residency-wishes.ts";
import type {
  Scheduler,
  SchedulerEffect,
  SchedulerEvent,
  SchedulerEventOf,
  SchedulerStep,
} from "./scheduler-state.ts";
import { withDemand } from "./victims.ts";
import { expireWaiters, queueFull, releaseWaiter } from "./waiting.ts";

/**
 * Who gets a place at which copy, and which copies there are, as one reducer. The laws that its property test holds
 * it to:
 *
 * - Every request is granted, refused, sent back to the router or cancelled, exactly once.
 * - A place that is granted is counted until it is freed; no copy gets more than its slots and a queue as long.
 * - A copy that fails of late gets nobody who waits while one stands that does not, and none before its rest is over.
 * - One load per model. A model that was declared, protected, or loaded by hand or apply never gives way, and work in
 *   flight is never cut: a neuron is asked to let a copy finish, not to stop it.
 * - Who waits is served within a bound, however others arrive: principals take turns, and so do models.
 *
 * A load belongs to nobody. A request that leaves only takes itself away; what it waited for goes on for a while, since
 * clients come back, and is then taken back by this gateway alone: who else waits for it keeps it.
 */
export function reduceScheduler(state: Scheduler, event: SchedulerEvent): SchedulerStep {
  const { state: next, effects } = applyEvent(state, event);
  switch (event.kind) {
    case "request-entered":
    case "residency-wished":
      return { state: next, effects };
    case "waiter-left":
      return pump(next, event.atMs, { before: effects, moves: [cancelUnwanted] });
    case "place-freed":
      return afterPlaceFreed({ state: next, effects }, event);
    case "waiter-arrived":
      return pump(next, event.atMs, {
        before: effects,
        moves: [grantsOf(event.modelId), loadsFor(event.modelId)],
      });
    case "view-changed":
    case "load-accepted":
    case "load-progressed":
    case "load-ended":
    case "policy-changed":
    case "time-passed":
      return pump(next, event.atMs, { before: effects, moves: ALL_MOVES });
    default:
      return assertNever(event);
  }
}

/*
 * Requests come and go all the time, and concern the model that they are for: looking over all models each time would
 * cost the more the more of them there are. What else follows from them is idleness and deadlines, which are looked at
 * as time passes.
 */
type Move = (state: Scheduler, atMs: number) => SchedulerStep;

const ALL_MOVES: readonly Move[] = [
  expireWaiters,
  grantPlaces,
  startLoads,
  cancelUnwanted,
  unloadIdle,
  recycleWorn,
];

/** Nobody waits for it, nearly always. */
const afterPlaceFreed = (
  { state, effects }: SchedulerStep,
  { modelId, atMs }: SchedulerEventOf<"place-freed">,
): SchedulerStep =>
  state.queues.has(modelId)
    ? pump(state, atMs, { before: effects, moves: [grantsOf(modelId)] })
    : { state, effects };

const grantsOf =
  (modelId: string): Move =>
  (state, atMs) =>
    grantPlacesOf(state, [modelId], atMs);

function applyEvent(state: Scheduler, event: SchedulerEvent): SchedulerStep {
  switch (event.kind) {
    case "request-entered": {
      const { modelId, atMs } = event;
      return quiet(withRequest(withEntered(state, event, atMs), modelId, atMs));
    }
    case "waiter-arrived":
      return onArrival(state, event);
    case "residency-wished":
      return quiet(withWish(state, event.modelId, event.keepMs));
    case "waiter-left":
      return onLeave(state, event);
    case "place-freed":
      return quiet(withLeft(state, event, event));
    case "view-changed":
      return quiet(observeView(state, event.view, event.atMs));
    case "load-accepted":
      return quiet(onLoadAccepted(state, event));
    case "load-progressed":
      return quiet(onLoadProgressed(state, event));
    case "load-ended":
      return quiet(onLoadEnded(state, event));
    case "policy-changed":
      // What failed, and what it was found to take, was as other files had it.
      return quiet({ ...state, policy: event.policy, failures: new Map(), neededMib: new Map() });
    case "time-passed":
      return quiet(state);
    default:
      return assertNever(event);
  }
}

const quiet = (state: Scheduler): SchedulerStep => ({ state, effects: [] });

/** A load may be due for it. Whoever else waits was planned for before, and again as time passes. */
const loadsFor =
  (modelId: string): Move =>
  (state, atMs) =>
    state.queues.has(modelId) && !state.loads.has(modelId) ? startLoads(state, atMs) : { state, effects: [] };

/** What follows from the state as it is now. */
function pump(
  start: Scheduler,
  atMs: number,
  { before, moves }: { readonly before: readonly SchedulerEffect[]; readonly moves: readonly Move[] },
): SchedulerStep {
  let state = start;
  const effects = [...before];
  for (const move of moves) {
    const step = move(state, atMs);
    ({ state } = step);
    effects.push(...step.effects);
  }
  return { state, effects };
}

function onArrival(state: Scheduler, event: SchedulerEventOf<"waiter-arrived">): SchedulerStep {
  const { waiterId, modelId, principal, affinity, avoid, excluded, deadlineAtMs, atMs } = event;
  const queue = state.queues.get(modelId) ?? EMPTY_QUEUE;
  if (queue.waiters.length >= state.policy.maxWaitersPerModel) {
    const error = queueFull(state, modelId, atMs);
    return {
      state,
      effects: [{ kind: "release-waiter", waiterId, outcome: { kind: "refused", error } }],
    };
  }
  const waiter = { id: waiterId, principal, affinity, avoid, excluded, arrivedAtMs: atMs, deadlineAtMs };
  const queues = new Map(state.queues).set(modelId, enqueue(queue, waiter));
  return quiet(withRequest({ ...state, queues }, modelId, atMs));
}

const withRequest = (state: Scheduler, modelId: string, atMs: number): Scheduler =>
  withoutFarewell(withDemand(state, modelId, atMs), modelId);

function onLeave(state: Scheduler, event: SchedulerEventOf<"waiter-left">): SchedulerStep {
  const { waiterId, modelId, atMs } = event;
  const step = releaseWaiter(state, { waiterId, modelId }, { kind: "cancelled" });
  return { ...step, state: keepFor(step.state, modelId, atMs + state.policy.lingerMs) };
}
