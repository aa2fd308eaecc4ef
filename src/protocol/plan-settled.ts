import type { PlanDocument } from "./plan-document.ts";

/** Of a fleet of which no neuron answers nothing is known, however little it declares. */
export const isSeen = ({ neurons }: Pick<PlanDocument, "neurons">): boolean =>
  neurons.length === 0 || neurons.some(({ reachable }) => reachable);

/** Nothing unplaced, unknown or deferred among what the plan is about: `cortex apply` fails otherwise. */
export const isSettled = (plan: PlanDocument): boolean =>
  plan.unplaced.length + plan.unknown.length + plan.deferred.length === 0 && isSeen(plan);

/**
 * The fleet is as declared already: with `--detailed-exitcode` the exit code of `cortex plan` says so. A setting that
 * differs from the base's, or from what the gateway serves, is a change like any other.
 */
export const leavesAsDeclared = (plan: PlanDocument): boolean =>
  plan.changes.length + plan.declaration.changes.length === 0 && isSettled(plan);
