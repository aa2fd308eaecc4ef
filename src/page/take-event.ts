import { assertNever } from "../core/assert-never.ts";
import type { FleetState, FleetStateEvent } from "../protocol/gateway-api.ts";

/**
 * The state after an event: `applyFleetStateEvent` of the protocol, without the schemas that come with it and are three
 * times as large as the page. A test holds the two to the same.
 */
export function takeEvent(seen: FleetState | null, event: FleetStateEvent): FleetState | null {
  if (event.kind === "snapshot-taken") return event.state;
  if (seen === null) return null;
  switch (event.kind) {
    case "neuron-changed": {
      const { neuron } = event;
      const at = seen.neurons.findIndex(({ name }) => name === neuron.name);
      return { ...seen, neurons: at === -1 ? [...seen.neurons, neuron] : seen.neurons.with(at, neuron) };
    }
    case "neuron-removed":
      return { ...seen, neurons: seen.neurons.filter(({ name }) => name !== event.name) };
    case "loads-changed":
    case "traffic-changed":
    case "declaration-changed": {
      const { kind: _kind, ...parts } = event;
      return { ...seen, ...parts };
    }
    default:
      return assertNever(event);
  }
}
