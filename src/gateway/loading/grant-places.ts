import { fullness, replicasOf, withEntered, type Replica } from "./copy-watch.ts";
import { restsAt, trustIn } from "./copy-standing.ts";
import { inOrder, withGranted } from "./fair-queue.ts";
import type { Trust } from "../routing/route-request.ts";
import type { Scheduler, SchedulerEffect, SchedulerStep, Waiter } from "./scheduler-state.ts";
import { withQueue } from "./waiting.ts";

/**
 * Lets waiters go as fast as copies take them: in order of the queue, to the copy with the most room, and none to a copy that is
 * full. So nobody who has waited is sent away because all came at once.
 */
export function grantPlaces(start: Scheduler, atMs: number): SchedulerStep {
  let state = start;
  const effects: SchedulerEffect[] = [];
  for (const modelId of start.queues.keys()) {
    for (;;) {
      const granted = nextGrant(state, modelId, atMs);
      if (granted === undefined) break;
      const { waiter, neuron } = granted;
      const queue = state.queues.get(modelId);
      if (queue === undefined) break;
      state = withEntered(withQueue(state, modelId, withGranted(queue, waiter)), { neuron, modelId }, atMs);
      effects.push({
        kind: "release-waiter",
        waiterId: waiter.id,
        outcome: { kind: "granted", neuron },
      });
    }
  }
  return { state, effects };
}

function nextGrant(
  state: Scheduler,
  modelId: string,
  atMs: number,
): { readonly waiter: Waiter; readonly neuron: string } | undefined {
  const queue = state.queues.get(modelId);
  if (queue === undefined) return undefined;
  const replicas = replicasOf(state, modelId).map((replica) => candidate(state, replica, atMs));
  const withRoom = replicas.filter(({ hasRoom }) => hasRoom).sort(byPromise);
  if (withRoom.length === 0) return undefined;
  for (const waiter of inOrder(queue)) {
    const suits = suitableFor(waiter, replicas);
    const found = withRoom.find(suits);
    if (found !== undefined) return { waiter, neuron: found.neuron };
  }
  return undefined;
}

interface Candidate {
  readonly neuron: string;
  readonly hasRoom: boolean;
  /** How full it is, its failures counted as work. */
  readonly burden: number;
  readonly trust: Trust | null;
  readonly rests: boolean;
}

function candidate(state: Scheduler, replica: Replica, atMs: number): Candidate {
  const place = { neuron: replica.neuron.name, modelId: replica.model.id };
  const trust = trustIn(state, place, atMs);
  return {
    neuron: place.neuron,
    hasRoom: fullness(state, replica) < 1,
    burden: fullness(state, replica, trust?.extraWork),
    trust,
    rests: restsAt(state, place, atMs),
  };
}

/** The one that is to be tried again first, by one request; then the one with the most room. */
const byPromise = (left: Candidate, right: Candidate): number =>
  Number(right.trust?.isProbeDue === true) - Number(left.trust?.isProbeDue === true) ||
  left.burden - right.burden;

/**
 * A copy that has just failed a request, or that fails of late, has the most room, since it failed all of them: while
 * another one serves, the request waits for that. Where none does, it waits for the end of a rest, which is bounded.
 */
function suitableFor(
  { avoid, excluded }: Waiter,
  replicas: readonly Candidate[],
): (replica: Candidate) => boolean {
  const isAlive = ({ neuron }: Candidate) => !excluded.has(neuron);
  const isFresh = (replica: Candidate) => isAlive(replica) && !avoid.has(replica.neuron);
  const isTrusted = (replica: Candidate) => isFresh(replica) && replica.trust?.isLeftOut !== true;
  if (replicas.some(isTrusted)) return isTrusted;
  const isNext = (replica: Candidate) => isFresh(replica) && !replica.rests;
  return replicas.some(isNext) ? isNext : (replica) => isAlive(replica) && !replica.rests;
}
