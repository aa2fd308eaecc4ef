import type { FleetSnapshot } from "../../protocol/fleet-snapshot.ts";
import type { PlanDocument } from "../../protocol/plan-document.ts";
import { verifyAvailability } from "./availability.ts";
import type { VerifiedPlan } from "./findings.ts";
import { verifyClaims } from "./claims.ts";
import { verifyDeclaration } from "./declaration.ts";
import { verifyMemory } from "./memory.ts";
import { PlanIndex } from "./plan-index.ts";
import { verifyResidency } from "./residency.ts";
import { verifyRules } from "./rules.ts";
import { verifySchedule } from "./schedule.ts";
import { verifySnapshot } from "./snapshot.ts";
import { verifyStructure } from "./structure.ts";

/*
 * A second opinion on a plan. It reads the document and, when there is one, the snapshot that the plan was made from,
 * and works out anew whether the plan may be carried out: memory after every step, pins, protection, one copy per
 * neuron, every declared copy accounted for, and every figure that follows from others. It shares the schemas with the planner and not a line of code, so that
 * one mistake cannot hide behind the same mistake; an import rule keeps it that way.
 */

/** Everything wrong with the plan, in the order of the checks; without a snapshot the plan's own record is believed. */
export function verifyPlan(plan: PlanDocument, snapshot?: FleetSnapshot): VerifiedPlan {
  const index = new PlanIndex(plan);
  const parts = [
    verifyStructure(index),
    ...(snapshot === undefined ? [] : [verifySnapshot(plan, snapshot)]),
    verifyMemory(index),
    verifyResidency(index),
    verifyRules(index),
    verifyAvailability(index),
    verifySchedule(plan),
    verifyClaims(index),
    verifyDeclaration(plan),
  ];
  return {
    findings: parts.flatMap(({ findings }) => findings),
    checked: parts.reduce((total, { checked }) => total + checked, 0),
  };
}
