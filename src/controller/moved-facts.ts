import type { ModelsResponse } from "../protocol/neuron-api.ts";
import type { PlanNeuron } from "../protocol/plan-document.ts";

/** What became different on a neuron since the plan was made, in words; never empty. */
export function movedFacts(planned: PlanNeuron, now: ModelsResponse): string[] {
  const before = new Map(planned.models.map((model) => [model.model_id, model]));
  const after = new Map(now.models.map((model) => [model.id, model]));
  const facts: string[] = [];
  for (const model of planned.models) if (!after.has(model.model_id)) facts.push(`${model.model_id} is gone`);
  for (const model of now.models) {
    const earlier = before.get(model.id);
    if (earlier === undefined) facts.push(`${model.id} is ${model.status}`);
    else if (earlier.spec_hash !== model.spec_hash) facts.push(`${model.id} has other settings`);
    else if (earlier.status !== model.status)
      facts.push(`${model.id} went from ${earlier.status} to ${model.status}`);
  }
  if (facts.length > 0) return facts;
  return [`its generation went from ${planned.generation ?? "unknown"} to ${now.generation}`];
}
