import type { Device } from "../../protocol/neuron-api.ts";
import { comparableSpeeds, presumedOf } from "../routing/replica-speed.ts";
import type { NeuronView } from "../view/fleet-view.ts";
import { speedOf } from "./copy-watch.ts";
import type { Scheduler } from "./scheduler-state.ts";

/** How fast a place is for a model beside the other places in question: 0 is as fast as the fastest, or nearly so. */
export interface PlaceSpeed {
  /** By tokens a second, as answers of that model have shown there; where none has, by the kind of the devices. */
  readonly slowness: number;
  /** By the seconds that a load takes there, as the neuron has measured; where none tells, as fast as any. */
  readonly loadSlowness: number;
}

/** What differs by less is chance: other work at the time, other prompts. */
const MARKED = 1.5;

const stepsBehind = (best: number, other: number): number =>
  best <= 0 || other <= 0 ? 0 : Math.floor(Math.log(Math.max(1, best / other)) / Math.log(MARKED));

/** Of each of the neurons, in their order. */
export function placeSpeeds(
  state: Scheduler,
  modelId: string,
  neurons: readonly NeuronView[],
): readonly PlaceSpeed[] {
  const speeds = comparableSpeeds(
    neurons.map((neuron) => ({
      measured: speedOf(state, { neuron: neuron.name, modelId }),
      presumed: presumedOf(fastestKinds(neuron)),
    })),
  );
  const fastest = Math.max(...speeds);
  const loads = neurons.map((neuron) => loadSecs(neuron, modelId));
  const soonest = Math.min(...loads.flatMap((secs) => secs ?? []));
  return loads.map((secs, at) => ({
    slowness: stepsBehind(fastest, speeds[at] ?? fastest),
    loadSlowness: secs === undefined ? 0 : stepsBehind(secs, soonest),
  }));
}

/** A model goes to the processor of a machine only where there is nothing else. */
function fastestKinds({ discovery }: NeuronView): readonly Device["kind"][] {
  const kinds = (discovery?.devices ?? []).map(({ kind }) => kind);
  const others = kinds.filter((kind) => kind !== "cpu");
  return others.length === 0 ? kinds : others;
}

/** In whatever settings: those of the fleet files are the same on all neurons. */
function loadSecs({ discovery }: NeuronView, modelId: string): number | undefined {
  const known = (discovery?.facts ?? []).filter(({ model_id: id }) => id === modelId);
  return (known.find((fact) => fact.load_secs_source === "measured") ?? known.at(-1))?.load_secs;
}
