import type { ModelBlock } from "../../fleet/schema/fleet-schema.ts";
import type { PlanChange } from "../../protocol/plan-document.ts";
import type { DesiredModel } from "../intent/desired-models.ts";
import { liveRequests } from "../observe/live-use.ts";
import { reachableNeurons, type ObservedFleet } from "../observe/observed-fleet.ts";
import type { ScheduledStep } from "../schedule/draft.ts";
import type { Forecast } from "../schedule/forecast.ts";

/** The steps of a transition as rows of the plan. */
export function planRows(
  steps: readonly ScheduledStep[],
  context: {
    readonly forecast: Forecast;
    readonly observed: ObservedFleet;
    readonly desired: ReadonlyMap<string, DesiredModel>;
  },
): PlanChange[] {
  const neurons = new Map(reachableNeurons(context.observed).map((neuron) => [neuron.name, neuron]));
  return steps.map(({ draft, dependsOn, interruption }) => {
    const { change, role } = draft;
    const downtime = context.forecast.downtimes.get(change.id) ?? null;
    // A downtime says so itself.
    const interrupted = downtime === null && interruption !== undefined ? `; ${interruption}` : "";
    const neuron = neurons.get(change.neuron);
    // A copy that this plan parks does not exist yet, so nobody uses it.
    const takesDown = change.kind !== "load" && role !== "ends_parking";
    const requests =
      takesDown && neuron !== undefined ? liveRequests(context.observed, neuron, change.model_id) : null;
    return {
      ...change,
      detail: change.detail + interrupted,
      depends_on: [...dependsOn],
      wave: context.forecast.waves.get(change.id) ?? 1,
      downtime,
      download_bytes: downloadBytes(change.kind, context.desired.get(change.model_id)?.block),
      requests,
      caused_by: null,
    };
  });
}

/** Neurons load files that they have; how much a remote source weighs is known to nobody yet. */
function downloadBytes(kind: PlanChange["kind"], block: ModelBlock | undefined): number | null {
  if (kind === "unload") return 0;
  const source = block?.source;
  return source !== undefined && /^(?:hf|https?):/.test(source) ? null : 0;
}
