import { present } from "../../core/present.ts";
import { specHash } from "../../protocol/spec-hash.ts";
import { liveRequests, type LiveRequests } from "../observe/live-use.ts";
import { reachableNeurons, type ObservedFleet, type ReachableNeuron } from "../observe/observed-fleet.ts";
import type { Change, ScheduledStep } from "../schedule/draft.ts";
import type { Downtime, Forecast } from "../schedule/forecast.ts";

/** A change with its place in the plan and what it costs. */
export interface PlanRow extends Change {
  /** Ids of rows that must have succeeded before this one starts. */
  readonly dependsOn: readonly string[];
  /** Rows of one wave have nothing to wait for among each other; 1 is the first. */
  readonly wave: number;
  /** Null when the model keeps serving all the while. */
  readonly downtime: Downtime | null;
  /** Fetched from elsewhere before the load; null when that is not known. */
  readonly downloadBytes: number | null;
  /** Of the copy that is taken down; null when none is, or when its neuron does not say. */
  readonly requests: LiveRequests | null;
  /** Whether the branch causes the change or the base would make it too; null when there is no base. */
  readonly causedBy: "branch" | "pending" | null;
}

/** The steps of a transition as rows of the plan. */
export function planRows(
  steps: readonly ScheduledStep[],
  context: {
    readonly forecast: Forecast;
    readonly observed: ObservedFleet;
  },
): PlanRow[] {
  const neurons = new Map(reachableNeurons(context.observed).map((neuron) => [neuron.name, neuron]));
  return steps.map(({ draft, dependsOn, interruption }) => {
    const { change, role } = draft;
    const downtime = context.forecast.downtimes.get(change.id) ?? null;
    // A downtime says so itself.
    const interrupted = downtime === null && interruption !== undefined ? `; ${interruption}` : "";
    const neuron = present(neurons.get(change.neuron), "the neuron", change.neuron);
    // A copy that this plan parks does not exist yet, so nobody uses it.
    const takesDown = change.kind !== "load" && role !== "ends_parking";
    return {
      ...change,
      detail: change.detail + interrupted,
      dependsOn,
      wave: present(context.forecast.waves.get(change.id), "the wave of", change.id),
      downtime,
      downloadBytes: downloadBytes(change, neuron),
      requests: takesDown ? liveRequests(context.observed, neuron, change.modelId) : null,
      causedBy: null,
    };
  });
}

/** Neurons load files that they have, and read of a remote source how much of it they would fetch. */
function downloadBytes(
  { modelId, spec }: Change,
  { discovery: { facts = [] } }: ReachableNeuron,
): number | null {
  if (spec === null) return 0;
  const sources = [spec.source, spec.draft, ...(spec.lora ?? []).map(({ source }) => source)];
  if (!sources.some((source) => source !== undefined && /^(?:hf|https?):/.test(source))) return 0;
  const hash = specHash(spec);
  const told = facts.filter((fact) => fact.model_id === modelId && fact.spec_hash === hash);
  return told.find(({ fetch_bytes: bytes }) => bytes !== undefined)?.fetch_bytes ?? null;
}
