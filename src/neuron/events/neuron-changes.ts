import type { NeuronEvent, NeuronObservation } from "../../protocol/neuron-events.ts";

/**
 * The events that lead from one observation to a later one (`applyNeuronEvent` adds them up again). What is in an
 * observation is plain data, so equal texts mean equal things.
 */
export function changesBetween(before: NeuronObservation, after: NeuronObservation): readonly NeuronEvent[] {
  const { generation } = after;
  const models = differences(before.models, after.models);
  const jobs = differences(before.jobs, after.jobs);
  const residency = [
    ...models.gone.map(({ id }) => ({ kind: "model-removed", generation, model_id: id }) as const),
    ...models.changed.map((model) => ({ kind: "model-changed", generation, model }) as const),
  ];
  const risen = residency.length === 0 && generation !== before.generation;
  return [
    ...(same(before.discovery, after.discovery)
      ? []
      : [{ kind: "discovery-changed", discovery: after.discovery } as const]),
    ...(risen ? [{ kind: "generation-risen", generation } as const] : residency),
    ...jobs.changed.map((job) => ({ kind: "job-changed", job }) as const),
    ...jobs.gone.map(({ id }) => ({ kind: "job-forgotten", job_id: id }) as const),
    ...(sameHealth(before, after) ? [] : [{ kind: "health-changed", health: after.health } as const]),
  ];
}

const same = (left: unknown, right: unknown): boolean =>
  left === right || JSON.stringify(left) === JSON.stringify(right);

/** The uptime changes all the time and is no news. */
const sameHealth = (before: NeuronObservation, after: NeuronObservation): boolean =>
  same({ ...before.health, uptime_secs: 0 }, { ...after.health, uptime_secs: 0 });

function differences<Item extends { readonly id: string }>(
  before: readonly Item[],
  after: readonly Item[],
): { readonly changed: readonly Item[]; readonly gone: readonly Item[] } {
  const old = new Map(before.map((item) => [item.id, item]));
  const kept = new Set(after.map(({ id }) => id));
  return {
    changed: after.filter((item) => !same(old.get(item.id), item)),
    gone: before.filter(({ id }) => !kept.has(id)),
  };
}
