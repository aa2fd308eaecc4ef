import { isRecord } from "../../core/json.ts";
import type { ServerResponse } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Clock } from "../../core/clock.ts";
import { CortexError, toCortexError } from "../../core/errors.ts";
import type { Logger } from "../../platform/logger.ts";
import { parseJsonBody } from "../../platform/http-server.ts";
import { toErrorResponse } from "../../protocol/error-envelope.ts";
import { USAGE_HEADER } from "../../protocol/headers/usage-header.ts";
import { HOP_BY_HOP_HEADERS } from "../../protocol/headers/hop-by-hop-headers.ts";
import { parseTimings, TIMINGS_HEADER } from "../../protocol/headers/timings-header.ts";
import { DEATHS_HEADER, readDeaths } from "../../protocol/openai/suspects.ts";
import { MODEL_SPEC_HEADER, readModelSpec } from "../../protocol/model-spec.ts";
import type { AnswerHeaders } from "../../protocol/wire/answer-head.ts";
import { isForm, modelOfForm } from "../../protocol/openai/form-body.ts";
import { TOKEN_ROUTES } from "../../protocol/openai/inference-routes.ts";
import type { Vocabularies } from "../launch/io/vocabularies.ts";
import type { WorkerExit } from "../residency/worker-exit.ts";
import type { AdmittedRequest, ResidencyLoop } from "../residency/io/residency-loop.ts";
import type { AnswerTracing, TracedRelay } from "./answer-tracing.ts";
import type { CrashWatch, WatchedRequest } from "./crash-watch.ts";
import { WorkerAnswer, type WorkerHead } from "./worker-answer.ts";

export interface InferenceRelayDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly loop: ResidencyLoop;
  readonly crashes: CrashWatch;
  readonly vocabularies: Vocabularies;
  /** Where requests may be traced; null: nothing is. */
  readonly tracing: Pick<AnswerTracing, "begin"> | null;
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
    const modelId = modelOf(request);
    // A name that is not loaded could be anything: it must not become a label.
    const label = deps.loop.state.models.has(modelId) ? modelId : "unknown";
    const gone = abortWhenClientLeaves(reply.raw);
    const route = request.routeOptions.url ?? "";
    const traced = deps.tracing?.begin(request.headers, { route, modelId: label }) ?? null;
    let outcome = "internal_error";
    try {
      outcome = await take(deps, { modelId, request, reply, signal: gone.signal, traced });
    } catch (thrown) {
      outcome = toCortexError(thrown).code;
      throw thrown;
    } finally {
      deps.countRequest(label, outcome);
      traced?.ended(outcome);
      gone.release();
    }
  };
}

interface Arrival {
  readonly modelId: string;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly signal: AbortSignal;
  readonly traced: TracedRelay | null;
}

/** Takes the request, or throws why not, and relays it. What came of it in one word. */
async function take(deps: InferenceRelayDeps, arrival: Arrival): Promise<string> {
  const { modelId, request, signal } = arrival;
  const watched = await deps.crashes.admit({
    modelId,
    path: request.url,
    body: request.body as Buffer,
    deathsElsewhere: readDeaths(request.headers[DEATHS_HEADER]),
    signal,
  });
  let answered = false;
  try {
    const admitted = await openWorker(deps, arrival);
    try {
      watched.sentTo(admitted.worker);
      const outcome = await relay(deps, { ...arrival, admitted, watched });
      answered = outcome === "ok" || outcome.startsWith("http_");
      return outcome;
    } finally {
      admitted.end();
    }
  } finally {
    watched.end(answered);
  }
}

/** The worker of the model, or for questions about tokens, where none is loaded, one with its vocabulary. */
async function openWorker(
  deps: InferenceRelayDeps,
  { modelId, request }: Arrival,
): Promise<Pick<AdmittedRequest, "worker" | "end">> {
  const isLoaded = deps.loop.state.models.get(modelId)?.phase.name === "loaded";
  if (isLoaded || !TOKEN_ROUTES.has(request.routeOptions.url ?? "")) return deps.loop.openRequest(modelId);
  const told = readModelSpec(request.headers[MODEL_SPEC_HEADER]);
  try {
    return await deps.vocabularies.open(told ?? { ...BARE_SPEC, model_id: modelId });
  } catch (thrown) {
    // A name that means no file here: the answer is the same as to any other question.
    if (toCortexError(thrown).code === "source_not_found" && told === null) deps.loop.openRequest(modelId);
    throw thrown;
  }
}

const BARE_SPEC = { harness: "llama", parallel: 1, min_devices: 1 } as const;

function modelOf({ body, headers }: FastifyRequest): string {
  const model = isForm(headers["content-type"])
    ? modelOfForm(body as Buffer, headers["content-type"])
    : modelOfJson(body);
  if (typeof model === "string" && model !== "") return model;
  throw new CortexError("missing_model_field", "the request names no model", {
    param: "model",
    next: "name a model; GET /models lists what is loaded",
  });
}

function modelOfJson(body: unknown): unknown {
  const parsed = parseJsonBody(body);
  return isRecord(parsed) ? parsed["model"] : undefined;
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

interface Exchange extends Arrival {
  readonly admitted: Pick<AdmittedRequest, "worker" | "end">;
  readonly watched: WatchedRequest;
}

async function relay(deps: InferenceRelayDeps, exchange: Exchange): Promise<string> {
  const { modelId, reply, signal } = exchange;
  const answer = askWorker(exchange);
  let response: WorkerHead;
  try {
    response = await answer.head;
  } catch (thrown) {
    if (!signal.aborted) throw await explainLostWorker(deps, exchange, thrown);
    reply.hijack();
    return "client_gone";
  }
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(response.status, {
    ...endToEndHeaders(response.headers),
    ...(response.headers["trailer"] === USAGE_HEADER ? { trailer: USAGE_HEADER } : {}),
  });
  raw.flushHeaders();
  try {
    const trailers = await answer.pipeTo(raw);
    const usage = trailers[USAGE_HEADER];
    if (typeof usage === "string") raw.addTrailers({ [USAGE_HEADER]: usage });
    raw.end();
    noteTimings(exchange, { ...response, trailers });
    return response.status < 400 ? "ok" : `http_${response.status}`;
  } catch (thrown) {
    if (signal.aborted) return "client_gone";
    const error = await explainLostWorker(deps, exchange, thrown);
    deps.logger.warn({ model: modelId, code: error.code }, "the worker's answer was cut");
    breakAnswer(raw, { isEventStream: isEventStream(response.headers), endsEvent: answer.endsEvent, error });
    return error.code;
  }
}

/** Whole answers tell in the head, streams behind the answer. */
function noteTimings(
  { traced }: Exchange,
  { headers, trailers }: WorkerHead & { readonly trailers: AnswerHeaders },
): void {
  if (traced !== null) traced.timings = parseTimings(headers[TIMINGS_HEADER] ?? trailers[TIMINGS_HEADER]);
}

function askWorker({ admitted, request, signal, traced }: Exchange): WorkerAnswer {
  const headers: Record<string, string> = {};
  for (const name of FORWARDED_HEADERS) {
    const value = request.headers[name];
    if (typeof value === "string") headers[name] = value;
  }
  Object.assign(headers, traced?.sent());
  const answer = new WorkerAnswer(signal);
  admitted.worker.wire.dispatch({ path: request.url, headers, body: request.body as Buffer }, answer);
  return answer;
}

function endToEndHeaders(headers: AnswerHeaders): Record<string, string | string[]> {
  const named = String(headers["connection"] ?? "")
    .toLowerCase()
    .split(",")
    .map((name) => name.trim());
  const kept: Record<string, string | string[]> = {};
  for (const [name, value] of Object.entries(headers)) {
    const isOurs = name === TIMINGS_HEADER || HOP_BY_HOP_HEADERS.has(name) || named.includes(name);
    if (!isOurs) kept[name] = value;
  }
  return kept;
}

const isEventStream = (headers: AnswerHeaders): boolean =>
  String(headers["content-type"] ?? "").startsWith("text/event-stream");

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
  { modelId, admitted, watched }: Exchange,
  thrown: unknown,
): Promise<CortexError> {
  const { worker } = admitted;
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
  if (exit !== null) return watched.explain(exit);
  return new CortexError("upstream_connection_error", `the worker of ${modelId} broke the connection`, {
    cause: thrown,
  });
}
