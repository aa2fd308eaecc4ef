import { by } from "../../core/order.ts";
import type { FleetState } from "../../protocol/gateway-api.ts";
import { deviceUse, type DeviceUse } from "./device-use.ts";
import { declaredCopies } from "./model-rows.ts";

export type NeuronRowState = "ready" | "draining" | "missing polls" | "down" | "unknown";

/** One neuron, with whose its memory is. */
export interface NeuronRow {
  readonly name: string;
  readonly endpoint: string;
  readonly state: NeuronRowState;
  /** Why the last poll failed; null after one that did not. */
  readonly problem: string | null;
  readonly devices: readonly DeviceUse[];
  readonly models: number;
  readonly inFlight: number;
  readonly queued: number;
  readonly tokensPerSec: number;
  readonly uptimeSecs: number | null;
  readonly lastSeenMs: number | null;
}

/** In order of their names. */
export function neuronRows(state: FleetState): readonly NeuronRow[] {
  const declared = declaredCopies(state);
  return state.neurons
    .map((neuron) => {
      const sum = (of: (model: (typeof neuron.models)[number]) => number): number =>
        neuron.models.reduce((total, model) => total + of(model), 0);
      return {
        name: neuron.name,
        endpoint: neuron.endpoint,
        state: stateOf(neuron),
        problem: neuron.problem,
        devices: deviceUse(neuron, declared),
        models: neuron.models.length,
        inFlight: sum(({ load }) => load?.in_flight ?? 0),
        queued: sum(({ load }) => load?.queue_depth ?? 0),
        tokensPerSec: sum(({ tokens_per_sec: speed = 0 }) => speed),
        uptimeSecs: neuron.uptime_secs,
        lastSeenMs: neuron.last_seen_ms,
      };
    })
    .toSorted(by(({ name }) => name));
}

function stateOf({ health, misses, draining }: FleetState["neurons"][number]): NeuronRowState {
  if (health === "unknown") return "unknown";
  if (health === "unhealthy") return "down";
  if (draining) return "draining";
  return misses > 0 ? "missing polls" : "ready";
}
