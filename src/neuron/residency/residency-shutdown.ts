import { assertNever } from "../../core/assert-never.ts";
import { CortexError } from "../../core/errors.ts";
import type { EventOf, Residency, ResidencyEffect, ResidencyStep, Resident } from "./residency-state.ts";
import { stopWorker, unchanged } from "./residency-steps.ts";
import { beginDrain, cancelLoad } from "./residency-unloading.ts";

/** Everything leaves: loads are cancelled, idle models stop, busy ones get a short drain and then stop too. */
export function onShutdownBegun(start: Residency, event: EventOf<"shutdown-begun">): ResidencyStep {
  let state: Residency = { ...start, mode: "closing" };
  const effects: ResidencyEffect[] = [];
  for (const modelId of start.models.keys()) {
    // As it is now: ending one load may have moved another on.
    const resident = state.models.get(modelId);
    if (resident === undefined) continue;
    const step = shutDownOne(state, resident, event);
    state = step.state;
    effects.push(...step.effects);
  }
  return { state, effects, answer: null };
}

function shutDownOne(state: Residency, resident: Resident, event: EventOf<"shutdown-begun">): ResidencyStep {
  switch (resident.phase.name) {
    case "stopping":
      return unchanged(state);
    case "draining": {
      const { unloadJobId } = resident.phase;
      return resident.openRequests === 0
        ? stopWorker(state, resident, { unloadJobId, loadFailure: null })
        : beginDrain(state, resident, { unloadJobId, timeoutMs: event.drainTimeoutMs });
    }
    case "loaded":
      return resident.openRequests === 0
        ? stopWorker(state, resident, { unloadJobId: null, loadFailure: null })
        : beginDrain(state, resident, { unloadJobId: null, timeoutMs: event.drainTimeoutMs });
    case "verifying":
    case "evicting":
    case "verified":
    case "reserved":
    case "loading":
    case "arrived": {
      const failure = new CortexError("job_cancelled", "the neuron is shutting down");
      return cancelLoad(state, resident, { failure, atMs: event.atMs, unloadJobId: null });
    }
    default:
      return assertNever(resident.phase);
  }
}
