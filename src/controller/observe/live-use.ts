import type { ObservedFleet, ReachableNeuron } from "./observed-fleet.ts";

/** Requests on one copy: under way, waiting for it, and how many come. */
export interface LiveRequests {
  readonly inFlight: number;
  readonly queued: number;
  /** By the gateway's counters; null when it was not asked or did not answer. */
  readonly perMinute: number | null;
}

/** What a loaded copy was doing when it was observed; null when its neuron does not say. */
export function liveRequests(
  observed: ObservedFleet,
  neuron: ReachableNeuron,
  modelId: string,
): LiveRequests | null {
  const load = neuron.health.models.find(({ id }) => id === modelId);
  const copy = observed.traffic?.copies.find(
    (candidate) => candidate.neuron === neuron.name && candidate.modelId === modelId,
  );
  if (load === undefined && copy === undefined) return null;
  return {
    inFlight: load?.in_flight ?? 0,
    queued: load?.queue_depth ?? 0,
    // A gateway that counts knows of every request: a copy that it does not list was not asked.
    perMinute: observed.traffic === undefined ? null : (copy?.requestsPerMinute ?? 0),
  };
}

/** One figure to compare copies by: who is asked more is missed more. */
export const useOf = (requests: LiveRequests | null): number =>
  busyRequests(requests) + (requests?.perMinute ?? 0);

/** Requests that have to end before the copy is gone; none where nothing is said of any. */
export const busyRequests = (requests: LiveRequests | null): number =>
  requests === null ? 0 : requests.inFlight + requests.queued;
