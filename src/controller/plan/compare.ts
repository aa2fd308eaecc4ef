import { specHash } from "../../protocol/spec-hash.ts";
import { copiesShort } from "../place/explain/refusals.ts";
import type { Change } from "../schedule/draft.ts";
import type { FleetPlan } from "./fleet-plan.ts";

/**
 * What a branch changes, apart from what is pending anyway: both plans start from the same observation, so a row that
 * the base has too is not this branch's doing, and a row that only the base has is avoided by it.
 */
export function comparePlans(branch: FleetPlan, base: FleetPlan): FleetPlan {
  const pending = new Set(base.rows.map(identityOf));
  const made = new Set(branch.rows.map(identityOf));
  const missing = new Map(base.unplaced.map((unplaced) => [unplaced.modelId, copiesShort(unplaced)]));
  return {
    ...branch,
    rows: branch.rows.map((row) => ({
      ...row,
      causedBy: pending.has(identityOf(row)) ? "pending" : "branch",
    })),
    comparison: {
      revision: base.revision,
      fleetDigest: base.fleetDigest,
      avoided: base.rows
        .filter((row) => !made.has(identityOf(row)))
        .map(({ id, detail }) => ({ id, detail })),
      newlyUnplaced: branch.unplaced
        .filter((unplaced) => copiesShort(unplaced) > (missing.get(unplaced.modelId) ?? 0))
        .map(({ modelId }) => modelId),
    },
  };
}

/** The same model to the same devices in the same settings is the same change, whatever the reason. */
const identityOf = (change: Change): string =>
  [change.id, change.spec === null ? "" : specHash(change.spec), change.devices.join(",")].join(" ");
