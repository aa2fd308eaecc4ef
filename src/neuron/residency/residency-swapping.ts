import { CortexError } from "../../core/errors.ts";
import { release, reserve, type DeviceLedger, type Reservation } from "./device-ledger.ts";
import type { Result } from "../../core/result.ts";
import { advanceJob } from "./job-history.ts";
import { advanceLoads } from "./residency-loading.ts";
import type { Residency, ResidencyEffect, ResidencyStep, Resident, Victim } from "./residency-state.ts";
import { after, failBeforeStart, stopWorker, unchanged, withResident } from "./residency-steps.ts";

/**
 * A swap is a load that may make others leave. It takes three steps, so that none of them leaves when the load cannot
 * come of it: the file is verified while everybody works on; as many victims as the load needs, and no more, take no
 * new requests; and once the last of them is idle all are told to go. A victim that is not idle in time stays, and so
 * do the others. From there on it is a load that waits for memory that is being freed.
 */
export function moveEvictions(step: ResidencyStep, atMs: number): ResidencyStep {
  let { state } = step;
  const effects: ResidencyEffect[] = [];
  for (const { spec } of step.state.models.values()) {
    const resident = state.models.get(spec.model_id);
    if (resident?.phase.name !== "evicting") continue;
    const moved = moveEviction(state, resident, atMs);
    ({ state } = moved);
    effects.push(...moved.effects);
  }
  return effects.length === 0 && state === step.state
    ? step
    : { ...step, state, effects: [...step.effects, ...effects] };
}

function moveEviction(state: Residency, resident: Resident, atMs: number): ResidencyStep {
  const leaving = givingWayTo(state, resident.instance);
  if (leaving.length > 0) return sendAwayWhenIdle(state, resident, { leaving, atMs });
  const begun = begin(state, resident, atMs);
  const { instance } = resident;
  const now = begun.state.models.get(resident.spec.model_id);
  if (now?.instance !== instance || now.phase.name !== "evicting") return begun;
  const chosen = givingWayTo(begun.state, instance);
  return after(begun.effects, sendAwayWhenIdle(begun.state, now, { leaving: chosen, atMs }));
}

interface Leaving {
  readonly leaving: readonly Resident[];
  readonly atMs: number;
}

function sendAwayWhenIdle(state: Residency, resident: Resident, { leaving, atMs }: Leaving): ResidencyStep {
  const mayGo = resident.eviction?.force === true || leaving.every(({ openRequests }) => openRequests === 0);
  return mayGo ? sendAway(state, resident, { leaving, atMs }) : unchanged(state);
}

const givingWayTo = (state: Residency, instance: string): readonly Resident[] =>
  [...state.models.values()].filter(
    ({ phase }) => phase.name === "draining" && phase.givesWayTo === instance,
  );

/** Chooses who gives way; nobody, when even all of them would not make room enough. */
function begin(state: Residency, resident: Resident, atMs: number): ResidencyStep {
  const { phase, eviction } = resident;
  if (phase.name !== "evicting" || eviction === null) return unchanged(state);
  const able = eviction.victims.flatMap((victim) => presentVictim(state, victim));
  let ledger = ledgerToCome(state, resident);
  let room = tryReserve(ledger, resident, phase.requiredMib);
  const chosen: Resident[] = [];
  for (const victim of able) {
    if (room.ok) break;
    ledger = release(ledger, victim.spec.model_id);
    chosen.push(victim);
    room = tryReserve(ledger, resident, phase.requiredMib);
  }
  if (!room.ok) {
    const failed = failBeforeStart(state, resident, { failure: withoutRoom(room.error, able), atMs });
    return after(failed.effects, advanceLoads(failed.state, atMs));
  }
  if (chosen.length === 0) return proceed(state, resident, { evicted: [], atMs });
  return drainVictims(state, resident, chosen);
}

const tryReserve = (
  ledger: DeviceLedger,
  { spec }: Resident,
  requiredMib: number,
): Result<Reservation, CortexError> =>
  reserve(ledger, {
    holder: spec.model_id,
    requiredMib,
    minDevices: spec.min_devices,
    devices: spec.devices,
  });

/** The copy that was named, while it still works and gives way to nobody else. */
function presentVictim(state: Residency, { modelId, instance }: Victim): readonly Resident[] {
  const resident = state.models.get(modelId);
  if (resident?.instance !== instance) return [];
  const { phase } = resident;
  return phase.name === "loaded" || (phase.name === "draining" && phase.givesWayTo === null)
    ? [resident]
    : [];
}

/** Memory once everybody who has been told to go is gone and every older load has its share. */
function ledgerToCome(state: Residency, resident: Resident): DeviceLedger {
  let { ledger } = state;
  for (const { spec, phase } of state.models.values()) {
    const leaves = phase.name === "stopping" || (phase.name === "draining" && phase.givesWayTo !== null);
    if (leaves) ledger = release(ledger, spec.model_id);
  }
  for (const other of state.models.values()) {
    if (other === resident) break;
    const { phase } = other;
    if (phase.name !== "evicting" && phase.name !== "verified") continue;
    const promised = tryReserve(ledger, other, phase.requiredMib);
    if (promised.ok) ({ ledger } = promised.value);
  }
  return ledger;
}

function withoutRoom(error: CortexError, able: readonly Resident[]): CortexError {
  const names = able.map(({ spec }) => spec.model_id);
  const even =
    names.length === 0 ? "nobody who was named can give way" : `even without ${names.join(" and ")}`;
  return new CortexError(error.code, `${error.message}, ${even}`, {
    details: error.details,
    next: error.next,
    cause: error,
  });
}

function drainVictims(start: Residency, resident: Resident, chosen: readonly Resident[]): ResidencyStep {
  const timeoutMs = resident.eviction?.drainTimeoutMs ?? 0;
  let state = start;
  const effects: ResidencyEffect[] = [];
  for (const victim of chosen) {
    const unloadJobId = victim.phase.name === "draining" ? victim.phase.unloadJobId : null;
    const phase = { name: "draining", unloadJobId, givesWayTo: resident.instance } as const;
    // Its memory is another's then, even if it was to come back.
    state = withResident(state, { ...victim, phase, returns: false });
    effects.push({ kind: "start-drain-timer", instance: victim.instance, timeoutMs });
  }
  return {
    state: { ...state, jobs: advanceJob(state.jobs, resident.instance, { state: "draining" }) },
    effects,
    answer: null,
  };
}

function sendAway(start: Residency, resident: Resident, { leaving, atMs }: Leaving): ResidencyStep {
  let state = start;
  const effects: ResidencyEffect[] = [];
  for (const victim of leaving) {
    const unloadJobId = victim.phase.name === "draining" ? victim.phase.unloadJobId : null;
    const stopped = stopWorker(state, victim, { unloadJobId, loadFailure: null });
    ({ state } = stopped);
    effects.push(...stopped.effects);
  }
  const evicted = leaving.map(({ spec }) => spec.model_id);
  return after(effects, proceed(state, resident, { evicted, atMs }));
}

/** From here on the load waits like any other until its memory is free. */
function proceed(
  state: Residency,
  resident: Resident,
  { evicted, atMs }: { readonly evicted: readonly string[]; readonly atMs: number },
): ResidencyStep {
  const { phase, eviction, instance } = resident;
  if (phase.name !== "evicting" || eviction === null) return unchanged(state);
  const verified: Resident = {
    ...resident,
    phase: { ...phase, name: "verified" },
    eviction: { ...eviction, evicted },
  };
  const jobs = advanceJob(state.jobs, instance, {
    state: evicted.length === 0 ? "reserving" : "stopping",
    evicted: [...evicted],
  });
  return advanceLoads({ ...withResident(state, verified), jobs }, atMs);
}

/** A victim still had work when its time was over: the swap is off, and whoever was to give way stays. */
export function callOffEviction(
  state: Residency,
  {
    givesWayTo,
    victim,
    atMs,
  }: { readonly givesWayTo: string; readonly victim: Resident; readonly atMs: number },
): ResidencyStep {
  const load = [...state.models.values()].find(({ instance }) => instance === givesWayTo);
  if (load === undefined) return unchanged(state);
  const { model_id: modelId } = victim.spec;
  const failure = new CortexError(
    "model_busy",
    `${modelId} still had ${victim.openRequests} requests in flight when the drain time was over, and stays`,
    { details: { model_id: modelId, in_flight: victim.openRequests } },
  );
  const failed = failBeforeStart(state, load, { failure, atMs });
  return after(failed.effects, advanceLoads(failed.state, atMs));
}
