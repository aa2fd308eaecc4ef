import { CortexError } from "../../core/errors.ts";
import type { PlanDocument } from "../../protocol/plan-document.ts";
import { exceedsLimit } from "../plan/unload-guard.ts";
import { verifyPlan } from "../verify/verify-plan.ts";

/** What somebody has agreed to lose. */
export interface UnloadConsent {
  /** Most of what is loaded that may be taken away, where that is less than the plan's own limit. */
  readonly maxUnloadPercent?: number | undefined;
  /** The copies that the plan takes away, counted by whoever agrees: another number is no consent to this plan. */
  readonly allowMassUnload?: number | undefined;
}

/** Findings that are told in the message; `details` has all. */
const MOST_FINDINGS = 3;

/**
 * What is looked at before anything is sent: the plan is sound by the check that shares no code with the planner, so a
 * file that was edited is noticed, and it does not unload more than it may. Throws `plan_refused` or `mass_unload`.
 */
export function checkBeforeApply(plan: PlanDocument, options: UnloadConsent = {}): void {
  if (plan.errored) {
    throw new CortexError("plan_refused", `the plan is not sound: ${plan.problems.join("; ")}`);
  }
  const { findings } = verifyPlan(plan);
  if (findings.length > 0) {
    const told = findings.slice(0, MOST_FINDINGS).map(({ where, message }) => `${where} ${message}`);
    const rest = findings.length - told.length;
    const more = rest === 0 ? "" : `, and ${rest} more`;
    throw new CortexError("plan_refused", `the plan is not sound: ${told.join("; ")}${more}`, {
      details: { findings },
    });
  }
  checkUnloads(plan, options);
}

/**
 * Throws `mass_unload` unless what is lost is little, or somebody has agreed to just that. A limit that somebody raises for
 * this once is no consent to any plan: beyond what the files allow the copies have to be counted all the same.
 */
function checkUnloads(
  { unload_guard: guard, declared }: Pick<PlanDocument, "unload_guard" | "declared">,
  { maxUnloadPercent, allowMassUnload: said }: UnloadConsent,
): void {
  const limit = Math.min(maxUnloadPercent ?? guard.limit_percent, guard.limit_percent);
  // Files that declare nothing are more often a render that failed than a wish.
  const isEmpty = declared.length === 0 && guard.copies_lost > 0;
  const exceeds = exceedsLimit({ copiesLost: guard.copies_lost, percent: guard.percent }, limit);
  if ((!isEmpty && !exceeds) || said === guard.copies_lost) return;
  const why = isEmpty ? "the files declare no model at all" : `${limit} % is the limit`;
  const other = said === undefined ? "" : `; --allow-mass-unload says ${said}`;
  const message = `the plan takes away ${guard.copies_lost} of ${guard.copies_loaded} loaded copies (${guard.percent} %), and ${why}${other}`;
  throw new CortexError("mass_unload", message, {
    details: { ...guard },
    next: `if that is meant: --allow-mass-unload ${guard.copies_lost}`,
  });
}
