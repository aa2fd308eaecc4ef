import { specHash } from "../../protocol/spec-hash.ts";
import type { PlanChange, PlanDocument } from "../../protocol/plan-document.ts";

type Plan = Omit<PlanDocument, "digest">;

/**
 * What a branch changes, apart from what is pending anyway: both plans start from the same observation, so a row that
 * the base has too is not this branch's doing, and a row that only the base has is avoided by it.
 */
export function comparePlans(branch: Plan, base: Plan): Plan {
  const pending = new Set(base.changes.map(identityOf));
  const made = new Set(branch.changes.map(identityOf));
  const missing = new Map(base.unplaced.map((copy) => [copy.model_id, copy.missing_replicas]));
  return {
    ...branch,
    changes: branch.changes.map((change) => ({
      ...change,
      caused_by: pending.has(identityOf(change)) ? "pending" : "branch",
    })),
    comparison: {
      revision: base.revision,
      fleet_digest: base.fleet_digest,
      avoided: base.changes
        .filter((change) => !made.has(identityOf(change)))
        .map(({ id, detail }) => ({ id, detail })),
      newly_unplaced: branch.unplaced
        .filter((copy) => copy.missing_replicas > (missing.get(copy.model_id) ?? 0))
        .map(({ model_id }) => model_id),
    },
  };
}

/** The same model to the same devices in the same settings is the same change, whatever the reason. */
const identityOf = (change: PlanChange): string =>
  [change.id, change.spec === null ? "" : specHash(change.spec), change.devices.join(",")].join(" ");
