import { by } from "../core/order.ts";
import type {
  FleetModelState,
  FleetNeuronState,
  FleetState,
  GatewayHealth,
  GatewayWorker,
} from "../protocol/gateway-api.ts";
import { fleetOfOrigin } from "../fleet/fleet-owner.ts";
import type { ResidentModel } from "../protocol/neuron-api.ts";
import { trustIn } from "./loading/copy-standing.ts";
import { speedOf } from "./loading/copy-watch.ts";
import type { PlaceAt, Scheduler } from "./loading/scheduler-state.ts";
import type { GatewayTraffic } from "./request-reports.ts";
import { trafficOfLate } from "./traffic-of-late.ts";
import type { FleetIndex } from "./view/fleet-index.ts";
import { healthyNeurons, type FleetView, type NeuronView } from "./view/fleet-view.ts";

export interface StatusSources {
  readonly fleet: FleetIndex;
  readonly view: FleetView;
  readonly scheduler: Scheduler;
  readonly outstanding: (neuron: string, modelId: string) => number;
  readonly traffic: GatewayTraffic;
  /** Undefined where the gateway is one process. */
  readonly workers: readonly GatewayWorker[] | undefined;
  readonly nowMs: number;
  readonly monotonicMs: number;
}

/** `GET /health`. */
export function gatewayHealth(sources: StatusSources): GatewayHealth {
  const { fleet, view } = sources;
  const unservable: GatewayHealth["unservable"] = [];
  const loaded = new Set<string>();
  let healthy = 0;
  for (const neuron of healthyNeurons(view)) {
    healthy += 1;
    for (const model of neuron.models.values()) {
      if (model.status !== "loaded") continue;
      loaded.add(model.id);
      if (model.servable.ok) continue;
      const { reason = "unknown", detail = "" } = model.servable;
      unservable.push({ node: neuron.name, model: model.id, reason, detail });
    }
  }
  const total = view.neurons.size;
  const reasons = overload(sources);
  const impaired = healthy < total || unservable.length > 0;
  return {
    status: healthy === 0 || reasons.length > 0 ? "degraded" : impaired ? "impaired" : "ok",
    nodes: { healthy, total },
    models: { declared: fleet.modelsById.size, loaded: loaded.size },
    requests_in_flight: sources.traffic.requestsInFlight,
    loads_in_progress: sources.scheduler.loads.size,
    ...(reasons.length === 0 ? {} : { reasons: [...reasons] }),
    unservable,
  };
}

/** Who is turned away never gets as far as a request: only this says so. */
const overload = ({
  traffic: { connectionsRefusedPerSec: perSec },
  fleet,
}: StatusSources): readonly string[] =>
  perSec === 0
    ? []
    : [
        `connections are refused: ${perSec} a second of late, beyond the ${fleet.gateway.limits.connections} ` +
          "that [gateway.limits] connections allows",
      ];

/** `GET /fleet`. */
export function fleetState(sources: StatusSources): FleetState {
  const { fleet, view } = sources;
  return {
    fleet: fleet.fleetName,
    now_ms: sources.nowMs,
    health: gatewayHealth(sources),
    neurons: fleet.neurons.flatMap((declared) => {
      const neuron = view.neurons.get(declared.name);
      if (neuron === undefined) return [];
      return [neuronState({ neuron, endpoint: declared.endpoint, drain: declared.drain, sources })];
    }),
    ...schedulerState(sources),
    declared: fleet.served,
    traffic: {
      requests_in_flight: sources.traffic.requestsInFlight,
      requests_per_sec: sources.traffic.requestsPerSec,
      ...trafficOfLate(sources.traffic.ofLate),
    },
    ...(sources.workers === undefined ? {} : { workers: [...sources.workers] }),
  };
}

function schedulerState({
  scheduler,
  monotonicMs,
  nowMs,
}: StatusSources): Pick<FleetState, "loads" | "queues" | "failed_loads"> {
  const { loads, queues, failures } = scheduler;
  return {
    loads: [...loads.values()].map((load) => ({
      model: load.modelId,
      node: load.neuron,
      state: load.jobState ?? "requested",
      progress: load.progress,
      waiting: queues.get(load.modelId)?.waiters.length ?? 0,
      elapsed_ms: Math.max(0, monotonicMs - load.startedAtMs),
      ...(load.evict.length === 0 ? {} : { evict: [...load.evict] }),
    })),
    queues: [...queues].map(([model, { waiters }]) => ({
      model,
      waiting: waiters.length,
      longest_wait_ms: Math.max(0, monotonicMs - (waiters[0]?.arrivedAtMs ?? monotonicMs)),
    })),
    failed_loads: [...failures.values()].map(({ modelId, neuron, error, times, retryAtMs }) => ({
      model: modelId,
      node: neuron,
      code: error.code,
      message: error.message,
      times,
      retry_at_ms: nowMs + Math.max(0, retryAtMs - monotonicMs),
    })),
  };
}

/** What this gateway has found out about a copy by itself. */
function copyRecord(
  { scheduler, monotonicMs }: StatusSources,
  place: PlaceAt,
): { readonly tokens_per_sec?: number; readonly left_out?: true } {
  const speed = speedOf(scheduler, place);
  const isLeftOut = trustIn(scheduler, place, monotonicMs)?.isLeftOut === true;
  return {
    ...(speed === null ? {} : { tokens_per_sec: Math.round(speed * 10) / 10 }),
    ...(isLeftOut ? { left_out: true } : {}),
  };
}

/** Who had a copy loaded, what for, and when it was of use. */
function provenance(
  { origin, device_vram_mb: split, last_used_ms }: ResidentModel,
  { fleetName, repository }: FleetIndex,
): Pick<FleetModelState, "origin" | "foreign" | "device_vram_mb" | "last_used_ms"> {
  const { kind, ref, uncommitted } = origin;
  const fleet = fleetOfOrigin(origin, { name: fleetName, repository });
  const isForeign = kind !== "manual" && fleet !== undefined && fleet !== fleetName;
  return {
    ...(split === undefined ? {} : { device_vram_mb: split }),
    origin: {
      kind,
      ...(ref === undefined ? {} : { ref }),
      ...(fleet === undefined ? {} : { fleet }),
      ...(uncommitted === undefined ? {} : { uncommitted }),
    },
    ...(isForeign ? { foreign: true } : {}),
    last_used_ms,
  };
}

interface NeuronSource {
  readonly neuron: NeuronView;
  readonly endpoint: string;
  readonly drain: boolean;
  readonly sources: StatusSources;
}

function neuronState({ neuron, endpoint, drain, sources }: NeuronSource): FleetNeuronState {
  return {
    name: neuron.name,
    endpoint,
    health: neuron.health,
    misses: neuron.misses,
    problem: neuron.problem,
    draining: drain || neuron.draining,
    last_seen_ms: neuron.lastSeenMs,
    uptime_secs: neuron.uptimeSecs,
    generation: neuron.generation,
    devices: (neuron.discovery?.devices ?? []).map((device) => {
      const reading = neuron.readings.find((candidate) => candidate.index === device.index);
      return {
        ...device,
        vram_used_mb: reading?.vram_used_mb ?? null,
        vram_free_mb: reading?.vram_free_mb ?? null,
        utilization_pct: reading?.utilization_pct ?? null,
        temp_c: reading?.temp_c ?? null,
      };
    }),
    models: [...neuron.models.values()]
      .map((model) => ({
        id: model.id,
        status: model.status,
        devices: model.devices,
        vram_used_mb: model.vram_used_mb,
        servable: model.servable,
        load: neuron.loads.get(model.id) ?? null,
        outstanding: sources.outstanding(neuron.name, model.id),
        ...copyRecord(sources, { neuron: neuron.name, modelId: model.id }),
        ...provenance(model, sources.fleet),
      }))
      .sort(by(({ id }) => id)),
  };
}
