import type { PlanChange, PlanDocument } from "../../protocol/plan-document.ts";

/** Something that is wrong with a plan. */
export interface PlanFinding {
  /** Stable name of the check. */
  readonly check:
    | "digest"
    | "structure"
    | "order"
    | "flags"
    | "snapshot"
    | "capacity"
    | "memory_figures"
    | "one_copy"
    | "untouchable"
    | "placement_rules"
    | "settings"
    | "protect"
    | "accounting"
    | "availability"
    | "schedule";
  /** A row's id, a neuron, a model, or the document. */
  readonly where: string;
  readonly message: string;
}

export interface VerifiedPlan {
  readonly findings: readonly PlanFinding[];
  /** How many single facts were looked at. */
  readonly checked: number;
}

/** Collects what does not hold, and counts what was asked. */
export class Findings implements VerifiedPlan {
  readonly findings: PlanFinding[] = [];
  checked = 0;

  expect(
    holds: boolean,
    check: PlanFinding["check"],
    at: { readonly where: string; readonly message: string },
  ): void {
    this.checked += 1;
    if (!holds) this.findings.push({ check, ...at });
  }
}

/** For each row, every row that must have succeeded before it starts, however indirectly. */
export function certainBefore(plan: PlanDocument): ReadonlyMap<string, ReadonlySet<string>> {
  const closures = new Map<string, Set<string>>();
  for (const change of plan.changes) {
    const closure = new Set<string>();
    for (const id of change.depends_on) {
      closure.add(id);
      for (const earlier of closures.get(id) ?? []) closure.add(earlier);
    }
    closures.set(change.id, closure);
  }
  return closures;
}

export const takesCopyDown = (change: PlanChange): boolean => change.actions.includes("unload");
export const bringsCopyUp = (change: PlanChange): boolean => change.actions.includes("load");
