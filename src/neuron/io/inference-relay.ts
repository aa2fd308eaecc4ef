import { isRecord } from "../../core/json.ts";
import { once } from "node:events";
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Dispatcher } from "undici";
import type { Clock } from "../../core/clock.ts";
import { CortexError, toCortexError } from "../../core/errors.ts";
import type { Logger } from "../../platform/logger.ts";
import { parseJsonBody } from "../../platform/http-server.ts";
import { toErrorResponse } from "../../protocol/error-envelope.ts";
import { HOP_BY_HOP_HEADERS } from "../../protocol/hop-by-hop-headers.ts";
import { describeExit, exitDetails, type WorkerExit } from "../residency/worker-exit.ts";
import type { AdmittedRequest, ResidencyLoop } from "../residency/io/residency-loop.ts";

export interface InferenceRelayDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly loop: ResidencyLoop;
  /** Told once per request: "ok", "client_gone", "http_<status>" of the worker, or the code of the failure. */
  readonly countRequest: (modelId: string, outcome: string) => void;
}

/** How long the relay waits to learn that a broken line means a dead worker. */
const EXIT_NOTICE_MS = 1_000;

/** All that a worker needs from a caller. Credentials and hop-by-hop fields stay behind. */
const FORWARDED_HEADERS = ["content-type", "accept", "x-request-id", "traceparent", "tracestate"] as const;

/**
 * Pipes a request to the worker of its model and the answer back, untouched in both directions.
 *
 * A client that leaves aborts the worker's work at once, in every phase. A worker that dies before its first
 * byte becomes an ordinary error; one that dies later leaves an answer that cannot be taken for a whole one: an
 * event stream ends with an error event and a broken connection, never with `[DONE]`; a JSON body just breaks.
 */
export function createInferenceRelay(deps: InferenceRelayDeps) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const modelId = modelOf(request.body);
    let admitted: AdmittedRequest;
    try {
      admitted = deps.loop.openRequest(modelId);
    } catch (thrown) {
      const error = toCortexError(thrown);
      // A name that is not loaded could be anything: it must not become a label.
      deps.countRequest(deps.loop.state.models.has(modelId) ? modelId : "unknown", error.code);
      throw error;
    }
    const gone = abortWhenClientLeaves(reply.raw);
    let outcome = "ok";
    try {
      outcome = await relay(deps, { admitted, request, reply, signal: gone.signal });
    } catch (thrown) {
      const error = toCortexError(thrown);
      outcome = error.code;
      throw error;
    } finally {
      gone.release();
      admitted.end();
      deps.countRequest(modelId, outcome);
    }
  };
}

function modelOf(body: unknown): string {
  const parsed = parseJsonBody(body);
  const model = isRecord(parsed) ? parsed["model"] : undefined;
  if (typeof model === "string" && model !== "") return model;
  throw new CortexError("missing_model_field", "the request names no model", {
    param: "model",
    next: "name a model; GET /models lists what is loaded",
  });
}

/** Aborts when the connection closes before the answer is written; also when it closed while nobody looked. */
function abortWhenClientLeaves(raw: ServerResponse) {
  const controller = new AbortController();
  const onClose = () => {
    if (!raw.writableFinished) controller.abort();
  };
  raw.once("close", onClose);
  if (raw.destroyed || raw.socket === null || raw.socket.destroyed) controller.abort();
  return { signal: controller.signal, release: () => raw.off("close", onClose) };
}

interface Exchange {
  readonly admitted: AdmittedRequest;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly signal: AbortSignal;
}

async function relay(deps: InferenceRelayDeps, exchange: Exchange): Promise<string> {
  const { admitted, reply, signal } = exchange;
  let response: Dispatcher.ResponseData;
  try {
    response = await askWorker(exchange);
  } catch (thrown) {
    if (!signal.aborted) throw await explainLostWorker(deps, admitted, thrown);
    reply.hijack();
    return "client_gone";
  }
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(response.statusCode, endToEndHeaders(response.headers));
  raw.flushHeaders();
  const tail: StreamTail = { endsEvent: true };
  try {
    await pump(response, raw, { signal, tail });
    return response.statusCode < 400 ? "ok" : `http_${response.statusCode}`;
  } catch (thrown) {
    if (signal.aborted) return "client_gone";
    const error = await explainLostWorker(deps, admitted, thrown);
    deps.logger.warn({ model: admitted.modelId, code: error.code }, "the worker's answer was cut");
    breakAnswer(raw, { isEventStream: isEventStream(response.headers), endsEvent: tail.endsEvent, error });
    return error.code;
  }
}

function askWorker({ admitted, request, signal }: Exchange): Promise<Dispatcher.ResponseData> {
  const headers: Record<string, string> = {};
  for (const name of FORWARDED_HEADERS) {
    const value = request.headers[name];
    if (typeof value === "string") headers[name] = value;
  }
  return admitted.worker.http.request({
    method: "POST",
    path: request.url,
    headers,
    body: request.body as Buffer,
    signal,
  });
}

interface StreamTail {
  /** Whether what was sent so far ends with a blank line, where an event may follow. */
  endsEvent: boolean;
}

async function pump(
  response: Dispatcher.ResponseData,
  raw: ServerResponse,
  { signal, tail }: { readonly signal: AbortSignal; readonly tail: StreamTail },
): Promise<void> {
  for await (const chunk of response.body) {
    const bytes = chunk as Buffer;
    tail.endsEvent = endsWithBlankLine(bytes);
    if (!raw.write(bytes)) await once(raw, "drain", { signal });
  }
  raw.end();
}

const endsWithBlankLine = (bytes: Buffer): boolean => {
  const end = bytes.subarray(-4).toString("latin1");
  return end.endsWith("\n\n") || end.endsWith("\r\n\r\n");
};

function endToEndHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const named = (headers.connection ?? "")
    .toLowerCase()
    .split(",")
    .map((name) => name.trim());
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !HOP_BY_HOP_HEADERS.has(name) && !named.includes(name)) kept[name] = value;
  }
  return kept;
}

const isEventStream = (headers: IncomingHttpHeaders): boolean =>
  (headers["content-type"] ?? "").startsWith("text/event-stream");

/** Ends a half-sent answer so that no reader can take it for a whole one. */
function breakAnswer(
  raw: ServerResponse,
  broken: { readonly isEventStream: boolean; readonly endsEvent: boolean; readonly error: CortexError },
): void {
  if (!broken.isEventStream) {
    raw.destroy();
    return;
  }
  // A half-sent event cannot be taken back; the blank line at least keeps the error event apart from it.
  const separator = broken.endsEvent ? "" : "\n\n";
  const event = `${separator}data: ${JSON.stringify(toErrorResponse(broken.error).body)}\n\n`;
  // Without the terminating chunk the message stays unfinished: the connection breaks after the event is out.
  raw.write(event, () => {
    raw.socket?.destroySoon();
  });
}

/** Why the line to the worker broke: the process died, was told to go, or only the connection failed. */
async function explainLostWorker(
  deps: InferenceRelayDeps,
  admitted: AdmittedRequest,
  thrown: unknown,
): Promise<CortexError> {
  const { modelId, worker } = admitted;
  const waited = new AbortController();
  const late = deps.clock.sleep(EXIT_NOTICE_MS, waited.signal).then(
    () => null,
    () => null,
  );
  const exit: WorkerExit | null = await Promise.race([worker.exited, late]);
  waited.abort();
  if (worker.stopRequested) {
    return new CortexError("draining", `${modelId} was unloaded by force while it answered`, {
      cause: thrown,
    });
  }
  if (exit === null) {
    return new CortexError("upstream_connection_error", `the worker of ${modelId} broke the connection`, {
      cause: thrown,
    });
  }
  return new CortexError(
    "worker_crashed",
    `the worker of ${modelId} ${describeExit(exit)} while it answered`,
    {
      details: exitDetails(exit),
      cause: thrown,
    },
  );
}
