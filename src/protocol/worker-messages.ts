import { z } from "zod";
import { ERROR_TABLE, type ErrorCode } from "../core/errors.ts";
import { modelFileSchema, modelSpecSchema, stepsInUseSchema, threadsInUseSchema } from "./neuron-api.ts";

/**
 * What neuron and worker say to each other over the child-process IPC channel (JSON). Inference never travels
 * here: it goes over the worker's Unix socket. A request is in the imperative, a report in the past tense.
 */

/**
 * Requests that may wait for each slot. The neuron refuses what is beyond it, and the worker holds the same number, so
 * that nothing is refused after it was taken.
 */
export const QUEUED_PER_SLOT = 8;

/** A worker that hibernates begins to write no state later than this after it was told to stop. */
export const HIBERNATE_WITHIN_MS = 3000;

const keptThreadsSchema = z.object({
  threads: z.int().positive(),
  /** Of a step of that many answers, or of a token of a prompt: much slower steps mean that the machine is another. */
  cost_ms: z.number().nonnegative(),
});

/** How many threads compute which kind of step, found by trying; remembered by the neuron for the next load. */
export const calibrationSchema = z.object({
  /** Model, engine and machine that it was tried on; only the worker can tell. */
  key: z.string(),
  prompts: keptThreadsSchema.nullable(),
  /** From so many answers side by side upwards. */
  answers: z.array(keptThreadsSchema.extend({ streams: z.int().positive() })),
  /** How its context is made; null or absent where it was not tried. */
  context: z
    .object({ batch_size: z.int().positive(), flash_attention: z.boolean().nullable() })
    .nullable()
    .optional()
    .catch(undefined),
});
export type Calibration = z.infer<typeof calibrationSchema>;

/** A model that an engine holds which is not ours: one that runs already, or one that a command starts. */
const externalEngineSchema = z.object({
  /** Base URL, without `/v1`. */
  endpoint: z.string().min(1).optional(),
  /** Program and arguments; `${PORT}` in them stands for the port that is chosen. */
  command: z.array(z.string()).min(1).optional(),
  /** What the engine calls the model; absent means as clients do. */
  served_as: z.string().min(1).optional(),
  token_file: z.string().min(1).optional(),
  /** Answers 200 once the engine is ready; absent means that the worker finds one. */
  health_path: z.string().min(1).optional(),
  start_timeout_ms: z.int().positive().optional(),
  /** Declared: what it can do that cannot be tried. */
  capabilities: z.array(z.string()).optional(),
  /** Declared: what counts where nothing can be measured. */
  vram_bytes: z.int().nonnegative().optional(),
});
export type ExternalEngine = z.infer<typeof externalEngineSchema>;

const toolCallSchema = z.strictObject({
  name: z.string().min(1),
  arguments: z.record(z.string(), z.unknown()).default({}),
});

/** An answer that is written down. The first whose `when` is in the last message of the conversation is given. */
const scriptedAnswerSchema = z.strictObject({
  /** Text that the last message contains; absent: any. */
  when: z.string().optional(),
  /** How often it is given; then the next that fits is. Absent: always. */
  times: z.int().positive().optional(),
  reasoning: z.string().default(""),
  text: z.string().default(""),
  tool_calls: z.array(toolCallSchema).default([]),
});
export type ScriptedAnswer = z.infer<typeof scriptedAnswerSchema>;

/** How models behave that the script names. */
export const modelScriptSchema = z.strictObject({
  /** Ids, with `*` and `?`. */
  match: z.string().min(1).default("*"),
  /** Instead of the time that its size would take. */
  load_secs: z.number().nonnegative().optional(),
  /** The load ends so, with this message. */
  load_fails: z.string().min(1).optional(),
  tokens_per_sec: z.number().positive().default(50),
  /** The worker dies by SIGSEGV after so many tokens of one answer. */
  crash_after_tokens: z.int().nonnegative().optional(),
  /** The answer says nothing more after so many tokens, and never ends. */
  hang_after_tokens: z.int().nonnegative().optional(),
  /** Faults come with this request and each later one; the first is 1. */
  from_request: z.int().positive().default(1),
  answers: z.array(scriptedAnswerSchema).default([]),
});
export type ModelScript = z.infer<typeof modelScriptSchema>;

/** In the environment of an engine that a worker has started: which copy of which model it is for. */
export const INSTANCE_VARIABLE = "CORTEX_INSTANCE";

/** Load the model and listen; said once, first. */
const workerStartSchema = z.object({
  kind: z.literal("start-worker"),
  /** Where the worker listens; only the user who runs it can open the socket. */
  socket_path: z.string().min(1),
  model_path: z.string().min(1),
  /** The name that responses carry in `model`. */
  model_id: z.string().min(1),
  /** Context per slot in tokens; absent means what the file was trained for, bounded by what fits. */
  context: z.int().positive().optional(),
  /** Slots: requests decoded side by side. */
  parallel: z.int().positive(),
  /** Only tokens are counted and named: the weights stay where they are. */
  vocabulary_only: z.boolean().optional(),
  /** What the driver takes to mean the devices of this model; set before the engine starts. */
  device_environment: z.record(z.string(), z.string()).optional(),
  /** False keeps the model on the CPU, whatever the machine has. */
  gpu: z.boolean(),
  flash_attention: z.boolean().optional(),
  kv_cache_type: modelSpecSchema.shape.kv_cache_type,
  swa_full: z.boolean().optional(),
  batch_size: z.int().positive().optional(),
  /** Adapters put on the model. */
  lora: z.array(z.object({ path: z.string().min(1), scale: z.number() })).optional(),
  /** A small model of the same vocabulary that guesses what this one will write. */
  draft_path: z.string().min(1).optional(),
  /** What stood before after the last tokens is a guess too. */
  prompt_lookup: z.boolean().optional(),
  /** Which copy of the model it is; what a later neuron knows it by. */
  instance: z.string().optional(),
  spec_hash: z.string().optional(),
  /** How long it lives on without a neuron once it is loaded; absent means not at all. */
  orphan_grace_ms: z.int().nonnegative().optional(),
  /** Threads of prompts and answers; absent means the worker chooses. */
  threads: z.int().positive().optional(),
  /** What earlier workers chose for files of this size; the worker takes the one with its own key. */
  calibrations: z.array(calibrationSchema).optional(),
  /** Where the states of conversations outlive the worker; absent where they do not. */
  hibernation: z
    .object({
      directory: z.string().min(1),
      most_bytes: z.int().positive(),
      /** What would be computed again in less time is not written. */
      least_recompute_ms: z.number().nonnegative(),
    })
    .optional(),
  /** Absent for the engine that is built in. */
  external: externalEngineSchema.optional(),
  /** Only of simulated neurons: what the model says and how it fails. */
  script: modelScriptSchema.optional(),
});
export type WorkerStart = z.infer<typeof workerStartSchema>;

/** End what is in flight with an error, and exit. */
const workerStopSchema = z.object({ kind: z.literal("stop-worker") });

/** Neuron to worker. */
export const supervisorMessageSchema = z.discriminatedUnion("kind", [workerStartSchema, workerStopSchema]);
export type SupervisorMessage = z.infer<typeof supervisorMessageSchema>;

/** What the engine finds of GPUs, as a process of its own prints it on one line: memory is that of all of them together. */
export const engineDevicesSchema = z.object({
  gpu: z.enum(["metal", "vulkan", "cuda"]).nullable().catch(null),
  names: z.array(z.string()),
  total_bytes: z.number().nonnegative(),
  /** By whomever, as far as the system tells. */
  used_bytes: z.number().nonnegative(),
});
export type EngineDevices = z.infer<typeof engineDevicesSchema>;

/** What a loaded model turned out to be; measured where it can be. */
const workerFactsSchema = z.object({
  /** Tokens that one slot holds. */
  context_tokens: z.int().positive(),
  /** Tokens that the model was trained for. */
  trained_context_tokens: z.int().positive(),
  /** Most tokens that one answer can have. */
  max_output_tokens: z.int().positive(),
  /** "text", "tools", "embeddings", "rerank". */
  capabilities: z.array(z.string()),
  tool_call: z.boolean(),
  reasoning: z.boolean(),
  /** Model and context together, in bytes; the best figure the engine has. */
  memory_bytes: z.int().nonnegative(),
  /** Absent means measured. */
  memory_source: z.enum(["measured", "declared"]).optional().catch(undefined),
  parallel: z.int().positive(),
  architecture: z.string(),
  parameter_count: z.int().nonnegative().nullable(),
  /** Absent where there is no file that tells: engines that are not ours, scripts. */
  file: modelFileSchema.optional().catch(undefined),
  /** Absent from workers of before, and from models that write nothing. */
  threads: threadsInUseSchema.optional().catch(undefined),
  steps: stepsInUseSchema.optional().catch(undefined),
});
export type WorkerFacts = z.infer<typeof workerFactsSchema>;

/**
 * A worker that is loaded outlives its neuron, and serves these on its socket beside inference. `GET` of the identity is
 * the handshake of the next neuron. `GET` of the hold is answered and never ends: whoever has it open is the worker's
 * neuron, and when nobody has it the grace period runs. `POST` of the stop does what `stop-worker` does.
 */
export const WORKER_ROUTES = { identity: "/worker", hold: "/worker/hold", stop: "/worker/stop" } as const;

/** Rises when a neuron of the version before could not work with the worker any more. */
export const WORKER_PROTOCOL = 1;

export const workerIdentitySchema = z.object({
  protocol: z.int(),
  instance: z.string(),
  spec_hash: z.string(),
  model_id: z.string(),
  pid: z.int().positive(),
  facts: workerFactsSchema,
});
export type WorkerIdentity = z.infer<typeof workerIdentitySchema>;

const errorCodeSchema = z.custom<ErrorCode>(
  (value) => typeof value === "string" && Object.hasOwn(ERROR_TABLE, value),
  "not a code of the error table",
);

/** The load came this far. */
const loadProgressedSchema = z.object({
  kind: z.literal("load-progressed"),
  /** 0..1 of the load. */
  fraction: z.number().min(0).max(1),
});

/** The model is loaded and the socket takes requests. */
const modelLoadedSchema = z.object({ kind: z.literal("model-loaded"), facts: workerFactsSchema });

/** Threads were tried on real steps and chosen, or contexts were; said again when another is. */
const calibratedSchema = z.object({
  kind: z.literal("calibrated"),
  threads: threadsInUseSchema,
  steps: stepsInUseSchema.optional(),
  calibration: calibrationSchema,
});

/** The load failed; the worker exits with 1 after it. */
const loadFailedSchema = z.object({
  kind: z.literal("load-failed"),
  code: errorCodeSchema,
  message: z.string(),
  next: z.string().optional(),
  param: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
});

/** Worker to neuron. */
export const workerMessageSchema = z.discriminatedUnion("kind", [
  loadProgressedSchema,
  modelLoadedSchema,
  calibratedSchema,
  loadFailedSchema,
]);
export type WorkerMessage = z.infer<typeof workerMessageSchema>;
