import type { FleetState } from "../../protocol/gateway-api.ts";
import { modelsOf, neuronsOf, selectedKey } from "./listed-rows.ts";
import type { Change, TopState } from "./top-state.ts";

/** Neuron or model that keys are about: of the page on top, else of the focused pane. */
export function subjectOf(state: TopState): { readonly neuron?: string; readonly model?: string } {
  for (const page of state.pages.toReversed()) {
    if (page.kind === "neuron") return { neuron: page.name };
    if (page.kind === "model") return { model: page.id };
  }
  const key = selectedKey(state, state.focus);
  if (key === null) return {};
  if (state.focus === "neurons") return { neuron: key };
  return state.focus === "models" ? { model: key } : {};
}

/** What `d`, `l` and `u` may do now, the likeliest first; in words where that is nothing. */
export function changesFor(state: TopState, key: "d" | "l" | "u"): readonly Change[] | string {
  const { fleet } = state;
  if (fleet === null) return "nothing is known of the fleet yet";
  const { neuron, model } = subjectOf(state);
  if (key === "d")
    return neuron === undefined ? "d drains a neuron: choose one first" : drains(fleet, neuron);
  if (key === "l") return model === undefined ? "l loads a model: choose one first" : loads(fleet, model);
  return unloads(fleet, { neuron, model });
}

function drains(fleet: FleetState, name: string): readonly Change[] | string {
  const state = neuronsOf(fleet).find((row) => row.name === name)?.state;
  if (state === undefined || state === "down" || state === "unknown") return `${name} does not answer`;
  return [{ kind: state === "draining" ? "resume" : "drain", neuron: name }];
}

const freeMb = (devices: readonly { readonly freeMb: number }[]): number =>
  devices.reduce((sum, device) => sum + device.freeMb, 0);

/** Where there is most room, first. */
function loads(fleet: FleetState, id: string): readonly Change[] | string {
  if (!fleet.declared.models.some((block) => block.id === id))
    return `${id} is not declared: nobody knows where its file is`;
  const holding = new Set(
    modelsOf(fleet)
      .find((row) => row.id === id)
      ?.copies.map(({ neuron }) => neuron),
  );
  const rooms = neuronsOf(fleet)
    .filter(({ name, state }) => state === "ready" && !holding.has(name))
    .toSorted((one, other) => freeMb(other.devices) - freeMb(one.devices));
  if (rooms.length === 0) return `no neuron is ready for ${id} that does not hold it already`;
  return rooms.map(({ name }) => ({ kind: "load", model: id, neuron: name }));
}

/** Copies of the model, or the copies on the neuron. */
function unloads(
  fleet: FleetState,
  { neuron, model }: { readonly neuron?: string | undefined; readonly model?: string | undefined },
): readonly Change[] | string {
  if (neuron === undefined && model === undefined)
    return "u unloads a copy: choose a model or a neuron first";
  const found = fleet.neurons
    .filter(({ name, health }) => health === "healthy" && (neuron === undefined || name === neuron))
    .flatMap(({ name, models }) =>
      models
        .filter(({ id, status }) => status === "loaded" && (model === undefined || id === model))
        .map(({ id }): Change => ({ kind: "unload", model: id, neuron: name })),
    );
  return found.length === 0 ? `nothing of ${model ?? neuron ?? ""} is loaded` : found;
}
