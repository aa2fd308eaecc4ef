import { specHash } from "../../protocol/spec-hash.ts";
import { takeOver } from "./device-ledger.ts";
import type { EventOf, Residency, ResidencyStep, Resident } from "./residency-state.ts";
import { unchanged, withResident } from "./residency-steps.ts";

/**
 * A worker that outlived its neuron goes on as it was. Where its place is taken, or its memory was given to others, it
 * is told to go: what is promised here counts, and nobody would ever free what it holds.
 */
export function onWorkerAdopted(state: Residency, event: EventOf<"worker-adopted">): ResidencyStep {
  const { instance, spec, held } = event;
  const ledger = takeOver(state.ledger, spec.model_id, held);
  if (state.models.has(spec.model_id) || ledger === null || state.mode === "closing") {
    return { ...unchanged(state), effects: [{ kind: "stop-worker", instance }] };
  }
  const resident: Resident = {
    instance,
    spec,
    specHash: specHash(spec),
    origin: event.origin,
    eviction: null,
    isJoined: false,
    phase: { name: "loaded" },
    devices: held.map(({ index }) => index).toSorted((left, right) => left - right),
    pid: event.pid,
    facts: event.facts,
    openRequests: 0,
    rejectedQueueFull: 0,
    requestedAtMs: event.requestedAtMs,
    loadedAtMs: event.loadedAtMs,
    lastUsedMs: null,
    cycles: 0,
    returns: false,
  };
  return unchanged({ ...withResident(state, resident), ledger });
}
