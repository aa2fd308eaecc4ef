import { assertNever } from "../../core/assert-never.ts";
import { CortexError } from "../../core/errors.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { QUEUED_PER_SLOT } from "../../protocol/worker-messages.ts";
import type { Residency, Resident } from "./residency-state.ts";

/** How the requests of one model are counted. `in_flight` ones decode, queued ones wait inside the worker. */
export interface TrafficCounts {
  readonly inFlight: number;
  readonly queueDepth: number;
  readonly maxInFlight: number;
  readonly maxQueueDepth: number;
}

export function trafficCounts(resident: Resident): TrafficCounts {
  const maxInFlight = resident.facts?.parallel ?? resident.spec.parallel;
  return {
    inFlight: Math.min(resident.openRequests, maxInFlight),
    queueDepth: Math.max(0, resident.openRequests - maxInFlight),
    maxInFlight,
    maxQueueDepth: QUEUED_PER_SLOT * maxInFlight,
  };
}

export interface Refusal {
  readonly failure: CortexError;
  /** The resident whose queue was full; null for every other reason. */
  readonly fullInstance: string | null;
}

/** Whether a request for `modelId` is taken now. A neuron never loads a model because of a request. */
export function admit(state: Residency, modelId: string): Result<Resident, Refusal> {
  const resident = state.models.get(modelId);
  if (state.mode !== "open") {
    return refuse(new CortexError("draining", "this neuron takes no new requests: it is draining"));
  }
  if (resident === undefined) {
    const failure = new CortexError("model_not_found", `${modelId} is not loaded on this neuron`, {
      details: { model_id: modelId },
      param: "model",
      next: "GET /models lists what is loaded; POST /models/load loads a model",
    });
    return refuse(failure);
  }
  switch (resident.phase.name) {
    case "loaded":
      return admitToLoaded(resident);
    case "draining":
    case "stopping":
      return refuse(new CortexError("draining", `${modelId} is being unloaded`, { retryAfterSecs: 5 }));
    case "verifying":
    case "evicting":
    case "verified":
    case "reserved":
    case "loading":
    case "arrived":
      return refuse(new CortexError("model_loading", `${modelId} is still loading`));
    default:
      return assertNever(resident.phase);
  }
}

const refuse = (failure: CortexError, fullInstance: string | null = null): Result<Resident, Refusal> =>
  err({ failure, fullInstance });

function admitToLoaded(resident: Resident): Result<Resident, Refusal> {
  const { maxInFlight, maxQueueDepth, queueDepth } = trafficCounts(resident);
  if (queueDepth < maxQueueDepth) return ok(resident);
  const failure = new CortexError(
    "queue_full",
    `${resident.spec.model_id} has ${maxInFlight} requests in flight and ${queueDepth} waiting, and takes no more`,
    {
      details: { in_flight: maxInFlight, queue_depth: queueDepth },
      // The longer the queue for each slot, the later it is worth asking again.
      retryAfterSecs: Math.min(120, Math.max(1, Math.ceil((2 * queueDepth) / maxInFlight))),
    },
  );
  return refuse(failure, resident.instance);
}
