import type { Fleet } from "../../fleet/schema/fleet-schema.ts";
import { desiredModels, type DesiredModel } from "../intent/desired-models.ts";
import { placeWithoutDoubt } from "../place/doubtful-copies.ts";
import { reachableNeurons, type ObservedFleet } from "../observe/observed-fleet.ts";
import { judgeCopies } from "../intent/present-copies.ts";
import { fleetAfter, type FleetChange } from "./simulate.ts";

export interface Survival {
  /** Null: not computed, see `remark`. */
  readonly neurons: readonly Death[] | null;
  readonly remark: string | null;
}

/** What the death of one neuron would cost. */
interface Death {
  readonly neuron: string;
  /** Declared models of which no copy is left and none can be placed. */
  readonly lost: readonly string[];
  /** Declared models that keep fewer copies than declared. */
  readonly reduced: readonly string[];
  /** Models that are down until they are loaded again elsewhere. */
  readonly reloaded: readonly string[];
}

/** Neurons times declared copies up to which every neuron's death is played through. */
const LARGEST_GAME = 20_000;

/**
 * What is left when one neuron dies, for each neuron that answers: all declared copies are placed again on the others,
 * as `cortex apply` would do with the neuron's block gone.
 */
export function survivalOf(
  fleet: Fleet,
  { before, changes }: { readonly before: ObservedFleet; readonly changes: readonly FleetChange[] },
): Survival {
  const answering = reachableNeurons(before).length;
  const copies = fleet.models.reduce((total, { replicas }) => total + replicas, 0);
  if (copies === 0) return { neurons: [], remark: null };
  if (answering * copies > LARGEST_GAME) {
    const remark = `not computed: ${answering} neurons times ${copies} declared copies would take too long`;
    return { neurons: null, remark };
  }
  const after = fleetAfter(before, changes);
  const neurons = reachableNeurons(after);
  const desired = desiredModels(fleet, after);
  const whole = copiesPlaced(fleet, after, desired);
  const rows = neurons.map(({ name }) => name).toSorted();
  return { neurons: rows.map((name) => deathOf(name, { fleet, after, desired, whole })), remark: null };
}

interface Game {
  readonly fleet: Fleet;
  readonly after: ObservedFleet;
  readonly desired: ReadonlyMap<string, DesiredModel>;
  readonly whole: ReadonlyMap<string, PlacedCopies>;
}

function deathOf(name: string, game: Game): Death {
  const fleet = { ...game.fleet, neurons: game.fleet.neurons.filter((block) => block.name !== name) };
  const rest = { ...game.after, neurons: game.after.neurons.filter((neuron) => neuron.name !== name) };
  const placed = copiesPlaced(fleet, rest, game.desired);
  const serving = loadedCopies(rest);
  const declared = fleet.models.filter(({ replicas }) => replicas > 0).map(({ id }) => id);
  const had = (id: string): number => sum(game.whole.get(id));
  // A silent neuron is no refuge: only what may have been there before counts as there.
  const has = (id: string): number => {
    const { known = 0, unknown = 0 } = placed.get(id) ?? {};
    return known + Math.min(unknown, game.whole.get(id)?.unknown ?? 0);
  };
  const lost = declared.filter((id) => had(id) > 0 && has(id) === 0);
  const reduced = declared.filter((id) => has(id) > 0 && has(id) < had(id));
  const before = loadedCopies(game.after);
  const reloaded = declared.filter((id) => has(id) > 0 && before.has(id) && !serving.has(id));
  return { neuron: name, lost: lost.toSorted(), reduced: reduced.toSorted(), reloaded: reloaded.toSorted() };
}

/** Copies of a model that have a place, and copies that may be on neurons that do not answer. */
interface PlacedCopies {
  readonly known: number;
  readonly unknown: number;
}

const sum = ({ known, unknown }: PlacedCopies = { known: 0, unknown: 0 }): number => known + unknown;

function copiesPlaced(
  fleet: Fleet,
  observed: ObservedFleet,
  desired: ReadonlyMap<string, DesiredModel>,
): Map<string, PlacedCopies> {
  const copies = judgeCopies(fleet, observed, desired);
  const placement = placeWithoutDoubt({ fleet, observed, desired, copies, options: { explain: false } });
  const known = Map.groupBy(placement.assignments, ({ modelId }) => modelId);
  const unknown = new Map(placement.unknown.map(({ modelId, replicas }) => [modelId, replicas]));
  return new Map(
    fleet.models.map(({ id }) => [id, { known: known.get(id)?.length ?? 0, unknown: unknown.get(id) ?? 0 }]),
  );
}

const loadedCopies = (observed: ObservedFleet): Set<string> =>
  new Set(reachableNeurons(observed).flatMap(({ models }) => models.map(({ id }) => id)));
