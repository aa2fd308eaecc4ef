import { by } from "../../core/order.ts";
import { desiredModels } from "../intent/desired-models.ts";
import type { Placement, PlacementInput, UnknownCopies } from "./board/placement.ts";
import { placeModels } from "./place-models.ts";
import { judgeCopies } from "../intent/present-copies.ts";
import { silentNeurons } from "./board/silent-neurons.ts";

/*
 * A copy that is not seen may be on a neuron that does not answer, serving all the while. It is loaded again where memory
 * is free, for the neuron may be gone for good; but nothing that is seen to serve has to leave or move for it, for the
 * neuron may be back in a moment. Such copies are withheld from placement, and the plan calls them unknown.
 */
export function placeWithoutDoubt(input: PlacementInput): Placement {
  let current = input;
  let placement = placeModels(input);
  let withheld: readonly UnknownCopies[] = [];
  // Each round withholds a copy more, so there is a last one.
  for (;;) {
    const more = doubtfulCopies(current, placement, withheld);
    if (more.length === 0) return { ...placement, unknown: joinUnknown(placement.unknown, withheld) };
    withheld = joinUnknown(withheld, more);
    current = withFewer(current, more);
    placement = placeModels(current);
  }
}

/** Copies for which something has to leave or move, and that may be on a neuron that does not answer. */
function doubtfulCopies(
  input: PlacementInput,
  placement: Placement,
  withheld: readonly UnknownCopies[],
): UnknownCopies[] {
  const beneficiaries = new Set(placement.displaced.map(({ inFavourOf }) => inFavourOf));
  return [...beneficiaries].flatMap((modelId) => {
    const model = input.desired.get(modelId);
    if (model === undefined) return [];
    const neurons = silentNeurons(input, model);
    const claimed = [...placement.unknown, ...withheld]
      .filter((row) => row.modelId === modelId)
      .reduce((total, row) => total + row.replicas, 0);
    const fresh = placement.assignments.filter(
      (copy) => copy.modelId === modelId && copy.status === "new",
    ).length;
    const replicas = Math.min(fresh, neurons.length - claimed);
    return replicas > 0 ? [{ modelId, replicas, neurons }] : [];
  });
}

/** The same question with fewer copies wanted. */
function withFewer(input: PlacementInput, copies: readonly UnknownCopies[]): PlacementInput {
  const fewer = new Map(copies.map(({ modelId, replicas }) => [modelId, replicas]));
  const models = input.fleet.models.map((block) => ({
    ...block,
    replicas: block.replicas - (fewer.get(block.id) ?? 0),
  }));
  const fleet = { ...input.fleet, models };
  const desired = desiredModels(fleet, input.observed);
  return { ...input, fleet, desired, copies: judgeCopies(fleet, input.observed, desired) };
}

/** One row for each model. */
function joinUnknown(...lists: readonly (readonly UnknownCopies[])[]): UnknownCopies[] {
  const rows = new Map<string, UnknownCopies>();
  for (const row of lists.flat()) {
    const earlier = rows.get(row.modelId)?.replicas ?? 0;
    rows.set(row.modelId, { ...row, replicas: earlier + row.replicas });
  }
  return [...rows.values()].toSorted(by(({ modelId }) => modelId));
}
