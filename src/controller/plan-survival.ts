import type { Fleet } from "../fleet/fleet-schema.ts";
import type { Survival } from "../protocol/plan-document.ts";
import { desiredModels, type DesiredModel } from "./desired-models.ts";
import { reachableNeurons, type ObservedFleet } from "./observed-fleet.ts";
import { placeModels } from "./placement.ts";
import { judgeCopies } from "./present-copies.ts";

/** Neurons times declared copies up to which every neuron's death is played through. */
const LARGEST_GAME = 20_000;

/**
 * What is left when one neuron dies, for each neuron that answers: all declared copies are placed again on the others,
 * as `cortex apply` would do with the neuron's block gone. `after` is the fleet as the plan leaves it.
 */
export function survivalOf(fleet: Fleet, after: ObservedFleet): Survival {
  const neurons = reachableNeurons(after);
  const copies = fleet.models.reduce((total, { replicas }) => total + replicas, 0);
  if (copies === 0) return { neurons: [], remark: null };
  if (neurons.length * copies > LARGEST_GAME) {
    const remark = `not computed: ${neurons.length} neurons times ${copies} declared copies would take too long`;
    return { neurons: null, remark };
  }
  const desired = desiredModels(fleet, after);
  const whole = copiesPlaced(fleet, after, desired);
  const rows = neurons.map(({ name }) => name).toSorted();
  return { neurons: rows.map((name) => deathOf(name, { fleet, after, desired, whole })), remark: null };
}

interface Game {
  readonly fleet: Fleet;
  readonly after: ObservedFleet;
  readonly desired: ReadonlyMap<string, DesiredModel>;
  readonly whole: ReadonlyMap<string, number>;
}

function deathOf(name: string, game: Game): NonNullable<Survival["neurons"]>[number] {
  const fleet = { ...game.fleet, neurons: game.fleet.neurons.filter((block) => block.name !== name) };
  const rest = { ...game.after, neurons: game.after.neurons.filter((neuron) => neuron.name !== name) };
  const placed = copiesPlaced(fleet, rest, game.desired);
  const serving = loadedCopies(rest);
  const declared = fleet.models.filter(({ replicas }) => replicas > 0).map(({ id }) => id);
  const had = (id: string): number => game.whole.get(id) ?? 0;
  const has = (id: string): number => placed.get(id) ?? 0;
  const lost = declared.filter((id) => had(id) > 0 && has(id) === 0);
  const reduced = declared.filter((id) => has(id) > 0 && has(id) < had(id));
  const before = loadedCopies(game.after);
  const reloaded = declared.filter((id) => has(id) > 0 && before.has(id) && !serving.has(id));
  return { neuron: name, lost: lost.toSorted(), reduced: reduced.toSorted(), reloaded: reloaded.toSorted() };
}

/** Copies per model, those that may be on silent neurons included. */
function copiesPlaced(
  fleet: Fleet,
  observed: ObservedFleet,
  desired: ReadonlyMap<string, DesiredModel>,
): Map<string, number> {
  const copies = judgeCopies(fleet, observed, desired);
  const placement = placeModels({ fleet, observed, desired, copies, options: { explain: false } });
  const count = new Map<string, number>();
  for (const { modelId } of placement.assignments) count.set(modelId, (count.get(modelId) ?? 0) + 1);
  for (const { model_id, replicas } of placement.unknown)
    count.set(model_id, (count.get(model_id) ?? 0) + replicas);
  return count;
}

const loadedCopies = (observed: ObservedFleet): Set<string> =>
  new Set(reachableNeurons(observed).flatMap(({ models }) => models.map(({ id }) => id)));
