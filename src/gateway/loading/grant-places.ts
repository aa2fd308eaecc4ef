import { fullness, replicasOf, withInFlight, type Replica } from "./copy-watch.ts";
import { inOrder, withGranted } from "./fair-queue.ts";
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
      const granted = nextGrant(state, modelId);
      if (granted === undefined) break;
      const { waiter, neuron } = granted;
      const queue = state.queues.get(modelId);
      if (queue === undefined) break;
      state = withInFlight(
        withQueue(state, modelId, withGranted(queue, waiter)),
        { neuron, modelId },
        {
          by: 1,
          atMs,
        },
      );
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
): { readonly waiter: Waiter; readonly neuron: string } | undefined {
  const queue = state.queues.get(modelId);
  if (queue === undefined) return undefined;
  const replicas = replicasOf(state, modelId);
  const withRoom = replicas
    .map((replica) => ({ replica, full: fullness(state, replica) }))
    .filter(({ full }) => full < 1)
    .sort((left, right) => left.full - right.full)
    .map(({ replica }) => replica);
  if (withRoom.length === 0) return undefined;
  for (const waiter of inOrder(queue)) {
    const suits = suitableFor(waiter, replicas);
    const replica = withRoom.find(suits);
    if (replica !== undefined) return { waiter, neuron: replica.neuron.name };
  }
  return undefined;
}

/**
 * A copy that has just failed a request has the most room, since it failed all of them: while another one serves,
 * the request waits for that.
 */
function suitableFor(
  { avoid, excluded }: Waiter,
  replicas: readonly Replica[],
): (replica: Replica) => boolean {
  const isAlive = ({ neuron }: Replica) => !excluded.has(neuron.name);
  const isTrusted = (replica: Replica) => isAlive(replica) && !avoid.has(replica.neuron.name);
  return avoid.size > 0 && replicas.some(isTrusted) ? isTrusted : isAlive;
}
