import { compareText } from "../../core/order.ts";
import type { Fleet, NeuronBlock } from "../../fleet/schema/fleet-schema.ts";
import type { PlanReason } from "../../protocol/plan-document.ts";
import type { ResidentModel } from "../../protocol/neuron-api.ts";
import { loadedByCortex, type DesiredModel } from "./desired-models.ts";
import { eligibleDevices } from "../observe/device-memory.ts";
import { reachableNeurons, type ObservedFleet, type ReachableNeuron } from "../observe/observed-fleet.ts";

/** One loaded model on one neuron. */
export interface PresentCopy {
  readonly neuron: ReachableNeuron;
  readonly resident: ResidentModel;
  /** Undefined when no block declares the model. */
  readonly model: DesiredModel | undefined;
}

/** What the fleet files say about a loaded model. */
export type Standing =
  | { readonly kind: "kept"; readonly model: DesiredModel; readonly current: boolean }
  | { readonly kind: "on_demand"; readonly model: DesiredModel }
  | { readonly kind: "leaves"; readonly reason: PlanReason; readonly detail: string }
  | { readonly kind: "left_alone"; readonly reason: string }
  /** On its way out already: neither a copy nor in the way. */
  | { readonly kind: "ending" };

export interface JudgedCopy extends PresentCopy {
  readonly standing: Standing;
}

/**
 * Judges every loaded model. Present copies keep their place (a plan never moves what may stay); of more copies than
 * declared, those stay that a person loaded (they would stay anyway), that have the declared settings, are ready, and
 * were used last.
 */
export function judgeCopies(
  fleet: Fleet,
  observed: ObservedFleet,
  desired: ReadonlyMap<string, DesiredModel>,
): JudgedCopy[] {
  const blocks = new Map(fleet.neurons.map((block) => [block.name, block]));
  const judged = reachableNeurons(observed).flatMap((neuron) =>
    neuron.models.map((resident) => {
      const copy = { neuron, resident, model: desired.get(resident.id) };
      return { ...copy, standing: standingOf(copy, blocks.get(neuron.name)) };
    }),
  );
  const byModel = Map.groupBy(judged, (copy) => copy.resident.id);
  const surplus = new Set(
    fleet.models.flatMap((block) => surplusOf(block.replicas, byModel.get(block.id) ?? [])),
  );
  return judged.map((copy) => {
    if (!surplus.has(copy)) return copy;
    const replicas = copy.model?.block.replicas ?? 0;
    const others = replicas === 1 ? "another copy stays" : `${replicas} other copies stay`;
    const detail = `replicas = ${replicas}, and ${others}`;
    return { ...copy, standing: leave(copy, "replicas_lowered", detail) };
  });
}

function surplusOf(replicas: number, copies: readonly JudgedCopy[]): JudgedCopy[] {
  return copies
    .filter((copy) => copy.standing.kind === "kept")
    .sort(byWorthKeeping)
    .slice(replicas);
}

function byWorthKeeping(left: JudgedCopy, right: JudgedCopy): number {
  return (
    Number(loadedByCortex(left.resident)) - Number(loadedByCortex(right.resident)) ||
    Number(isCurrent(right)) - Number(isCurrent(left)) ||
    Number(right.resident.status === "loaded") - Number(left.resident.status === "loaded") ||
    (right.resident.last_used_ms ?? 0) - (left.resident.last_used_ms ?? 0) ||
    compareText(left.neuron.name, right.neuron.name)
  );
}

const isCurrent = (copy: JudgedCopy): boolean => copy.standing.kind === "kept" && copy.standing.current;

function standingOf(copy: PresentCopy, neuron: NeuronBlock | undefined): Standing {
  const { resident, model } = copy;
  if (resident.status === "unloading") return { kind: "ending" };
  if (model === undefined) return leave(copy, "loaded_not_declared", "no [[models]] block declares it");
  if (neuron?.drain === true) return leave(copy, "neuron_drained", `${copy.neuron.name} has drain = true`);
  const current = resident.spec_hash === model.specHash;
  if (model.block.replicas === 0) {
    if (current) return { kind: "on_demand", model };
    return leave(copy, "spec_changed", "its settings changed; the next request loads it with the new ones");
  }
  const misplaced = misplacement(copy, model);
  return misplaced ?? { kind: "kept", model, current };
}

function misplacement(copy: PresentCopy, model: DesiredModel): Standing | undefined {
  const { pinned_on: pins } = model.block;
  if (pins.length > 0 && !pins.includes(copy.neuron.name)) {
    return leave(copy, "pin_changed", `pinned_on = [${pins.map((pin) => `"${pin}"`).join(", ")}]`);
  }
  const eligible = eligibleDevices(copy.neuron, model.need).map((device) => device.index);
  const stands = copy.resident.devices.every((index) => eligible.includes(index));
  if (stands && eligible.length >= model.need.minDevices) return undefined;
  const wanted = `${model.need.minDevices} device(s) of ${model.need.minDeviceVramMb} MB or more`;
  return leave(copy, "requirements_changed", `the block asks for ${wanted}`);
}

/** What a person loaded by hand is left to that person, whatever the files say. */
function leave(copy: PresentCopy, reason: PlanReason, detail: string): Standing {
  if (loadedByCortex(copy.resident)) return { kind: "leaves", reason, detail };
  return { kind: "left_alone", reason: `loaded by hand (${detail})` };
}
