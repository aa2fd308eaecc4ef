import type { PlanDocument } from "./plan-document.ts";

/** Nothing unplaced, unknown or deferred among what the plan is about: `cortex apply` fails otherwise. */
export const isSettled = (plan: PlanDocument): boolean =>
  plan.unplaced.length + plan.unknown.length + plan.deferred.length === 0;

/**
 * The fleet is as declared already: with `--detailed-exitcode` the exit code of `cortex plan` says so. A setting that
 * differs from the base's, or from what the gateway serves, is a change like any other.
 */
export const leavesAsDeclared = (plan: PlanDocument): boolean =>
  plan.changes.length + plan.declaration.changes.length === 0 && isSettled(plan);
