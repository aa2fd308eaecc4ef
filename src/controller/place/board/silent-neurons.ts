import { compareText } from "../../../core/order.ts";
import type { NeuronBlock } from "../../../fleet/schema/fleet-schema.ts";
import type { DesiredModel } from "../../intent/desired-models.ts";
import { reachableNeurons } from "../../observe/observed-fleet.ts";
import type { PlacementInput } from "./placement.ts";

/** Declared neurons that did not answer and are not given up. */
export function silentBlocks(input: Pick<PlacementInput, "fleet" | "observed">): NeuronBlock[] {
  const answering = new Set(reachableNeurons(input.observed).map(({ name }) => name));
  return input.fleet.neurons.filter(({ name, drain }) => !drain && !answering.has(name));
}

/** Those of the neurons that the pins of a model allow, by name. */
export const allowedNames = (
  blocks: readonly NeuronBlock[],
  { block: { pinned_on: pins } }: DesiredModel,
): string[] =>
  blocks
    .filter(({ name }) => pins.length === 0 || pins.includes(name))
    .map(({ name }) => name)
    .toSorted(compareText);

/** Declared neurons that did not answer and could hold a copy, by name. */
export const silentNeurons = (
  input: Pick<PlacementInput, "fleet" | "observed">,
  model: DesiredModel,
): string[] => allowedNames(silentBlocks(input), model);
