import { loadedByCortex, type DesiredModel } from "./desired-models.ts";
import { foreignMemory, residentShares, type NeuronRoom, type Shares, type Tenant } from "./device-room.ts";
import { reachableNeurons, type ObservedFleet } from "./observed-fleet.ts";
import type { JudgedCopy } from "./present-copies.ts";

/** Every neuron that answers, with those of its models that stay unless they are displaced. */
export function roomsOf(observed: ObservedFleet, copies: readonly JudgedCopy[]): Map<string, NeuronRoom> {
  return new Map(
    reachableNeurons(observed).map((neuron) => {
      const shares = residentShares(neuron);
      const tenants = copies
        .filter((copy) => copy.neuron.name === neuron.name)
        .flatMap((copy) => presentTenant(copy, shares.get(copy.resident.id) ?? new Map<number, number>()));
      return [neuron.name, { neuron, foreign: foreignMemory(neuron), tenants }];
    }),
  );
}

function presentTenant(copy: JudgedCopy, shares: Shares): Tenant[] {
  const rank = rankOf(copy);
  if (rank === undefined) return [];
  return [
    {
      modelId: copy.resident.id,
      priority: copy.model?.priority ?? 0,
      rank,
      lastUsedMs: copy.resident.last_used_ms ?? 0,
      shares,
    },
  ];
}

function rankOf({ standing, resident, model }: JudgedCopy): Tenant["rank"] | undefined {
  if (standing.kind === "leaves" || standing.kind === "ending") return undefined;
  if (standing.kind === "left_alone" || model?.block.protect === true) return "fixed";
  // A declared copy is cortex's to manage, whoever loaded it; any other copy loaded by hand is not.
  if (standing.kind === "kept") return "resident";
  return loadedByCortex(resident) ? "on_demand" : "fixed";
}

/** A copy that the plan places. */
export const placedTenant = (model: DesiredModel, shares: Shares): Tenant => ({
  modelId: model.block.id,
  priority: model.priority,
  rank: model.block.protect ? "fixed" : "resident",
  lastUsedMs: 0,
  shares,
});
