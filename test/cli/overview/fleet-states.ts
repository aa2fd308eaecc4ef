import {
  fleetStateSchema,
  type FleetModelState,
  type FleetState,
} from "../../../src/protocol/gateway-api.ts";

export const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5);

type Model = Partial<FleetModelState> & { readonly id: string };

/** A copy that serves, with four slots, on device 0. */
export const copy = ({ id, ...rest }: Model): FleetModelState => ({
  id,
  status: "loaded",
  devices: [0],
  vram_used_mb: 4096,
  servable: { ok: true },
  load: {
    id,
    in_flight: 1,
    queue_depth: 0,
    max_in_flight: 4,
    max_queue_depth: 16,
    rejected_queue_full: 0,
  },
  outstanding: 1,
  origin: { kind: "revision", ref: "a1b2c3d4e5f6", fleet: "home" },
  last_used_ms: NOW_MS - 5000,
  ...rest,
});

export interface StatedNeuron {
  readonly name: string;
  readonly devices?: readonly { readonly totalMb: number; readonly usedMb: number | null }[];
  readonly models?: readonly FleetModelState[];
  readonly health?: "healthy" | "unhealthy" | "unknown";
  readonly draining?: boolean;
}

const neuronState = ({
  name,
  devices = [{ totalMb: 24_576, usedMb: 4096 }],
  models = [],
  health = "healthy",
  draining = false,
}: StatedNeuron): FleetState["neurons"][number] => ({
  name,
  endpoint: `http://${name}:13131`,
  health,
  misses: health === "unhealthy" ? 3 : 0,
  problem: health === "unhealthy" ? "connection refused" : null,
  draining,
  last_seen_ms: NOW_MS - 1000,
  uptime_secs: 7200,
  generation: 7,
  devices: devices.map(({ totalMb, usedMb }, index) => ({
    index,
    uuid: `GPU-${name}-${index}`,
    kind: "cuda",
    name: "RTX 5090",
    vram_total_mb: totalMb,
    compute_capability: "12.0",
    vram_used_mb: usedMb,
    vram_free_mb: usedMb === null ? null : totalMb - usedMb,
    utilization_pct: 42,
    temp_c: 61,
  })),
  models: [...models],
});

export interface StatedFleet extends Partial<Omit<FleetState, "neurons" | "declared">> {
  readonly neurons: readonly StatedNeuron[];
  /** Copies that the files keep loaded, by model. */
  readonly declared: Readonly<Record<string, number>>;
}

/** What a gateway of fleet `home` would say; read by the schema, as a client reads it. */
export const fleetState = ({ neurons, declared, ...rest }: StatedFleet): FleetState =>
  fleetStateSchema.parse({
    fleet: "home",
    now_ms: NOW_MS,
    health: {
      status: "ok",
      nodes: { healthy: neurons.length, total: neurons.length },
      models: { declared: Object.keys(declared).length, loaded: 0 },
      requests_in_flight: 0,
      loads_in_progress: 0,
      unservable: [],
    },
    loads: [],
    queues: [],
    failed_loads: [],
    declared: { models: Object.entries(declared).map(([id, replicas]) => ({ id, replicas })) },
    traffic: { requests_in_flight: 0, requests_per_sec: 0 },
    ...rest,
    neurons: neurons.map(neuronState),
  });
