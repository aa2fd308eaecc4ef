import { chooseReplica, type ReplicaOffer } from "../routing/replica-choice.ts";
import { comparableSpeeds, presumedSpeed } from "../routing/replica-speed.ts";
import { fullness, replicasOf, speedOf, withEntered, workAt } from "./copy-watch.ts";
import { restsAt, trustIn } from "./copy-standing.ts";
import { inOrder, withGranted } from "./fair-queue.ts";
import type { Trust } from "../routing/route-request.ts";
import type { Scheduler, SchedulerEffect, SchedulerStep, Waiter } from "./scheduler-state.ts";
import { withQueue } from "./waiting.ts";

/**
 * Lets waiters go as fast as copies take them: in order of the queue, to the copy where its turn comes first or its
 * conversation is at home, and none to a copy that is full. So nobody who has waited is sent away because all came at once.
 */
export const grantPlaces = (state: Scheduler, atMs: number): SchedulerStep =>
  grantPlacesOf(state, state.queues.keys(), atMs);

/** The same for these models alone. */
export function grantPlacesOf(start: Scheduler, modelIds: Iterable<string>, atMs: number): SchedulerStep {
  let state = start;
  const effects: SchedulerEffect[] = [];
  for (const modelId of modelIds) {
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
  const candidates = candidatesFor(state, modelId, atMs);
  const withRoom = candidates.filter(({ hasRoom }) => hasRoom);
  if (withRoom.length === 0) return undefined;
  for (const waiter of inOrder(queue)) {
    const suitable = withRoom.filter(suitableFor(waiter, candidates));
    const toTry = suitable.find(({ trust }) => trust?.isProbeDue === true);
    const found = toTry ?? chooseReplica(suitable, waiter.affinity);
    if (found !== undefined) return { waiter, neuron: found.neuron };
  }
  return undefined;
}

interface Candidate extends ReplicaOffer {
  readonly hasRoom: boolean;
  readonly trust: Trust | null;
  readonly rests: boolean;
}

function candidatesFor(state: Scheduler, modelId: string, atMs: number): readonly Candidate[] {
  const replicas = replicasOf(state, modelId);
  const speeds = comparableSpeeds(
    replicas.map(({ neuron, model }) => ({
      measured: speedOf(state, { neuron: neuron.name, modelId }),
      presumed: presumedSpeed(neuron, model),
    })),
  );
  return replicas.map((replica, at) => {
    const place = { neuron: replica.neuron.name, modelId };
    const trust = trustIn(state, place, atMs);
    return {
      neuron: place.neuron,
      hasRoom: fullness(state, replica) < 1,
      load: workAt(state, replica.neuron, modelId) + (trust?.extraWork ?? 0),
      speed: speeds[at] ?? 1,
      trust,
      rests: restsAt(state, place, atMs),
    };
  });
}

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
