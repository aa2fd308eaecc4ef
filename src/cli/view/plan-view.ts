import type { PlanDocument } from "../../protocol/plan-document.ts";
import { printPlanMarkdown } from "../print/print-plan-markdown.ts";
import { printPlan } from "../print/print-plan.ts";
import type { View } from "./view.ts";

export const planView = (
  plan: PlanDocument,
  { markdown }: { readonly markdown: boolean },
): View<PlanDocument> => ({
  json: plan,
  ...(markdown ? {} : { wraps: true }),
  human: (look) => (markdown ? printPlanMarkdown(plan) : printPlan(plan, look)),
});
