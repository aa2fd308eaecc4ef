import { CortexError } from "../../core/errors.ts";
import type { PlanDocument } from "../../protocol/plan-document.ts";
import { exceedsLimit } from "../plan/unload-guard.ts";
import { verifyPlan } from "../verify/verify-plan.ts";

/** Findings that are told in the message; `details` has all. */
const MOST_FINDINGS = 3;

/**
 * What is looked at before anything is sent: the plan is sound by the check that shares no code with the planner, so a
 * file that was edited is noticed, and it does not unload more than it may. Throws `plan_refused` or `mass_unload`.
 */
export function checkBeforeApply(
  plan: PlanDocument,
  options: { readonly maxUnloadPercent?: number | undefined } = {},
): void {
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
  const guard = plan.unload_guard;
  const limit = options.maxUnloadPercent ?? guard.limit_percent;
  if (!exceedsLimit({ copiesLost: guard.copies_lost, percent: guard.percent }, limit)) return;
  const message = `the plan takes away ${guard.copies_lost} of ${guard.copies_loaded} loaded copies (${guard.percent} %), and ${limit} % is the limit`;
  throw new CortexError("mass_unload", message, {
    details: { ...guard },
    next: `if that is meant: --max-unload ${guard.percent}`,
  });
}
