import { z } from "zod";
import { isRecord } from "../core/json.ts";
import { KV_CACHE_TYPES } from "../fleet/schema/kv-cache-types.ts";
import { wireFailureSchema } from "./neuron-failure.ts";

/**
 * The neuron's HTTP API (port 13131), as read by gateway and controller. Sizes are whole MiB (`_mb`, kept from
 * the upstream project's field names), times are seconds unless the name says otherwise.
 * Readers ignore fields they do not know, so neighbouring versions can talk.
 */
/*
 * Words out of lists that grow end in `.catch("unknown")`: one that this version does not know yet, said by a newer
 * neuron, is no reason to disbelieve everything else that it says. What is asked of a neuron stays strict.
 */
export const deviceKindSchema = z.enum(["cuda", "metal", "vulkan", "cpu", "simulated", "unknown"]);

export const deviceSchema = z.object({
  index: z.int().nonnegative(),
  uuid: z.string(),
  kind: deviceKindSchema.catch("unknown"),
  name: z.string(),
  vram_total_mb: z.int().nonnegative(),
  compute_capability: z.string().nullable(),
  /** The card, by uuid, that this is a part of (MIG): a process sees one part and no device beside it. */
  part_of: z.string().optional(),
});
export type DeviceKind = z.infer<typeof deviceKindSchema>;
export type Device = z.infer<typeof deviceSchema>;

/** What a model's file says of it: for clients that show it, nothing is decided by it. */
export const modelFileSchema = z.object({
  /** Of all its parts. */
  bytes: z.int().nonnegative(),
  architecture: z.string(),
  parameters: z.int().nonnegative().nullable(),
  /** How the weights are written, such as Q4_K_M; null where the file does not say. */
  quantization: z.string().nullable(),
  /** Tokens that it was trained for. */
  trained_context: z.int().positive(),
  embedding_length: z.int().positive().nullable(),
});
export type ModelFile = z.infer<typeof modelFileSchema>;

/** What a model turned out to be able to do, kept after it has left. */
export const modelAbilitiesSchema = z.object({
  capabilities: z.array(z.string()),
  tool_call: z.boolean(),
  reasoning: z.boolean(),
});
export type ModelAbilities = z.infer<typeof modelAbilitiesSchema>;

/** What a neuron has learnt about a model in certain settings, from a past load or from the header of its file. */
export const modelFactSchema = z.object({
  model_id: z.string(),
  spec_hash: z.string(),
  source: z.enum(["measured", "metadata", "unknown"]).catch("unknown"),
  vram_mb: z.int().nonnegative(),
  /** Cache that one more token of context costs, over all slots. */
  cache_bytes_per_token: z.int().positive().optional(),
  fetch_bytes: z.int().nonnegative().optional(),
  /** How long a load takes here, and whether that was measured or follows from other loads. */
  load_secs: z.number().nonnegative().optional(),
  load_secs_source: z.enum(["measured", "neuron_rate"]).optional().catch(undefined),
  file: modelFileSchema.optional().catch(undefined),
  abilities: modelAbilitiesSchema.optional().catch(undefined),
});
export type ModelFact = z.infer<typeof modelFactSchema>;

/** `GET /discovery`: what the machine is. Never configured, always found. */
export const discoverySchema = z.object({
  hostname: z.string(),
  os: z.string(),
  kernel: z.string(),
  cpu_cores: z.int().positive(),
  driver_version: z.string().nullable(),
  devices: z.array(deviceSchema),
  harnesses: z.array(z.string()),
  /** Why \`llama\` is not among the harnesses; absent when it is. */
  engine_unavailable_reason: z.string().optional(),
  /** Why no CUDA device is listed although one may be there; null when there is nothing to explain. */
  cuda_unavailable_reason: z.string().nullable(),
  disk_free_bytes: z.int().nonnegative().nullable(),
  /** Absent when the neuron keeps none. */
  facts: z.array(modelFactSchema).optional(),
});
export type Discovery = z.infer<typeof discoverySchema>;

/** What a caller wants loaded. Two specs with the same `specHash` are the same model in the same settings. */
export const modelSpecSchema = z.object({
  model_id: z.string().min(1),
  /** `openai`: an external engine at `endpoint`, or started by `command`; only a neuron that lists it in `harnesses` takes such a spec. */
  harness: z.enum(["llama", "openai"]).default("llama"),
  /** `file:<path>`, a name in the model store, `hf:org/repo[@revision][:tag or file]` or `https://...`; absent: the id names it. */
  source: z.string().min(1).optional(),
  /** Lower-case hex digest that the file must have. */
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  /** Context per slot in tokens; absent means what the file was trained for, bounded by the neuron. */
  context: z.int().positive().optional(),
  /** Requests decoded side by side. */
  parallel: z.int().positive().default(1),
  /** CPU threads that compute it; absent means the worker chooses. */
  threads: z.int().positive().max(1024).optional(),
  /** What the cache keeps keys and values in; absent means f16. */
  kv_cache_type: z.enum(KV_CACHE_TYPES).optional(),
  flash_attention: z.boolean().optional(),
  /** All tokens are kept in layers with a sliding window too. */
  swa_full: z.boolean().optional(),
  batch_size: z.int().positive().optional(),
  /** Sources as the model's own: adapters put on it, and a small model that guesses what it will write. */
  lora: z.array(z.object({ source: z.string().min(1), scale: z.number().default(1) })).optional(),
  draft: z.string().min(1).optional(),
  prompt_lookup: z.boolean().optional(),
  min_devices: z.int().positive().default(1),
  /** Declared footprint; a reservation until the load is measured. */
  vram_mb: z.int().positive().optional(),
  /** Device indices chosen by the caller; absent means the neuron chooses. */
  devices: z.array(z.int().nonnegative()).optional(),
  /** Base URL of an external engine, as the neuron reaches it. */
  endpoint: z.string().min(1).optional(),
  /** What the external engine calls the model; absent means the id. */
  served_as: z.string().min(1).optional(),
  /** File on the neuron with the external engine's bearer token. */
  token_file: z.string().min(1).optional(),
  /** Starts the external engine: program and arguments, with `${PORT}` for the port that the neuron chooses. */
  command: z.array(z.string().max(4096)).min(1).max(256).optional(),
  /** Path that answers 200 once the external engine is ready. */
  health_path: z.string().regex(/^\//).optional(),
  /** How long an external engine may take until it is ready. */
  start_timeout_secs: z.int().positive().optional(),
  /** What the external engine can do that cannot be tried: `DECLARED_ABILITIES`. */
  capabilities: z.array(z.string()).optional(),
});
export type ModelSpec = z.infer<typeof modelSpecSchema>;

/** Who asked: a catalogue revision (declared resident) or a request (on demand). */
export const loadOriginSchema = z.object({
  kind: z.enum(["revision", "request", "manual"]),
  /** The revision or request id. */
  ref: z.string().optional(),
  /** Name of the fleet that wants it; absent where nobody says, as in loads by hand and by older versions. */
  fleet: z.string().optional(),
  /** The files differed from the revision. */
  uncommitted: z.boolean().optional(),
  /** Digests that tell the fleet's repository from others; absent outside of git. */
  repository: z.array(z.string()).optional(),
});
export type LoadOrigin = z.infer<typeof loadOriginSchema>;

/** A way of loading that is not known here is nobody's of ours: such a copy is left alone, as a person's is. */
const reportedOriginSchema = loadOriginSchema.extend({
  kind: loadOriginSchema.shape.kind.catch("manual"),
});

export const loadRequestSchema = modelSpecSchema.extend({
  origin: loadOriginSchema.default({ kind: "manual" }),
});
export type LoadRequest = z.infer<typeof loadRequestSchema>;

/** `POST /models/swap`: one step under one condition. */
export const swapRequestSchema = z.object({
  load: loadRequestSchema,
  /** Who gives way, in this order, as far as the memory is needed: the neuron measures, the caller need not. */
  evict: z.array(z.string().min(1)).default([]),
  /** How long their work in flight may take to end; the swap fails with `model_busy` after that, and all stay. */
  drain_timeout_secs: z.number().nonnegative().default(30),
  /** Cut their work in flight instead of waiting for it. */
  force: z.boolean().default(false),
});
export type SwapRequest = z.infer<typeof swapRequestSchema>;

export const unloadRequestSchema = z.object({
  model_id: z.string().min(1),
  /** How long work in flight may take to end; the unload fails with `model_busy` after that. */
  drain_timeout_secs: z.number().nonnegative().default(30),
  /** Cut work in flight instead of waiting for it. */
  force: z.boolean().default(false),
  /** Load it again as it was, once its process is gone: its memory is then given out anew. Neurons that count cycles do. */
  reload: z.boolean().default(false),
});
/** As it is asked: what is left out has its default. */
export type UnloadAsked = z.input<typeof unloadRequestSchema>;
export type UnloadRequest = z.infer<typeof unloadRequestSchema>;

/** `POST /models/estimate`: one spec, or several. */
export const estimateRequestSchema = z.preprocess(
  (body) => (isRecord(body) && "models" in body ? body : { models: [body] }),
  z.object({ models: z.array(modelSpecSchema).max(1000) }),
);

/** What a load would take, said before it. */
export const modelEstimateSchema = z.object({
  model_id: z.string(),
  spec_hash: z.string(),
  /** From a past load, from the catalogue, from the header of the file, or from nothing but its size. */
  source: z.enum(["measured", "declared", "metadata", "file_size", "unknown"]).catch("unknown"),
  vram_mb: z.int().nonnegative(),
  /** What the header lets expect, by what for. */
  weights_mb: z.int().nonnegative(),
  cache_mb: z.int().nonnegative(),
  compute_mb: z.int().nonnegative(),
  cache_bytes_per_token: z.int().positive().optional(),
  file_bytes: z.int().nonnegative(),
  /** Of all files what a load would fetch first, adapters and draft included; absent from neurons of before. */
  fetch_bytes: z.int().nonnegative().optional(),
  /** Tokens that a slot would get; null when the engine decides. */
  context: z.int().positive().nullable(),
  parallel: z.int().positive(),
  /** Null when no load on this neuron tells. */
  load_secs: z.number().nonnegative().nullable(),
  load_secs_source: z.enum(["measured", "neuron_rate"]).nullable().catch(null),
  /** Where it would go now; empty when it does not fit now. */
  devices: z.array(z.object({ index: z.int().nonnegative(), vram_mb: z.int().nonnegative() })),
  fits_now: z.object({ ok: z.boolean(), reason: z.string().optional(), detail: z.string().optional() }),
});
export type ModelEstimate = z.infer<typeof modelEstimateSchema>;

/** In the order of the request; a model that cannot be estimated has its error instead. */
export const estimateResponseSchema = z.object({
  estimates: z.array(
    z.union([modelEstimateSchema, z.object({ model_id: z.string(), error: wireFailureSchema })]),
  ),
});
export type EstimateResponse = z.infer<typeof estimateResponseSchema>;

export const modelLimitSchema = z.object({
  context: z.int().positive(),
  input: z.int().positive().optional(),
  output: z.int().positive(),
});

export const modelStatusSchema = z.enum(["loading", "loaded", "unloading", "unknown"]);
export type ModelStatus = z.infer<typeof modelStatusSchema>;

/** CPU threads of a model's steps; answers by how many are written side by side, from `streams` up. Null: not chosen yet. */
export const threadsInUseSchema = z.object({
  source: z.enum(["declared", "remembered", "measured", "unknown"]).catch("unknown"),
  prompts: z.int().positive().nullable(),
  answers: z.array(z.object({ streams: z.int().positive(), threads: z.int().positive() })),
});
export type ThreadsInUse = z.infer<typeof threadsInUseSchema>;

const settingSourceSchema = z.enum(["declared", "remembered", "engine", "unknown"]).catch("unknown");
/** What a context is made with: tried while a loaded model is idle, for its next load. `on: null`: llama.cpp decides. */
export const stepsInUseSchema = z.object({
  batch_size: z.object({ source: settingSourceSchema, tokens: z.int().positive() }),
  flash_attention: z.object({ source: settingSourceSchema, on: z.boolean().nullable() }),
  found: z.object({ batch_size: z.int().positive(), flash_attention: z.boolean().nullable() }).nullable(),
});
export type StepsInUse = z.infer<typeof stepsInUseSchema>;

/** One element of `GET /models`. */
export const residentModelSchema = z.object({
  id: z.string(),
  harness: z.string(),
  status: modelStatusSchema.catch("unknown"),
  spec_hash: z.string(),
  /** What was asked for; absent from neurons that do not say. `cortex import` writes fleet files from it. */
  spec: modelSpecSchema.optional().catch(undefined),
  devices: z.array(z.int()),
  /** Measured after the load; the reservation before it. */
  vram_used_mb: z.int().nonnegative(),
  vram_measured: z.boolean(),
  /** How `vram_used_mb` is split over `devices`, in their order; absent when the neuron does not say. */
  device_vram_mb: z.array(z.int().nonnegative()).optional(),
  capabilities: z.array(z.string()),
  limit: modelLimitSchema.nullable(),
  parallel: z.int().positive(),
  tool_call: z.boolean(),
  reasoning: z.boolean(),
  /** Absent before the model is loaded, and where an engine does not tell. */
  file: modelFileSchema.optional().catch(undefined),
  servable: z.object({ ok: z.boolean(), reason: z.string().optional(), detail: z.string().optional() }),
  origin: reportedOriginSchema,
  /** Milliseconds since the epoch; null when no request has used it yet. */
  last_used_ms: z.number().nullable(),
  loaded_at_ms: z.number().nullable(),
  load_duration_ms: z.number().nullable(),
  /** Models that have left its devices since it was loaded; absent from neurons that do not count. */
  cycles: z.int().nonnegative().optional().catch(undefined),
  /** Null before the model is loaded; absent from neurons that do not say. */
  threads: threadsInUseSchema.nullable().optional().catch(undefined),
  steps: stepsInUseSchema.nullable().optional().catch(undefined),
  /** Process id of the worker, while there is one. */
  pid: z.int().nullable(),
});
export type ResidentModel = z.infer<typeof residentModelSchema>;

/** `GET /models`. The generation counts every change of residency; a change may demand it with `If-Match`. */
export const modelsResponseSchema = z.object({
  generation: z.int().nonnegative(),
  models: z.array(residentModelSchema),
  /** The last event of `GET /events` before this answer: tells which of two answers is newer. */
  event_id: z.string().optional(),
});
export type ModelsResponse = z.infer<typeof modelsResponseSchema>;

export const modelLoadSchema = z.object({
  id: z.string(),
  in_flight: z.int().nonnegative(),
  queue_depth: z.int().nonnegative(),
  max_in_flight: z.int().nonnegative(),
  max_queue_depth: z.int().nonnegative(),
  rejected_queue_full: z.int().nonnegative(),
});
export type ModelLoad = z.infer<typeof modelLoadSchema>;

export const deviceReadingSchema = z.object({
  index: z.int().nonnegative(),
  vram_used_mb: z.int().nonnegative(),
  vram_free_mb: z.int().nonnegative(),
  utilization_pct: z.number().nullable(),
  temp_c: z.number().nullable(),
});

/** What the neuron held before its last start, on its way back; a model is in exactly one list. */
export const activationSchema = z.object({
  state: z.enum(["pre_warming", "ready"]),
  pending: z.array(z.string()),
  in_progress: z.string().nullable(),
  completed: z.array(z.string()),
  failed: z.array(z.object({ model_id: z.string(), error: z.string() })),
});
export type Activation = z.infer<typeof activationSchema>;

/** `GET /health`: live readings; cheap enough to ask every second. */
export const healthSchema = z.object({
  status: z.enum(["ok", "draining", "unknown"]).catch("unknown"),
  uptime_secs: z.number().nonnegative(),
  devices: z.array(deviceReadingSchema),
  models: z.array(modelLoadSchema),
  activation: activationSchema.optional(),
  /** As in `GET /models`. */
  event_id: z.string().optional(),
});
export type Health = z.infer<typeof healthSchema>;

export const versionSchema = z.object({
  package_version: z.string(),
  git_sha: z.string(),
  node_version: z.string(),
  node_llama_cpp_version: z.string().nullable(),
});
export type Version = z.infer<typeof versionSchema>;

export const jobStateSchema = z.enum([
  "queued",
  "downloading",
  "verifying",
  "reserving",
  "loading",
  "draining",
  "stopping",
  "done",
  "failed",
  "unknown",
]);
export type JobState = z.infer<typeof jobStateSchema>;

/** `GET /jobs/{id}`: one load or unload. `done` and `failed` are final. */
export const jobSchema = z.object({
  id: z.string(),
  kind: z.enum(["load", "unload", "unknown"]).catch("unknown"),
  model_id: z.string(),
  state: jobStateSchema.catch("unknown"),
  /** 0..1 of the step that `state` names, when it can be told. */
  progress: z.number().min(0).max(1).nullable(),
  /** While its file is fetched; absent before and after, and from neurons that fetch nothing. */
  download: z
    .object({
      bytes_done: z.int().nonnegative(),
      /** Null until the sizes of all files are known. */
      bytes_total: z.int().nonnegative().nullable(),
      eta_secs: z.number().nonnegative().nullable(),
    })
    .optional(),
  /** Of a swap: who was told to go for it; absent before that, and of other jobs. */
  evicted: z.array(z.string()).optional(),
  created_at_ms: z.number(),
  ended_at_ms: z.number().nullable(),
  /** When its model is expected to be there, by loads that were measured; absent when none tells. */
  eta_at_ms: z.number().optional(),
  error: wireFailureSchema.nullable(),
});
export type Job = z.infer<typeof jobSchema>;

/** `GET /jobs`: those that are remembered, the latest first. */
export const jobsResponseSchema = z.object({ jobs: z.array(jobSchema) });

/** Answer of `POST /models/load`, `/models/swap` and `/models/unload`: 202 with the job, or 200 once nothing is left to do. */
export const changeResponseSchema = z.object({
  status: z.enum(["loaded", "unloaded", "pending", "unknown"]).catch("unknown"),
  job: jobSchema.nullable(),
});
export type ChangeResponse = z.infer<typeof changeResponseSchema>;
