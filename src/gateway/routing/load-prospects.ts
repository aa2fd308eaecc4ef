import { CortexError } from "../../core/errors.ts";
import type { ModelBlock } from "../../fleet/schema/fleet-schema.ts";
import type { FleetIndex } from "../view/fleet-index.ts";
import type { FleetView, NeuronView } from "../view/fleet-view.ts";
import { feasibilityOf } from "./load-feasibility.ts";

/** Which neurons could load a model, and what keeps the others from it. */
export interface LoadProspects {
  readonly able: readonly NeuronView[];
  readonly impossible: readonly { readonly neuron: string; readonly reason: string }[];
  /** Might hold it, but take no work now. */
  readonly troubled: readonly { readonly neuron: string; readonly reason: string }[];
  readonly healthy: number;
}

export interface SeenForLoad {
  readonly view: FleetView;
  /** Neurons found dead, whatever the view says. */
  readonly excluded: ReadonlySet<string>;
  /** What a neuron has found the model to take. */
  readonly learntMib?: number | undefined;
}

export function loadProspects(
  block: ModelBlock,
  fleet: FleetIndex,
  { view, excluded, learntMib }: SeenForLoad,
): LoadProspects {
  const able: NeuronView[] = [];
  const impossible: LoadProspects["impossible"][number][] = [];
  const troubled: LoadProspects["troubled"][number][] = [];
  let healthy = 0;
  for (const declared of fleet.neurons) {
    const neuron = view.neurons.get(declared.name);
    if (neuron === undefined) continue;
    const answers = neuron.health === "healthy" && !excluded.has(neuron.name);
    healthy += Number(answers);
    const feasibility = feasibilityOf(block, declared, { view: neuron, learntMib });
    if (feasibility.kind === "impossible") {
      impossible.push({ neuron: declared.name, reason: feasibility.reason });
    } else if (!answers || neuron.draining || feasibility.kind === "unknown") {
      troubled.push({ neuron: declared.name, reason: neuron.draining ? "draining" : "does not answer" });
    } else if (neuron.models.get(block.id)?.status === "loaded") {
      // A copy that is there and may serve would have been taken: this one cannot, and is in the way of another.
      troubled.push({ neuron: declared.name, reason: "loaded, but not servable" });
    } else able.push(neuron);
  }
  return { able, impossible, troubled, healthy };
}

export function refuseLoad(prospects: LoadProspects, modelId: string, view: FleetView): CortexError {
  if (prospects.healthy === 0) return refuseNoneHealthy(modelId, view);
  if (prospects.troubled.length > 0) {
    return refuseTroubled(
      modelId,
      prospects.troubled.map(({ neuron }) => neuron),
    );
  }
  return refuseInfeasible(modelId, prospects.impossible);
}

function refuseNoneHealthy(modelId: string, view: FleetView): CortexError {
  const total = view.neurons.size;
  const message =
    total === 0
      ? `the fleet files declare no neuron, so nothing can serve ${modelId}`
      : `none of the ${total} neuron(s) answers, so nothing can serve ${modelId}`;
  return new CortexError("no_healthy_neuron", message, { details: { model_id: modelId } });
}

export function refuseTroubled(modelId: string, neurons: readonly string[]): CortexError {
  const message = `${modelId} is not loaded, and what could hold it does not take work now: ${neurons.join(", ")}`;
  return new CortexError("feasible_neuron_unhealthy", message, { details: { model_id: modelId, neurons } });
}

function refuseInfeasible(modelId: string, refusals: LoadProspects["impossible"]): CortexError {
  const reasons = refusals.map(({ neuron, reason }) => `${neuron}: ${reason}`).join("; ");
  return new CortexError("no_feasible_neuron", `no neuron can ever hold ${modelId}: ${reasons}`, {
    details: { model_id: modelId, refusals },
  });
}
