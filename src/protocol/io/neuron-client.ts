import { buildConnector, Pool } from "undici";
import type { z } from "zod";
import type { Clock } from "../../core/clock.ts";
import { withDeadline } from "../../core/deadline.ts";
import { CortexError } from "../../core/errors.ts";
import { parseJson } from "../../core/json.ts";
import {
  changeResponseSchema,
  discoverySchema,
  estimateResponseSchema,
  healthSchema,
  jobSchema,
  jobsResponseSchema,
  modelsResponseSchema,
  type ChangeResponse,
  type Discovery,
  type EstimateResponse,
  type Health,
  type Job,
  type LoadRequest,
  type ModelSpec,
  type ModelsResponse,
  type SwapRequest,
  type UnloadAsked,
} from "../neuron-api.ts";
import { REVOCATIONS_PATH } from "../trust/join-exchange.ts";
import {
  connectionProblem,
  failureCode,
  neuronRefusal,
  neuronTrouble,
  type CalledNeuron,
  type NeuronAnswer,
} from "../neuron-failure.ts";
import {
  leaseAnswerSchema,
  neuronLeaseSchema,
  type LeaseAnswer,
  type LeaseSwap,
  type NeuronLease,
} from "../refs/neuron-lease.ts";
import { readBoundedText } from "./bounded-body.ts";
import type { CallHandler } from "../wire/io/wire-connection.ts";
import { WirePool, type WireCallRequest } from "../wire/io/wire-pool.ts";
import { readNeuronEvents, type NumberedEvent } from "./read-neuron-events.ts";

export interface NeuronClientOptions {
  readonly clock: Clock;
  /** A control call that takes longer is given up. */
  readonly callTimeoutMs: number;
  /** How long connecting may take; undici's own figure by default. */
  readonly connectTimeoutMs?: number;
  readonly access?: NeuronAccess | undefined;
}

/** What neurons are called with. */
export interface NeuronAccess {
  /** Shared secret of the neurons; sent as a bearer token, never logged. */
  readonly token?: string | undefined;
  /** Connects to the neuron of that name at an https endpoint; absent: as the system trusts. */
  readonly connectorFor?: (neuron: string, timeoutMs: number | undefined) => buildConnector.connector;
}

/** Largest answer to a control call that is read; a neuron's own are a few kilobytes. */
const ANSWER_LIMIT_MIB = 8;

export interface ChangeOptions {
  /** Refused with `stale_generation` when the neuron's residency is no longer at this generation. */
  readonly generation?: number;
  /** Refused with `stale_epoch` when the neuron has seen a change of a higher one. */
  readonly epoch?: number;
  /** Whose epoch that is. */
  readonly fleet?: string;
  readonly signal?: AbortSignal;
}

/**
 * One neuron over HTTP: the only way to call it. Every control call is bounded in time and size, and rejects with a
 * CortexError as `neuron-failure.ts` words it, or with the reason of the caller's signal. `dispatch` has no deadline.
 */
export interface NeuronClient {
  readonly name: string;
  discovery(signal?: AbortSignal): Promise<Discovery>;
  health(signal?: AbortSignal): Promise<Health>;
  models(signal?: AbortSignal): Promise<ModelsResponse>;
  /** What loads would take, in the order of the specs. */
  estimate(models: readonly ModelSpec[], signal?: AbortSignal): Promise<EstimateResponse>;
  load(request: LoadRequest, options?: ChangeOptions): Promise<ChangeResponse>;
  /** Loads, and makes others leave as far as that takes their memory. */
  swap(request: SwapRequest, options?: ChangeOptions): Promise<ChangeResponse>;
  unload(request: UnloadAsked, options?: ChangeOptions): Promise<ChangeResponse>;
  /** Hands over the authority's list of revoked certificates. */
  revoke(revocations: string): Promise<void>;
  job(id: string, signal?: AbortSignal): Promise<Job>;
  /** Those that it remembers, the latest first. */
  jobs(signal?: AbortSignal): Promise<readonly Job[]>;
  /** Takes a job back; a load that somebody else has asked for too goes on. */
  cancelJob(id: string, signal?: AbortSignal): Promise<void>;
  /** Takes no new work from now on, or takes it again. */
  drain(signal?: AbortSignal): Promise<void>;
  resume(signal?: AbortSignal): Promise<void>;
  /**
   * Follows `GET /events`: what came together, in batches, without an end; an empty one for a
   * heartbeat. Rejects when the stream breaks, is silent for
   * longer than its heartbeats allow, or is refused (`route_not_found` by a neuron that has no events).
   */
  events(from: EventsFrom): AsyncIterable<readonly NumberedEvent[]>;
  /** The lock of a fleet as this neuron keeps it; `route_not_found` of one that keeps none. */
  lease(fleet: string, signal?: AbortSignal): Promise<NeuronLease>;
  swapLease(fleet: string, swap: LeaseSwap, signal?: AbortSignal): Promise<LeaseAnswer>;
  /** Asks a loaded model, and reads the whole answer as JSON; `path` as of `dispatch`. */
  ask(question: ModelQuestion): Promise<unknown>;
  /** Sends a request's bytes as they are; `path` is the neuron's own, such as `/v1/chat/completions`. Waits for ever. */
  dispatch(call: RelayCall, handler: CallHandler): void;
  /** Takes no more calls; resolves when the last one under way has ended. */
  retire(): Promise<void>;
  /** Cuts whatever is still open. */
  destroy(): Promise<void>;
}

export interface EventsFrom {
  /** Goes on after this event, where the neuron still knows it. */
  readonly lastEventId: string | undefined;
  readonly signal: AbortSignal;
}

export interface ModelQuestion {
  readonly path: string;
  readonly body: unknown;
  /** Instead of `callTimeoutMs`: an answer takes longer than a control call. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export type RelayCall = WireCallRequest;

/** Connects to nothing until the first call. */
export function createNeuronClient(neuron: CalledNeuron, options: NeuronClientOptions): NeuronClient {
  const { name, endpoint } = neuron;
  const base = new URL(endpoint);
  const prefix = base.pathname.replace(/\/+$/, "");
  const token = options.access?.token;
  const credentials = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const connect = connectorTo(neuron, options);
  const pool = new Pool(base.origin, { allowH2: false, connect });
  const { clock, connectTimeoutMs } = options;
  const wire = new WirePool(base, {
    clock,
    connectTimeoutMs,
    connector: base.protocol === "https:" ? connect : null,
    headers: credentials,
  });
  const context = { neuron: { name, endpoint }, pool, prefix, credentials, options };
  const get = <Schema extends z.ZodType>(path: string, schema: Schema, signal?: AbortSignal) =>
    read(context, { method: "GET", path, ...(signal === undefined ? {} : { signal }) }, schema);
  const change = (path: string, body: unknown, options: ChangeOptions = {}) =>
    read(context, { method: "POST", path, body, ...options }, changeResponseSchema);
  return {
    name,
    discovery: (signal) => get("/discovery", discoverySchema, signal),
    health: (signal) => get("/health", healthSchema, signal),
    models: (signal) => get("/models", modelsResponseSchema, signal),
    estimate: (models, signal) => estimate(context, models, signal),
    load: (request, options) => change("/models/load", request, options),
    swap: (request, options) => change("/models/swap", request, options),
    unload: (request, options) => change("/models/unload", request, options),
    revoke: async (revocations) => {
      await call(context, { method: "POST", path: REVOCATIONS_PATH, body: { revocations } });
    },
    job: (id, signal) => get(jobPath(id), jobSchema, signal),
    jobs: async (signal) => (await get("/jobs", jobsResponseSchema, signal)).jobs,
    cancelJob: async (id, signal) => {
      const path = `${jobPath(id)}?unless_joined=1`;
      await call(context, { method: "DELETE", path, ...(signal && { signal }) });
    },
    drain: (signal) => post(context, "/drain", signal),
    resume: (signal) => post(context, "/resume", signal),
    events: (from) => {
      const { clock, callTimeoutMs } = options;
      return readNeuronEvents(
        { neuron: context.neuron, pool, prefix, credentials, clock, callTimeoutMs },
        from,
      );
    },
    ...leaseCalls(context),
    ask: (question) => ask(context, question),
    dispatch: (call, handler) => {
      wire.dispatch(prefix === "" ? call : { ...call, path: prefix + call.path }, handler);
    },
    retire: async () => {
      await Promise.all([pool.close(), wire.close()]);
    },
    destroy: async () => {
      await Promise.all([pool.destroy(), wire.destroy()]);
    },
  };
}

const ESTIMATE_PATH = "/models/estimate";

const leaseCalls = (context: CallContext): Pick<NeuronClient, "lease" | "swapLease"> => ({
  lease: (fleet, signal) =>
    read(context, { method: "GET", path: leasePath(fleet), ...(signal && { signal }) }, neuronLeaseSchema),
  swapLease: (fleet, swap, signal) => {
    const asked = { method: "POST", path: leasePath(fleet), body: swap, ...(signal && { signal }) } as const;
    return read(context, asked, leaseAnswerSchema);
  },
});

const leasePath = (fleet: string): string => `/leases/${encodeURIComponent(fleet)}`;

async function ask(context: CallContext, { path, body, timeoutMs, signal }: ModelQuestion): Promise<unknown> {
  const patient = { ...context, options: { ...context.options, callTimeoutMs: timeoutMs } };
  const answer = await call(patient, { method: "POST", path, body, ...(signal && { signal }) });
  return answer.body;
}

const jobPath = (id: string): string => `/jobs/${encodeURIComponent(id)}`;

function connectorTo(
  { name, endpoint }: CalledNeuron,
  { connectTimeoutMs, access }: NeuronClientOptions,
): buildConnector.connector {
  const byCertificate = endpoint.startsWith("https:")
    ? access?.connectorFor?.(name, connectTimeoutMs)
    : undefined;
  const timeout = connectTimeoutMs === undefined ? {} : { timeout: connectTimeoutMs };
  return byCertificate ?? buildConnector({ allowH2: false, ...timeout });
}

const estimate = (
  context: CallContext,
  models: readonly ModelSpec[],
  signal: AbortSignal | undefined,
): Promise<EstimateResponse> =>
  read(
    context,
    { method: "POST", path: ESTIMATE_PATH, body: { models }, ...(signal && { signal }) },
    estimateResponseSchema,
  );

async function post(context: CallContext, path: string, signal: AbortSignal | undefined): Promise<void> {
  await call(context, { method: "POST", path, ...(signal && { signal }) });
}

interface ControlCall extends ChangeOptions {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
}

interface CallContext {
  readonly neuron: CalledNeuron;
  readonly pool: Pool;
  readonly prefix: string;
  readonly credentials: Readonly<Record<string, string>>;
  readonly options: NeuronClientOptions;
}

async function read<Schema extends z.ZodType>(
  context: CallContext,
  asked: ControlCall,
  schema: Schema,
): Promise<z.output<Schema>> {
  const { body } = await call(context, asked);
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const at = parsed.error.issues[0]?.path.join(".") ?? "";
  const where = at === "" ? "" : ` (${at})`;
  throw neuronTrouble(context.neuron, `answers ${asked.path} with something that no neuron says${where}`);
}

async function call(context: CallContext, asked: ControlCall): Promise<NeuronAnswer> {
  const { neuron, options } = context;
  const { clock, callTimeoutMs: timeoutMs } = options;
  const timedOut = () => neuronTrouble(neuron, `no answer within ${timeoutMs / 1000} s`);
  const answer = await withDeadline({ clock, timeoutMs, timedOut, signal: asked.signal }, (signal) =>
    send(context, asked, signal),
  );
  if (answer.status < 200 || answer.status > 299) throw neuronRefusal(neuron, answer, clock.nowMs());
  return answer;
}

const headersOf = ({ body, generation, epoch, fleet }: ControlCall): Record<string, string> => ({
  ...(body === undefined ? {} : { "content-type": "application/json" }),
  ...(generation === undefined ? {} : { "if-match": `"${generation}"` }),
  ...(epoch === undefined ? {} : { "cortex-epoch": String(epoch) }),
  ...(fleet === undefined ? {} : { "cortex-fleet": fleet }),
});

async function send(context: CallContext, asked: ControlCall, signal: AbortSignal): Promise<NeuronAnswer> {
  const { neuron, pool, prefix, credentials, options } = context;
  try {
    const response = await pool.request({
      method: asked.method,
      path: prefix + asked.path,
      headers: { ...credentials, ...headersOf(asked) },
      body: asked.body === undefined ? null : JSON.stringify(asked.body),
      signal,
    });
    const text = await readBoundedText(response.body, ANSWER_LIMIT_MIB);
    return { status: response.statusCode, headers: response.headers, body: parseJson(text) };
  } catch (thrown) {
    if (signal.aborted) throw signal.reason;
    if (thrown instanceof CortexError) throw thrown;
    const isPlain = options.access?.connectorFor !== undefined && neuron.endpoint.startsWith("http:");
    const hint =
      isPlain && failureCode(thrown) === "UND_ERR_SOCKET"
        ? "; if it has joined, its `endpoint` is https://"
        : "";
    throw neuronTrouble(neuron, connectionProblem(thrown) + hint, thrown);
  }
}
