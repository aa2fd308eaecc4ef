import type {
  Device,
  Discovery,
  Health,
  ModelLoad,
  ModelsResponse,
  ResidentModel,
} from "../../protocol/neuron-api.ts";
import { describeActivation, type RestoredModel } from "./assignment.ts";
import { trafficCounts } from "./admission.ts";
import type { DeviceReading } from "../machine/describe-device.ts";
import {
  freeMib,
  heldByMib,
  heldMib,
  heldOnDeviceMib,
  type DeviceLedger,
  type LedgerDevice,
} from "./device-ledger.ts";
import { statusOf, type Residency, type Resident } from "./residency-state.ts";

/** What our workers hold of a device, those left out that are on their way out. */
export function heldHereMib({ ledger, models }: Residency, index: number): number {
  let held = 0;
  for (const { spec, phase } of models.values()) {
    if (phase.name !== "stopping") held += heldOnDeviceMib(ledger, index, spec.model_id);
  }
  return held;
}

/** `GET /models`. */
export const describeModels = (state: Residency): ModelsResponse => ({
  generation: state.generation,
  models: [...state.models.values()].map((resident) => describeResident(state, resident)),
});

const isMeasured = (facts: Resident["facts"]): boolean =>
  facts !== null && facts.memory_source !== "declared";

/** What was chosen to compute it with. */
const computing = (facts: Resident["facts"]): Pick<ResidentModel, "threads" | "steps"> => ({
  threads: facts?.threads ?? null,
  steps: facts?.steps ?? null,
});

export function describeResident(state: Residency, resident: Resident): ResidentModel {
  const { spec, facts } = resident;
  return {
    id: spec.model_id,
    harness: spec.harness,
    status: statusOf(resident.phase),
    spec_hash: resident.specHash,
    spec: { ...spec },
    devices: [...resident.devices],
    vram_used_mb: heldByMib(state.ledger, spec.model_id),
    device_vram_mb: resident.devices.map((index) => heldOnDeviceMib(state.ledger, index, spec.model_id)),
    vram_measured: isMeasured(facts),
    ...describeAbilities(facts),
    limit: limitOf(facts),
    parallel: facts?.parallel ?? spec.parallel,
    servable: servability(state, resident),
    origin: resident.origin,
    last_used_ms: resident.lastUsedMs,
    loaded_at_ms: resident.loadedAtMs,
    load_duration_ms: resident.loadedAtMs === null ? null : resident.loadedAtMs - resident.requestedAtMs,
    cycles: resident.cycles,
    ...computing(facts),
    pid: resident.pid,
  };
}

const COUNTED = new Set(["text", "embeddings", "rerank"]);

/** What neither reads nor writes text has none. */
const limitOf = (facts: Resident["facts"]): ResidentModel["limit"] =>
  facts === null || !facts.capabilities.some((one) => COUNTED.has(one))
    ? null
    : { context: facts.context_tokens, output: facts.max_output_tokens };

function describeAbilities(
  facts: Resident["facts"],
): Pick<ResidentModel, "capabilities" | "tool_call" | "reasoning" | "file"> {
  if (facts === null) return { capabilities: [], tool_call: false, reasoning: false };
  const { capabilities, tool_call, reasoning, file } = facts;
  return { capabilities: [...capabilities], tool_call, reasoning, ...(file === undefined ? {} : { file }) };
}

function servability(state: Residency, resident: Resident): ResidentModel["servable"] {
  if (state.mode !== "open")
    return { ok: false, reason: "draining", detail: "the neuron takes no new requests" };
  const status = statusOf(resident.phase);
  if (status === "loaded") return { ok: true };
  return { ok: false, reason: status, detail: `the model is ${status}` };
}

function describeTraffic(resident: Resident): ModelLoad {
  const counts = trafficCounts(resident);
  return {
    id: resident.spec.model_id,
    in_flight: counts.inFlight,
    queue_depth: counts.queueDepth,
    max_in_flight: counts.maxInFlight,
    max_queue_depth: counts.maxQueueDepth,
    rejected_queue_full: resident.rejectedQueueFull,
  };
}

/** `GET /health`. */
export const describeHealth = (
  { mode, ledger, models, jobs }: Residency,
  live: {
    readonly readings: readonly DeviceReading[];
    readonly uptimeMs: number;
    readonly restored: readonly RestoredModel[];
  },
): Health => ({
  status: mode === "open" ? "ok" : "draining",
  uptime_secs: Math.round(live.uptimeMs / 100) / 10,
  devices: describeReadings(ledger, live.readings),
  models: [...models.values()].map(describeTraffic),
  activation: describeActivation(live.restored, jobs),
});

/**
 * Live readings of each device. Where there is no driver to ask (a CPU) the ledger answers: memory that our
 * models hold counts as used, since the operating system's own figure moves with its file cache.
 */
function describeReadings(ledger: DeviceLedger, readings: readonly DeviceReading[]): Health["devices"] {
  return ledger.map((device) => {
    const reading = readings.find(({ index }) => index === device.index);
    return {
      index: device.index,
      vram_used_mb: reading?.usedMib ?? heldMib(device),
      vram_free_mb: reading?.freeMib ?? freeMib(device),
      utilization_pct: reading?.utilizationPct ?? null,
      temp_c: reading?.temperatureC ?? null,
    };
  });
}

/** An empty ledger line for each discovered device. */
/** The machine as it is now: a card that has fallen off is none of its devices any more. */
export const withoutLost = (discovery: Discovery, ledger: DeviceLedger): Discovery => ({
  ...discovery,
  devices: discovery.devices.filter(
    ({ index }) => ledger.find((device) => device.index === index)?.isLost !== true,
  ),
});

export const ledgerOf = (devices: readonly Device[]): readonly LedgerDevice[] =>
  devices.map((device) => ({
    index: device.index,
    totalMib: device.vram_total_mb,
    foreignMib: 0,
    holds: [],
    ...(device.part_of === undefined ? {} : { isPart: true as const }),
  }));
