import type { Fleet } from "../fleet/fleet-schema.ts";
import type { UnknownCopy } from "../protocol/plan-document.ts";
import type { DesiredModel } from "./desired-models.ts";
import type { ObservedFleet } from "./observed-fleet.ts";
import { silentNeurons } from "./placement-problem.ts";
import type { Placement } from "./placement-types.ts";

/*
 * A copy that is not seen may be on a neuron that does not answer, serving all the while. It is loaded again where memory
 * is free, for the neuron may be gone for good; but nothing that is seen to serve has to leave or move for it, for the
 * neuron may be back in a moment. Such copies are withheld from placement, and the plan calls them unknown.
 */
export function withholdDoubtful(
  world: {
    readonly fleet: Fleet;
    readonly observed: ObservedFleet;
    readonly desired: ReadonlyMap<string, DesiredModel>;
  },
  placement: Placement,
): { readonly fleet: Fleet; readonly withheld: readonly UnknownCopy[] } | undefined {
  const beneficiaries = new Set(placement.displaced.map(({ inFavourOf }) => inFavourOf));
  const withheld = [...beneficiaries].flatMap((modelId) => doubtfulOf(modelId, { ...world, placement }));
  if (withheld.length === 0) return undefined;
  const fewer = new Map(withheld.map(({ model_id, replicas }) => [model_id, replicas]));
  const models = world.fleet.models.map((block) => ({
    ...block,
    replicas: block.replicas - (fewer.get(block.id) ?? 0),
  }));
  return { fleet: { ...world.fleet, models }, withheld };
}

function doubtfulOf(
  modelId: string,
  world: Parameters<typeof withholdDoubtful>[0] & { readonly placement: Placement },
): UnknownCopy[] {
  const model = world.desired.get(modelId);
  if (model === undefined) return [];
  const neurons = silentNeurons(world, model);
  const known = world.placement.unknown.find((row) => row.model_id === modelId)?.replicas ?? 0;
  const fresh = world.placement.assignments.filter(
    (copy) => copy.modelId === modelId && copy.status === "new",
  ).length;
  const replicas = Math.min(fresh, neurons.length - known);
  return replicas > 0 ? [{ model_id: modelId, replicas, neurons }] : [];
}

/** One row for each model. */
export function joinUnknown(...lists: readonly (readonly UnknownCopy[])[]): UnknownCopy[] {
  const rows = new Map<string, UnknownCopy>();
  for (const row of lists.flat()) {
    const earlier = rows.get(row.model_id)?.replicas ?? 0;
    rows.set(row.model_id, { ...row, replicas: earlier + row.replicas });
  }
  return [...rows.values()].toSorted((left, right) => (left.model_id < right.model_id ? -1 : 1));
}
