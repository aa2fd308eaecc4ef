import type { PlanDocument } from "../../protocol/plan-document.ts";
import { drawPlan } from "./draw-plan.ts";
import { encodePlan } from "./encode-plan.ts";
import type { PlanInput } from "./plan-input.ts";

/** Everything that differs between the fleet files and the fleet, as the document that is shown, saved and applied. */
export const planFleet = (input: PlanInput): PlanDocument => encodePlan(drawPlan(input));
