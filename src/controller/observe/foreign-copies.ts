import type { Fleet } from "../../fleet/schema/fleet-schema.ts";
import { fleetOfOrigin, type FleetOwner } from "../../fleet/fleet-owner.ts";
import type { LoadOrigin, ResidentModel } from "../../protocol/neuron-api.ts";

/** The names under which a fleet calls loaded copies its own. */
export const ownFleets = ({ fleet }: Pick<Fleet, "fleet">): string[] => [
  ...new Set([fleet.name, ...fleet.takes_over]),
];

/**
 * The fleet that had a copy loaded, where that is another one: it decides what becomes of the copy. Undefined for the
 * fleet's own, for what a person loaded, and for what a cortex loaded that did not say for whom: it counts as its own.
 */
export const foreignFleet = (origin: LoadOrigin, own: readonly string[]): string | undefined =>
  origin.fleet === undefined || origin.kind === "manual" || own.includes(origin.fleet)
    ? undefined
    : origin.fleet;

/** Copies with the fleets that had them loaded, as the owner calls these. */
export const withOwners = (
  models: readonly ResidentModel[],
  owner: FleetOwner | undefined,
): readonly ResidentModel[] =>
  owner === undefined
    ? models
    : models.map((model) => {
        const fleet = fleetOfOrigin(model.origin, owner);
        return fleet === model.origin.fleet ? model : { ...model, origin: { ...model.origin, fleet } };
      });
