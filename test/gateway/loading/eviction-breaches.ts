import type { Scheduler, SchedulerEffect } from "../../../src/gateway/loading/scheduler-state.ts";
import type { ModelSketch } from "./simulated-neuron.ts";

/** What is wrong with who is to give way to a load. */
export function evictionBreaches(
  { modelId, neuron, evict }: Extract<SchedulerEffect, { kind: "start-load" }>,
  { models, state }: { readonly models: ReadonlyMap<string, ModelSketch>; readonly state: Scheduler },
): readonly string[] {
  const incoming = models.get(modelId);
  return evict.flatMap((name) => {
    const victim = models.get(name);
    const seen = state.view.neurons.get(neuron)?.models.get(name);
    return [
      ...(seen?.origin.kind === "request" ? [] : [`${name} was not loaded by a request, and is to leave`]),
      ...((victim?.replicas ?? 0) === 0 ? [] : [`${name} is declared, and is to leave`]),
      ...((victim?.priority ?? 100) <= (incoming?.priority ?? 100) ? [] : [`${name} is of a higher class`]),
    ];
  });
}
