import type { FleetNeuronState, FleetState } from "../../src/protocol/gateway-api.ts";

type ModelState = FleetNeuronState["models"][number];

export const modelState = (id: string, changes: Partial<ModelState> = {}): ModelState => ({
  id,
  status: "loaded",
  devices: [0],
  vram_used_mb: 1000,
  servable: { ok: true },
  load: null,
  outstanding: 0,
  ...changes,
});

export const neuronState = (name: string, changes: Partial<FleetNeuronState> = {}): FleetNeuronState => ({
  name,
  endpoint: `http://${name}`,
  health: "healthy",
  misses: 0,
  problem: null,
  draining: false,
  last_seen_ms: 0,
  uptime_secs: 1,
  generation: 1,
  devices: [deviceState(0, 10_000, 0)],
  models: [],
  ...changes,
});

export const deviceState = (
  index: number,
  totalMib: number,
  usedMib: number | null,
): FleetNeuronState["devices"][number] => ({
  index,
  uuid: `u${index}`,
  kind: "simulated",
  name: "Card",
  vram_total_mb: totalMib,
  compute_capability: null,
  vram_used_mb: usedMib,
  vram_free_mb: usedMib === null ? null : totalMib - usedMib,
  utilization_pct: null,
  temp_c: null,
});

export const fleetStateOf = (changes: Partial<FleetState> = {}): FleetState => ({
  fleet: "home",
  now_ms: 0,
  health: {
    status: "ok",
    nodes: { healthy: 1, total: 1 },
    models: { declared: 1, loaded: 1 },
    requests_in_flight: 0,
    loads_in_progress: 0,
    unservable: [],
  },
  neurons: [],
  loads: [],
  declared: {
    gateway: {},
    eviction: {},
    ledger: {},
    neurons: [],
    models: [],
    keys: [],
    aliases: {},
    overridden: [],
  },
  ...changes,
});

export const declaring = (
  replicas: Readonly<Record<string, number>>,
  aliases: Readonly<Record<string, string>> = {},
): FleetState["declared"] => ({
  ...fleetStateOf().declared,
  models: Object.entries(replicas).map(([id, count]) => ({ id, replicas: count })),
  aliases,
});
