import { applyPlan, type ApplyDeps } from "../../../src/controller/apply/io/apply-plan.ts";
import { observeFleet } from "../../../src/controller/observe/io/observe-fleet.ts";
import type { Fleet } from "../../../src/fleet/schema/fleet-schema.ts";
import type { ApplyEvent, ApplyResult } from "../../../src/protocol/apply-events.ts";
import type { PlanDocument } from "../../../src/protocol/plan-document.ts";
import { HurriedClock } from "../../support/hurried-clock.ts";
import { ScriptedNeuron } from "../../support/neuron/scripted-neuron.ts";
import { fleetFromToml, observedNeuron, plan, type NeuronFacts } from "../observed-fleet-builders.ts";

export const model = (id: string, line = ""): string =>
  `[[models]]\nid = "${id}"\nreplicas = 1\nvram_mb = 4000\n${line}\n`;

/** A fleet on scripted neurons, and the plan for it. */
export interface Bench {
  readonly fleet: Fleet;
  readonly plan: PlanDocument;
  readonly neurons: ReadonlyMap<string, ScriptedNeuron>;
  readonly clock: HurriedClock;
  readonly events: ApplyEvent[];
  apply(deps?: Partial<ApplyDeps>): Promise<ApplyResult>;
  replan(): Promise<PlanDocument>;
  neuron(name: string): ScriptedNeuron;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function bench(
  models: string,
  facts: Readonly<Record<string, NeuronFacts & { readonly extra?: string }>>,
): Promise<Bench> {
  const neurons = new Map<string, ScriptedNeuron>();
  for (const [name, neuronFacts] of Object.entries(facts))
    neurons.set(name, await ScriptedNeuron.start(observedNeuron(name, neuronFacts)));
  const declared = fleetFromToml(
    models,
    Object.entries(facts).map(([name, { extra }]) => [name, extra ?? ""] as const),
  );
  const fleet: Fleet = {
    ...declared,
    neurons: declared.neurons.map((block) => ({
      ...block,
      endpoint: neurons.get(block.name)?.endpoint ?? "",
    })),
  };
  const clock = new HurriedClock();
  const events: ApplyEvent[] = [];
  const replan = async () => plan(fleet, await observeFleet(fleet, { clock }));
  const made = await replan();
  return {
    fleet,
    plan: made,
    neurons,
    clock,
    events,
    replan,
    apply: (deps = {}) => applyPlan(made, { clock, onEvent: (event) => void events.push(event), ...deps }),
    neuron: (name) => {
      const found = neurons.get(name);
      if (found === undefined) throw new Error(name);
      return found;
    },
    async [Symbol.asyncDispose]() {
      for (const neuron of neurons.values()) await neuron[Symbol.asyncDispose]();
    },
  };
}

export const stepsOf = (rows: ApplyResult["applied"]): string[] => rows.map(({ step }) => step);
