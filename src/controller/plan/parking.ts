import type { Fleet } from "../../fleet/schema/fleet-schema.ts";
import type { DesiredModel } from "../intent/desired-models.ts";
import { eligibleDevices } from "../observe/device-memory.ts";
import { reachableNeurons, type ObservedFleet } from "../observe/observed-fleet.ts";
import { loadDraft, type LoadPlace } from "./diff.ts";
import { identify, type Draft, type ParkingOption, type ParkingPlace } from "../schedule/draft.ts";
import { loadHistory, predictUnload, type LoadHistory } from "../schedule/load-duration.ts";

/**
 * Where models that move could stand for a while. Only places that the block allows count: a pin is kept even for a
 * minute, because the file may be nowhere else. Models that need several devices, or whose size is unknown, are not parked.
 */
export function parkingOptions(
  drafts: readonly Draft[],
  context: {
    readonly fleet: Fleet;
    readonly observed: ObservedFleet;
    readonly desired: ReadonlyMap<string, DesiredModel>;
  },
): ReadonlyMap<string, ParkingOption> {
  const moving = new Set(
    drafts.filter(({ change }) => change.kind === "unload").map(({ change }) => change.modelId),
  );
  const history = loadHistory(context.observed);
  const options = new Map<string, ParkingOption>();
  for (const modelId of moving) {
    const model = context.desired.get(modelId);
    const option = model === undefined ? undefined : parkingOption(model, { ...context, history });
    if (option !== undefined) options.set(modelId, option);
  }
  return options;
}

function parkingOption(
  model: DesiredModel,
  {
    fleet,
    observed,
    history,
  }: { readonly fleet: Fleet; readonly observed: ObservedFleet; readonly history: LoadHistory },
): ParkingOption | undefined {
  const { mib } = model.need;
  if (mib === undefined || model.floor.minDevices !== 1 || model.block.replicas === 0) return undefined;
  const { pinned_on: pins, harness } = model.block;
  // Every neuron is asked, and few models are ever parked.
  const places = (): ParkingPlace[] => {
    const blocks = new Map(fleet.neurons.map((block) => [block.name, block]));
    return reachableNeurons(observed)
      .filter(
        ({ name, health, discovery }) =>
          blocks.get(name)?.drain === false &&
          (pins.length === 0 || pins.includes(name)) &&
          health.status === "ok" &&
          discovery.harnesses.includes(harness),
      )
      .map((neuron) => ({
        neuron: neuron.name,
        devices: eligibleDevices(neuron, model.floor).map((device) => device.index),
      }));
  };
  const draftsOn = ({ neuron, device }: { readonly neuron: string; readonly device: number }) =>
    parkedDrafts({ model, neuron, shares: new Map([[device, mib]]), history });
  return { mib, places, draftsOn };
}

const PARKED = {
  role: "parks",
  reason: "parked",
  detail: "serves from here until its own place is free, so that nothing is down meanwhile",
} as const;

function parkedDrafts(at: LoadPlace): { readonly load: Draft; readonly unload: Draft } {
  const load = loadDraft(at, PARKED);
  const unload: Draft = {
    ...load,
    role: "ends_parking",
    frees: at.shares,
    takes: new Map(),
    change: {
      ...load.change,
      ...identify({ role: "ends_parking", modelId: load.change.modelId, neuron: at.neuron }),
      reason: "parking_ended",
      detail: "it serves from its own place again",
      // A copy that this plan put here needs nobody's consent to leave.
      isProtected: false,
      beforeMib: load.change.afterMib,
      afterMib: 0,
      duration: predictUnload({ modelId: load.change.modelId, neuron: at.neuron }, 0, at.history),
      spec: null,
    },
  };
  return { load, unload };
}
