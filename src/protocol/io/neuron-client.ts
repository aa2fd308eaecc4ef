import { parseJson } from "../../core/json.ts";
import { request, type Dispatcher } from "undici";
import type { z } from "zod";
import { CortexError, type ErrorCode } from "../../core/errors.ts";
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
  type UnloadRequest,
} from "../neuron-api.ts";
import { fromErrorResponse } from "../error-envelope.ts";

export interface NeuronClientOptions {
  readonly endpoint: string;
  /** How the neuron is called in messages. */
  readonly name: string;
  /** Shared secret of the neurons; sent as a bearer token, never logged. */
  readonly token?: string | undefined;
  /** A call that takes longer is given up. */
  readonly timeoutMs: number;
  /** Connection pool; undici's own by default. */
  readonly dispatcher?: Dispatcher | undefined;
}

/** Largest answer that is read; a neuron's own are a few kilobytes. */
const ANSWER_LIMIT_BYTES = 8 * 1024 * 1024;

/**
 * The neuron protocol as calls. Every call is bounded in time and size; every failure is a CortexError:
 * `upstream_connection_error` when the neuron cannot be reached or talks nonsense, else what its envelope says.
 */
export class NeuronClient {
  readonly #options: NeuronClientOptions;

  constructor(options: NeuronClientOptions) {
    this.#options = options;
  }

  discovery(): Promise<Discovery> {
    return this.#call({ method: "GET", path: "/discovery" }, discoverySchema);
  }

  health(): Promise<Health> {
    return this.#call({ method: "GET", path: "/health" }, healthSchema);
  }

  models(): Promise<ModelsResponse> {
    return this.#call({ method: "GET", path: "/models" }, modelsResponseSchema);
  }

  job(id: string): Promise<Job> {
    return this.#call({ method: "GET", path: `/jobs/${encodeURIComponent(id)}` }, jobSchema);
  }

  /** Refused with `stale_generation` when the neuron's residency is no longer at `generation`. */
  load(body: LoadRequest, generation: number): Promise<ChangeResponse> {
    return this.#call({ method: "POST", path: "/models/load", body, generation }, changeResponseSchema);
  }

  unload(body: UnloadRequest, generation: number): Promise<ChangeResponse> {
    return this.#call({ method: "POST", path: "/models/unload", body, generation }, changeResponseSchema);
  }

  async #call<Schema extends z.ZodType>(call: NeuronCall, schema: Schema): Promise<z.infer<Schema>> {
    const { status, headers, body } = await this.#send(call);
    if (status < 200 || status > 299) throw this.#refusal(status, { body, headers });
    const parsed = schema.safeParse(body);
    if (parsed.success) return parsed.data;
    const at = parsed.error.issues[0]?.path.join(".") ?? "";
    throw this.#problem(
      `answers ${call.path} with something that no neuron says${at === "" ? "" : ` (${at})`}`,
    );
  }

  async #send(call: NeuronCall): Promise<Answer> {
    const { endpoint, token, timeoutMs, dispatcher } = this.#options;
    try {
      const response = await request(`${endpoint}${call.path}`, {
        method: call.method,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(call.body === undefined ? {} : { "content-type": "application/json" }),
          ...(call.generation === undefined ? {} : { "if-match": `"${call.generation}"` }),
        },
        body: call.body === undefined ? null : JSON.stringify(call.body),
        signal: AbortSignal.timeout(timeoutMs),
        ...(dispatcher === undefined ? {} : { dispatcher }),
      });
      const text = await readBounded(response.body);
      return { status: response.statusCode, headers: response.headers, body: parseJson(text) };
    } catch (thrown) {
      throw this.#problem(connectionProblem(thrown, timeoutMs), thrown);
    }
  }

  #refusal(status: number, answer: Pick<Answer, "body" | "headers">): CortexError {
    const error = fromErrorResponse(status, answer.body, fallbackCode(status));
    const retryAfterSecs = Number(answer.headers["retry-after"]);
    const message = error.message.startsWith("answered with HTTP")
      ? `${this.#options.name} ${error.message}`
      : error.message;
    return new CortexError(error.code, message, {
      details: { ...error.details, neuron: this.#options.name },
      next: error.next,
      ...(Number.isFinite(retryAfterSecs) && retryAfterSecs > 0 ? { retryAfterSecs } : {}),
    });
  }

  #problem(problem: string, cause?: unknown): CortexError {
    const { name, endpoint } = this.#options;
    const details = { neuron: name, endpoint, problem };
    return new CortexError("upstream_connection_error", `${name} (${endpoint}): ${problem}`, {
      details,
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

interface NeuronCall {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: unknown;
  readonly generation?: number;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: unknown;
}

/** What a bare status means when the body is no envelope. */
function fallbackCode(status: number): ErrorCode {
  switch (status) {
    case 401:
    case 403:
      return "unauthorized";
    case 412:
      return "stale_generation";
    case 429:
      return "queue_full";
    case 503:
      return "draining";
    default:
      return "upstream_connection_error";
  }
}

async function readBounded(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > ANSWER_LIMIT_BYTES) throw new Error(`the answer is longer than ${ANSWER_LIMIT_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

const CONNECTION_PROBLEMS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection was cut",
  ENOTFOUND: "its host name is not known",
  EAI_AGAIN: "its host name cannot be looked up now",
  EHOSTUNREACH: "its host cannot be reached",
  ENETUNREACH: "its network cannot be reached",
  UND_ERR_SOCKET: "the connection was cut",
  UND_ERR_CONNECT_TIMEOUT: "no connection in time",
};

/** A failed call in words that need no manual. */
function connectionProblem(thrown: unknown, timeoutMs: number): string {
  if (!(thrown instanceof Error)) return String(thrown);
  if (thrown.name === "TimeoutError") return `no answer within ${timeoutMs / 1000} s`;
  const code = "code" in thrown && typeof thrown.code === "string" ? thrown.code : "";
  return CONNECTION_PROBLEMS[code] ?? thrown.message;
}
