import { assertNever } from "../../core/assert-never.ts";
import { CortexError } from "../../core/errors.ts";
import { release, withoutDevices } from "./device-ledger.ts";
import { advanceLoads } from "./residency-loading.ts";
import { failBeforeStart, stopWorker } from "./residency-steps.ts";
import {
  findInstance,
  type EventOf,
  type Residency,
  type ResidencyEffect,
  type ResidencyStep,
  type Resident,
} from "./residency-state.ts";

/**
 * A card that has fallen off takes what is on it along: a load fails and says why, a loaded model dies at once and is
 * loaded again where there is room. What leaves anyway goes on leaving.
 */
export function onDevicesLost(start: Residency, { indices, atMs }: EventOf<"devices-lost">): ResidencyStep {
  let state: Residency = { ...start, ledger: withoutDevices(start.ledger, indices) };
  const effects: ResidencyEffect[] = [];
  for (const { instance } of start.models.values()) {
    const resident = findInstance(state, instance);
    const lost = resident?.devices.filter((index) => indices.has(index)) ?? [];
    if (resident === undefined || lost.length === 0) continue;
    const step = loseResident(state, resident, { lost, atMs });
    state = step.state;
    effects.push(...step.effects);
  }
  const advanced = advanceLoads(state, atMs);
  return { ...advanced, effects: [...effects, ...advanced.effects] };
}

function loseResident(
  state: Residency,
  resident: Resident,
  { lost, atMs }: { readonly lost: readonly number[]; readonly atMs: number },
): Pick<ResidencyStep, "state" | "effects"> {
  const { phase, spec, instance } = resident;
  const which = `device${lost.length === 1 ? "" : "s"} ${lost.join(" and ")}`;
  const failure = new CortexError("device_lost", `${which} under ${spec.model_id} does not answer any more`, {
    details: { devices: lost },
  });
  switch (phase.name) {
    case "reserved":
      // Of a wide model the other cards were promised too.
      return failBeforeStart({ ...state, ledger: release(state.ledger, spec.model_id) }, resident, {
        failure,
        atMs,
      });
    case "loading":
    case "arrived":
      return stopWorker(state, resident, { unloadJobId: null, loadFailure: failure });
    case "loaded":
    case "draining":
      return { state, effects: [{ kind: "stop-worker", instance, atOnce: true }] };
    case "verifying":
    case "evicting":
    case "verified":
    case "stopping":
      return { state, effects: [] };
    default:
      return assertNever(phase);
  }
}
