/**
 * The gateway's own answers beside the dialects it speaks (port 31313). Field names that the upstream project has
 * (`nodes`, `node`, `locations`) are kept. Readers ignore fields they do not know.
 */
import { z } from "zod";
import { assertNever } from "../core/assert-never.ts";
import { servedFleetSchema } from "./declaration/declared-fleet.ts";
import {
  deviceSchema,
  loadOriginSchema,
  modelFileSchema,
  modelLoadSchema,
  modelStatusSchema,
} from "./neuron-api.ts";

export const locationSchema = z.object({
  node: z.string(),
  status: modelStatusSchema,
  /** Measured once loaded, the reservation before that. */
  vram_estimate_mb: z.int().nonnegative(),
  /** When it goes if nobody uses it, milliseconds since the epoch; absent where only others' needs make it go, or nothing. */
  leaves_at_ms: z.number().optional(),
});

export const modelCostSchema = z.object({
  input: z.number(),
  output: z.number(),
  cache_read: z.number().optional(),
  cache_write: z.number().optional(),
});

/** One element of `GET /v1/models`, and the answer of `GET /v1/models/{id}`: OpenAI's four fields and ours. */
export const modelEntrySchema = z.object({
  id: z.string(),
  object: z.literal("model"),
  /** Seconds since the epoch: when the gateway learned of the model. */
  created: z.int(),
  owned_by: z.literal("cortex"),
  /** A healthy neuron serves it now. */
  loaded: z.boolean(),
  /** Healthy neurons that could hold it by what the fleet files say. */
  feasible_on: z.array(z.string()),
  locations: z.array(locationSchema),
  capabilities: z.array(z.string()),
  limit: z.object({ context: z.int(), input: z.int().optional(), output: z.int().optional() }).optional(),
  cost: modelCostSchema.optional(),
  tool_call: z.boolean(),
  reasoning: z.boolean(),
  max_model_len: z.int().optional(),
  max_input_tokens: z.int().optional(),
  max_output_tokens: z.int().optional(),
  /** What the header of its file says, from the last load; absent before the first, and where an engine does not tell. */
  file: modelFileSchema.optional(),
  /** For an alias: the model that answers. Answers name this id in their `model` field. */
  alias_of: z.string().optional(),
});
export type ModelEntry = z.infer<typeof modelEntrySchema>;

export const modelListSchema = z.object({ object: z.literal("list"), data: z.array(modelEntrySchema) });

export const neuronHealthStateSchema = z.enum(["unknown", "healthy", "unhealthy"]);
export type NeuronHealthState = z.infer<typeof neuronHealthStateSchema>;

/**
 * `GET /health` and `GET /`, always HTTP 200. `ok`: all is well; `impaired`: some neuron does not answer or some
 * loaded model cannot serve; `degraded`: no neuron is healthy, so nothing can be served, or clients are turned away.
 */
export const gatewayHealthSchema = z.object({
  status: z.enum(["ok", "impaired", "degraded"]),
  nodes: z.object({ healthy: z.int().nonnegative(), total: z.int().nonnegative() }),
  models: z.object({ declared: z.int().nonnegative(), loaded: z.int().nonnegative() }),
  requests_in_flight: z.int().nonnegative(),
  loads_in_progress: z.int().nonnegative(),
  /** Why it is degraded though neurons are healthy; absent where it is not. */
  reasons: z.array(z.string()).optional(),
  unservable: z.array(
    z.object({ node: z.string(), model: z.string(), reason: z.string(), detail: z.string() }),
  ),
});
export type GatewayHealth = z.infer<typeof gatewayHealthSchema>;

export const gatewayVersionSchema = z.object({
  package_version: z.string(),
  git_sha: z.string(),
  node_version: z.string(),
});
export type GatewayVersion = z.infer<typeof gatewayVersionSchema>;

/** `GET /usage?since_ms=&until_ms=`: what was counted, by hour, key and model. */
export const usageReportSchema = z.object({
  fleet: z.string(),
  since_ms: z.number(),
  until_ms: z.number(),
  rows: z.array(
    z.object({
      hour_ms: z.number(),
      key: z.string(),
      model: z.string(),
      requests: z.int().nonnegative(),
      /** Answers that broke off, or whose client left. */
      cut: z.int().nonnegative(),
      failed: z.int().nonnegative(),
      prompt_tokens: z.int().nonnegative(),
      completion_tokens: z.int().nonnegative(),
      cached_tokens: z.int().nonnegative(),
      reasoning_tokens: z.int().nonnegative(),
    }),
  ),
  /** What the limited keys have left now. */
  keys: z.array(
    z.object({
      id: z.string(),
      /** Tokens of the window, null where tokens are not limited. */
      hard_cap: z.int().nullable(),
      window_secs: z.int().nullable(),
      spent_tokens: z.int().nonnegative(),
      reserved_tokens: z.int().nonnegative(),
      requests_in_last_minute: z.int().nonnegative(),
      parallel_requests: z.int().nonnegative(),
    }),
  ),
});
export type UsageReport = z.infer<typeof usageReportSchema>;

export const fleetModelStateSchema = z.object({
  id: z.string(),
  status: modelStatusSchema,
  devices: z.array(z.int()),
  vram_used_mb: z.int().nonnegative(),
  servable: z.object({ ok: z.boolean(), reason: z.string().optional(), detail: z.string().optional() }),
  /** Absent while the neuron reports no load for it. */
  load: modelLoadSchema.nullable(),
  /** Requests this gateway has open at the replica. */
  outstanding: z.int().nonnegative(),
  /** Of its answers to this gateway of late; absent where none was measured. */
  tokens_per_sec: z.number().nonnegative().optional(),
  /** It fails of late and is left out while another one serves; absent where it is trusted. */
  left_out: z.literal(true).optional(),
  /** How `vram_used_mb` is split over `devices`, in their order; absent where the neuron does not say. */
  device_vram_mb: z.array(z.int().nonnegative()).optional(),
  /** Who had it loaded; absent from gateways that do not say. */
  origin: loadOriginSchema
    .pick({ kind: true, ref: true, fleet: true, uncommitted: true })
    .extend({ kind: loadOriginSchema.shape.kind.catch("manual") })
    .optional(),
  /** Another fleet had it loaded; absent from copies that are this fleet's, or a person's. */
  foreign: z.literal(true).optional(),
  /** Milliseconds since the epoch; null when no request has used it; absent from gateways that do not say. */
  last_used_ms: z.number().nullable().optional(),
});
export type FleetModelState = z.infer<typeof fleetModelStateSchema>;

export const fleetNeuronStateSchema = z.object({
  name: z.string(),
  endpoint: z.string(),
  health: neuronHealthStateSchema,
  /** Polls missed in a row. */
  misses: z.int().nonnegative(),
  /** Why the last poll failed; null after one that did not. */
  problem: z.string().nullable(),
  /** `drain = true` in the fleet files, or the neuron says that it drains. */
  draining: z.boolean(),
  last_seen_ms: z.number().nullable(),
  uptime_secs: z.number().nullable(),
  generation: z.int().nullable(),
  devices: z.array(
    deviceSchema.extend({
      vram_used_mb: z.int().nonnegative().nullable(),
      vram_free_mb: z.int().nonnegative().nullable(),
      utilization_pct: z.number().nullable(),
      temp_c: z.number().nullable(),
    }),
  ),
  models: z.array(fleetModelStateSchema),
});
export type FleetNeuronState = z.infer<typeof fleetNeuronStateSchema>;

export const fleetLoadStateSchema = z.object({
  model: z.string(),
  node: z.string(),
  state: z.string(),
  progress: z.number().nullable(),
  waiting: z.int().nonnegative(),
  elapsed_ms: z.number().nonnegative(),
  /** Who is to leave for it; absent where nobody is. */
  evict: z.array(z.string()).optional(),
});

export const fleetTrafficSchema = z.object({
  requests_in_flight: z.int().nonnegative(),
  /** Over the last ten seconds. */
  requests_per_sec: z.number().nonnegative(),
  /** Tokens of answers over the last ten seconds; absent, as what follows, from gateways that do not say. */
  tokens_per_sec: z.number().nonnegative().optional(),
  /** Until the first token, of streams that had it within the last minute; null where none had. */
  first_token_ms: z.object({ p50: z.number(), p95: z.number() }).nullable().optional(),
  /** Requests that ended in an error within the last minute; clients that left are none. */
  errors_per_min: z.int().nonnegative().optional(),
});
export type FleetTraffic = z.infer<typeof fleetTrafficSchema>;

/** One of the processes that serve requests, of a gateway that has several (`cortex serve --workers`). */
export const gatewayWorkerSchema = z.object({
  /** From 1; who takes the place of a dead one has its number. */
  worker: z.int().positive(),
  /** `down`: it has ended, and is started again in a while. */
  state: z.enum(["starting", "serving", "down"]),
  /** Null while it is down. */
  pid: z.int().nullable(),
  /** Milliseconds since the epoch: when its process was started; null while it is down. */
  up_since_ms: z.number().nullable(),
  /** How often this place was filled again since the gateway runs. */
  restarts: z.int().nonnegative(),
  /** As it told half a second ago, or less. */
  requests_in_flight: z.int().nonnegative(),
});
export type GatewayWorker = z.infer<typeof gatewayWorkerSchema>;

/** `GET /fleet`: everything the gateway knows at this moment; feeds `cortex status`. */
export const fleetStateSchema = z.object({
  fleet: z.string(),
  now_ms: z.number(),
  health: gatewayHealthSchema,
  neurons: z.array(fleetNeuronStateSchema),
  /** Loads that this gateway has asked for. */
  loads: z.array(fleetLoadStateSchema),
  /** Requests that wait for a load or a place; absent from gateways that do not say. */
  queues: z
    .array(
      z.object({
        model: z.string(),
        waiting: z.int().nonnegative(),
        longest_wait_ms: z.number().nonnegative(),
      }),
    )
    .optional(),
  /** Loads that failed and have not succeeded since, in the neuron's own words; not for clients. */
  failed_loads: z
    .array(
      z.object({
        model: z.string(),
        node: z.string(),
        code: z.string(),
        message: z.string(),
        /** In a row. */
        times: z.int().positive(),
        /** Milliseconds since the epoch: the next try is due. */
        retry_at_ms: z.number(),
      }),
    )
    .optional(),
  /** The fleet files as they are served, without secrets: what `cortex plan` compares the files with. */
  declared: servedFleetSchema,
  /** Absent from gateways that do not say. */
  traffic: fleetTrafficSchema.optional(),
  /** By number; absent where the gateway is one process. */
  workers: z.array(gatewayWorkerSchema).optional(),
});
export type FleetState = z.infer<typeof fleetStateSchema>;

/** A comment at least this often, so that silence means trouble. */
export const FLEET_HEARTBEAT_MS = 1000;

const partOf = fleetStateSchema.shape;

/**
 * `GET /fleet/events`: server-sent events, the whole of `GET /fleet` first, then every change, twice a second at most.
 * Ids and `Last-Event-ID` are as in a neuron's `GET /events`. A snapshot may come at any time: it replaces everything.
 * What only the clock changes (`now_ms`, uptimes, how long something takes) is as of the last change of its part.
 */
export const fleetStateEventSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("snapshot-taken"), state: fleetStateSchema }),
  /** A neuron, its memory by device, its models and their work are different now, or it is new. */
  z.object({ kind: z.literal("neuron-changed"), neuron: fleetNeuronStateSchema }),
  /** The fleet files declare it no more. */
  z.object({ kind: z.literal("neuron-removed"), name: z.string() }),
  /** Loads, with who gives way, their progress and who waits; those that failed; and the queues. */
  z.object({
    kind: z.literal("loads-changed"),
    loads: partOf.loads,
    queues: partOf.queues,
    failed_loads: partOf.failed_loads,
  }),
  z.object({
    kind: z.literal("traffic-changed"),
    health: gatewayHealthSchema,
    traffic: fleetTrafficSchema,
    workers: partOf.workers,
  }),
  /** Other fleet files are in force. */
  z.object({ kind: z.literal("declaration-changed"), fleet: z.string(), declared: servedFleetSchema }),
]);
export type FleetStateEvent = z.infer<typeof fleetStateEventSchema>;

/** The state after an event; null as long as no snapshot came. */
export function applyFleetStateEvent(seen: FleetState | null, event: FleetStateEvent): FleetState | null {
  if (event.kind === "snapshot-taken") return event.state;
  if (seen === null) return null;
  switch (event.kind) {
    case "neuron-changed": {
      const { neuron } = event;
      const isKnown = seen.neurons.some(({ name }) => name === neuron.name);
      const neurons = isKnown
        ? seen.neurons.map((old) => (old.name === neuron.name ? neuron : old))
        : [...seen.neurons, neuron];
      return { ...seen, neurons };
    }
    case "neuron-removed":
      return { ...seen, neurons: seen.neurons.filter(({ name }) => name !== event.name) };
    case "loads-changed":
    case "traffic-changed":
    case "declaration-changed": {
      const { kind: _kind, ...parts } = event;
      return { ...seen, ...parts };
    }
    default:
      return assertNever(event);
  }
}
