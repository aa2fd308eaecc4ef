import { parseJson } from "../../core/json.ts";
import { Pool, type Dispatcher } from "undici";
import type { z } from "zod";
import type { Clock } from "../../core/clock.ts";
import { CortexError } from "../../core/errors.ts";
import type { NeuronBlock } from "../../fleet/schema/fleet-schema.ts";
import { fromErrorResponse } from "../../protocol/error-envelope.ts";
import {
  changeResponseSchema,
  discoverySchema,
  healthSchema,
  jobSchema,
  modelsResponseSchema,
  type ChangeResponse,
  type Discovery,
  type Health,
  type Job,
  type LoadRequest,
  type ModelsResponse,
} from "../../protocol/neuron-api.ts";
import { withDeadline } from "../../core/deadline.ts";

/** Control answers are small; a neuron that sends more than this is not one. */
const MAX_CONTROL_BYTES = 8 * 1024 * 1024;

export interface NeuronClientOptions {
  readonly clock: Clock;
  readonly controlTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** Longest silence within a relayed answer; 0 = for ever. */
  readonly silenceMs: number;
  readonly token: string | undefined;
}

/** One neuron over HTTP. Control calls have a deadline and reject with `CortexError`; `dispatch` has none. */
export interface NeuronClient {
  readonly name: string;
  discovery(signal: AbortSignal): Promise<Discovery>;
  health(signal: AbortSignal): Promise<Health>;
  models(signal: AbortSignal): Promise<ModelsResponse>;
  load(request: LoadRequest, signal: AbortSignal): Promise<ChangeResponse>;
  job(id: string, signal: AbortSignal): Promise<Job>;
  cancelJob(id: string, signal: AbortSignal): Promise<void>;
  /** Sends a request's bytes as they are; `path` is the neuron's own, such as `/v1/chat/completions`. */
  dispatch(call: RelayCall, handler: Dispatcher.DispatchHandler): void;
  /** Cuts whatever is still open. */
  destroy(): Promise<void>;
}

export interface RelayCall {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

export function createNeuronClient(neuron: NeuronBlock, options: NeuronClientOptions): NeuronClient {
  const base = new URL(neuron.endpoint);
  const prefix = base.pathname.replace(/\/+$/, "");
  const pool = new Pool(base.origin, {
    allowH2: false,
    connect: { timeout: options.connectTimeoutMs },
    headersTimeout: options.silenceMs,
    bodyTimeout: options.silenceMs,
  });
  const credentials = options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };
  const control = controlCaller({ neuron: neuron.name, pool, prefix, credentials, options });
  return {
    name: neuron.name,
    discovery: (signal) => control({ method: "GET", path: "/discovery", schema: discoverySchema, signal }),
    health: (signal) => control({ method: "GET", path: "/health", schema: healthSchema, signal }),
    models: (signal) => control({ method: "GET", path: "/models", schema: modelsResponseSchema, signal }),
    load: (request, signal) =>
      control({ method: "POST", path: "/models/load", schema: changeResponseSchema, signal, body: request }),
    job: (id, signal) => control({ method: "GET", path: jobPath(id), schema: jobSchema, signal }),
    cancelJob: async (id, signal) => {
      await control({ method: "DELETE", path: jobPath(id), schema: null, signal });
    },
    dispatch: (call, handler) => {
      pool.dispatch(
        {
          method: "POST",
          path: prefix + call.path,
          headers: { ...call.headers, ...credentials },
          body: call.body,
        },
        handler,
      );
    },
    destroy: () => pool.destroy(),
  };
}

const jobPath = (id: string): string => `/jobs/${encodeURIComponent(id)}`;

interface ControlCall<Schema extends z.ZodType | null> {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  /** Null: the answer's body does not matter. */
  readonly schema: Schema;
  readonly signal: AbortSignal;
  readonly body?: unknown;
}

type Answer<Schema> = Schema extends z.ZodType ? z.output<Schema> : null;

interface ControlContext {
  readonly neuron: string;
  readonly pool: Pool;
  readonly prefix: string;
  readonly credentials: Readonly<Record<string, string>>;
  readonly options: NeuronClientOptions;
}

function controlCaller(context: ControlContext) {
  return <Schema extends z.ZodType | null>(call: ControlCall<Schema>): Promise<Answer<Schema>> => {
    const who = `neuron ${context.neuron}`;
    const { clock, controlTimeoutMs: timeoutMs } = context.options;
    return withDeadline({ clock, timeoutMs, signal: call.signal, who }, async (signal) => {
      const { statusCode, body } = await send(context, call, signal);
      const text = await readBounded(body, context.neuron);
      if (statusCode >= 400) throw namedAfter(context.neuron, statusCode, text);
      if (call.schema === null) return null as Answer<Schema>;
      const parsed = call.schema.safeParse(parseJson(text));
      if (parsed.success) return parsed.data as Answer<Schema>;
      const issue = parsed.error.issues[0];
      const where = issue === undefined ? "" : `: ${issue.path.join(".")} ${issue.message}`;
      throw new CortexError(
        "upstream_connection_error",
        `${who} answered ${call.method} ${call.path} with something else than a neuron does${where}`,
      );
    });
  };
}

async function send(context: ControlContext, call: ControlCall<z.ZodType | null>, signal: AbortSignal) {
  const hasBody = call.body !== undefined;
  try {
    return await context.pool.request({
      method: call.method,
      path: context.prefix + call.path,
      headers: hasBody
        ? { ...context.credentials, "content-type": "application/json" }
        : { ...context.credentials },
      body: hasBody ? JSON.stringify(call.body) : null,
      signal,
    });
  } catch (thrown) {
    if (thrown instanceof CortexError || call.signal.aborted) throw thrown;
    throw new CortexError(
      "upstream_connection_error",
      `neuron ${context.neuron} does not answer (${failureCode(thrown)})`,
      { cause: thrown },
    );
  }
}

async function readBounded(body: AsyncIterable<Buffer>, neuron: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > MAX_CONTROL_BYTES) {
        throw new CortexError("upstream_connection_error", `neuron ${neuron} answered with over 8 MiB`);
      }
      chunks.push(chunk);
    }
  } catch (thrown) {
    if (thrown instanceof CortexError) throw thrown;
    const message = `neuron ${neuron} broke off its answer (${failureCode(thrown)})`;
    throw new CortexError("upstream_connection_error", message, { cause: thrown });
  }
  return Buffer.concat(chunks).toString("utf8");
}

function namedAfter(neuron: string, status: number, text: string): CortexError {
  if (status === 401 || status === 403) return refusedToken(neuron, status);
  const error = fromErrorResponse(status, parseJson(text), "upstream_connection_error");
  return new CortexError(error.code, `${neuron}: ${error.message}`, {
    details: { ...error.details, neuron },
    next: error.next,
    ...(error.param === undefined ? {} : { param: error.param }),
  });
}

/** The gateway's own credentials are wrong: nothing that a client could mend. */
export const refusedToken = (neuron: string, status: number): CortexError =>
  new CortexError(
    "upstream_connection_error",
    `neuron ${neuron} refuses the gateway's token (HTTP ${status})`,
    {
      details: { neuron },
      next: "start the gateway with the token that the neuron was started with",
    },
  );

/** The system's or the HTTP client's word for a failure: ECONNREFUSED, UND_ERR_SOCKET and so on. */
export function failureCode(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  return "code" in thrown && typeof thrown.code === "string" ? thrown.code : thrown.name;
}
