import type { Fleet } from "../../fleet/schema/fleet-schema.ts";
import type { LoopsHeld, StatusModel, StatusNeuron, StatusReport } from "../../protocol/status-report.ts";
import type { LoadOrigin, ModelLoad, ResidentModel } from "../../protocol/neuron-api.ts";
import { foreignFleet, ownFleets } from "./foreign-copies.ts";
import { reachableNeurons, type ObservedFleet, type ObservedNeuron } from "./observed-fleet.ts";

export interface StatusInput {
  readonly fleet: Fleet;
  readonly observed: ObservedFleet;
  readonly gateway: StatusReport["gateway"];
  readonly loops?: LoopsHeld | undefined;
  /** Nobody can tell from here which repository the fleet is of: copies of its name may be its own, and may not. */
  readonly isOwnerUnknown?: boolean | undefined;
}

/** Declared and observed, side by side. */
export function statusReport(input: StatusInput): StatusReport {
  const { fleet, observed, gateway } = input;
  return {
    fleet: fleet.fleet.name,
    gateway,
    loops: input.loops ?? { hold: null, problem: null },
    neurons: observed.neurons.map((neuron) => statusNeuron(neuron, ownFleets(fleet))),
    models: statusModels(input),
  };
}

function statusNeuron(neuron: ObservedNeuron, own: readonly string[]): StatusNeuron {
  const { name, endpoint } = neuron;
  if (!neuron.reachable) {
    return {
      name,
      endpoint,
      reachable: false,
      problem: neuron.problem,
      status: null,
      devices: [],
      models: [],
    };
  }
  const { discovery, health, models } = neuron;
  const loads = new Map(health.models.map((load) => [load.id, load]));
  const readings = new Map(health.devices.map((reading) => [reading.index, reading.vram_used_mb]));
  return {
    name,
    endpoint,
    reachable: true,
    problem: discovery.cuda_unavailable_reason,
    status: health.status,
    devices: discovery.devices.map(({ index, name: deviceName, kind, vram_total_mb }) => ({
      index,
      name: deviceName,
      kind,
      vram_total_mb,
      vram_used_mb: readings.get(index) ?? null,
    })),
    models: models.map((model) => copyStatus(model, loads.get(model.id), own)),
  };
}

const copyStatus = (
  model: ResidentModel,
  load: ModelLoad | undefined,
  own: readonly string[],
): StatusNeuron["models"][number] => ({
  id: model.id,
  status: model.status,
  devices: model.devices,
  vram_used_mb: model.vram_used_mb,
  in_flight: load?.in_flight ?? 0,
  queue_depth: load?.queue_depth ?? 0,
  unservable: model.servable.ok ? null : (model.servable.detail ?? model.servable.reason ?? "cannot serve"),
  last_used_ms: model.last_used_ms,
  threads: model.threads ?? null,
  steps: model.steps ?? null,
  ...whoLoaded(model.origin, own),
});

const whoLoaded = (origin: LoadOrigin, own: readonly string[]) => ({
  fleet: origin.fleet ?? null,
  revision: origin.kind === "revision" ? (origin.ref ?? null) : null,
  uncommitted: origin.uncommitted ?? false,
  foreign: foreignFleet(origin, own) !== undefined,
});

function statusModels({ fleet, observed, isOwnerUnknown = false }: StatusInput): StatusModel[] {
  const declared = new Map(fleet.models.map((block) => [block.id, block.replicas]));
  const own = ownFleets(fleet);
  const isOwn = ({ origin }: ResidentModel): boolean => foreignFleet(origin, own) === undefined;
  const loadedOn = copiesByModel(observed, (model) => model.status === "loaded" && isOwn(model));
  const loading = copiesByModel(observed, (model) => model.status === "loading" && isOwn(model));
  const foreign = copiesByModel(observed, (model) => !isOwn(model));
  const ofThisName = copiesByModel(
    observed,
    ({ origin }) => isOwnerUnknown && origin.fleet?.startsWith(`${fleet.fleet.name}#`) === true,
  );
  const partial = observed.neurons.some((neuron) => !neuron.reachable);
  const ids = [
    ...new Set([...declared.keys(), ...loadedOn.keys(), ...loading.keys(), ...foreign.keys()]),
  ].toSorted();
  return ids.map((id) => {
    const replicas = declared.get(id) ?? null;
    const isForeign = replicas === null && !loadedOn.has(id) && !loading.has(id);
    const copies = (isForeign ? foreign : loadedOn).get(id) ?? [];
    if (isForeign) return { id, declared: null, loaded_on: copies, state: "foreign" };
    const isDoubtful = partial || ofThisName.has(id);
    const facts = { replicas, loaded: copies.length, loading: loading.has(id), isDoubtful };
    return { id, declared: replicas, loaded_on: copies, state: modelState(facts) };
  });
}

function copiesByModel(
  observed: ObservedFleet,
  counts: (model: ResidentModel) => boolean,
): Map<string, string[]> {
  const copies = new Map<string, string[]>();
  for (const neuron of reachableNeurons(observed)) {
    for (const model of neuron.models) {
      if (counts(model)) copies.set(model.id, [...(copies.get(model.id) ?? []), neuron.name]);
    }
  }
  return copies;
}

function modelState(facts: {
  readonly replicas: number | null;
  readonly loaded: number;
  readonly loading: boolean;
  readonly isDoubtful: boolean;
}): StatusModel["state"] {
  if (facts.replicas === null) return "undeclared";
  if (facts.replicas === 0) return facts.loading ? "loading" : "on_demand";
  if (facts.loaded >= facts.replicas) return "resident";
  if (facts.loading) return "loading";
  // A neuron that does not answer may well hold the copy; so may what is loaded be it.
  return facts.isDoubtful ? "unknown" : "missing";
}
