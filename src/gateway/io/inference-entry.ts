import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Cancellation } from "../../core/cancellation.ts";
import { CortexError, toCortexError } from "../../core/errors.ts";
import type { Clock } from "../../core/clock.ts";
import { readBody, type BodyLimits } from "../../platform/request-body.ts";
import { isForm } from "../../protocol/openai/form-body.ts";
import type { TopLevelFields } from "../../protocol/openai/body-scan.ts";
import { INFERENCE_ROUTES } from "../../protocol/openai/inference-routes.ts";
import { MEDIA_ROUTES } from "../../protocol/openai/media-routes.ts";
import { withKeptElsewhere, type FindKept } from "../crew/io/kept-elsewhere.ts";
import type { AnswerShelf } from "../dialect/contract/answer-shelf.ts";
import type { DialectRoute } from "../dialect/contract/dialect.ts";
import { TranslatedResponse } from "../dialect/io/translated-response.ts";
import type { TranslationThread } from "../dialect/io/translation-thread.ts";
import { LINES_TYPE } from "../dialect/ollama/line.ts";
import type { RequestHead } from "../front/io/request-head.ts";
import type { DirectRequest } from "../front/io/direct-request.ts";
import type { DirectResponse } from "../front/io/direct-response.ts";
import { Turnstile } from "../front/io/turnstile.ts";
import { scanBody } from "../front/io/scan-body.ts";
import { pathOf } from "../front/request-path.ts";
import {
  readFormFacts,
  readMediaFacts,
  readRequestFacts,
  requireJsonType,
  type RequestFacts,
} from "../front/request-facts.ts";
import type { Principal } from "../keys/key-ring.ts";
import { ClientResponse, type AnswerSink } from "../relay/io/client-response.ts";
import type { ResponseOutlet } from "../relay/io/response-outlet.ts";
import type { RequestRate } from "../request-rate.ts";
import type { RequestMemory } from "../request-record.ts";
import { knownModelId } from "../routing/route-request.ts";
import { answerRefusal, beginRequest, bodyLimitsOf, type EdgeDeps } from "./client-edge.ts";
import { CLIENT_LEFT, failExchange, newTrace, reportExchange, type Exchange } from "./exchange.ts";
import { UNKNOWN_MODEL } from "./gateway-metrics.ts";
import type { InferenceDeps } from "./inference-handler.ts";
import { requireUse, serveMetered } from "./metered-inference.ts";
import type { MeteringDeps } from "./metering.ts";
import type { RequestTracing } from "./request-tracing.ts";
import type { Look } from "./ticker.ts";

export interface InferenceEntryDeps extends InferenceDeps, MeteringDeps, EdgeDeps {
  readonly metrics: InferenceDeps["metrics"];
  readonly requests: RequestMemory;
  readonly rate: RequestRate;
  readonly translation: TranslationThread;
  /** Null where no collector of traces is set. */
  readonly tracing: RequestTracing | null;
  /** Answers that clients go on from by their id. */
  readonly shelf: AnswerShelf;
  /** Finds those that another process of the gateway keeps; absent where there is none. */
  readonly keptElsewhere?: FindKept | undefined;
  /** Whose request it is; throws for who may not ask. */
  readonly identify: (request: RequestHead) => Principal;
  readonly unknownModel: (id: string, offered: readonly string[]) => CortexError;
}

/** A route at which a model is asked, by POST. */
export interface InferenceRoute {
  readonly path: string;
  /** Absent for OpenAI's own routes, whose bodies pass as they are. */
  readonly dialect?: DialectRoute;
}

export const inferenceRoutes = (dialects: readonly DialectRoute[]): readonly InferenceRoute[] => [
  ...[...INFERENCE_ROUTES, ...MEDIA_ROUTES.keys()].map((path) => ({ path })),
  ...dialects.map((dialect) => ({ path: dialect.path, dialect })),
];

/** A request as it comes, and how its body is had. */
export interface RawRequest {
  readonly request: RequestHead;
  readonly response: ResponseOutlet;
  readonly readBody: (limits: BodyLimits, clock: Clock) => Buffer | Promise<Buffer>;
}

/** Of Node's server. */
export const rawRequest = (request: IncomingMessage, response: ServerResponse): RawRequest => ({
  request,
  response,
  readBody: (limits, clock) => readBody(request, limits, clock),
});

/** A request from its head on. */
interface Arrival {
  readonly request: RequestHead;
  readonly response: ResponseOutlet;
  readonly route: InferenceRoute;
  readonly requestId: string;
  readonly ownHeaders: Readonly<Record<string, string>>;
  readonly headAtMs: number;
  readonly principal: Principal;
}

/**
 * Where requests for models come in: on Node's own server, in front of the framework that has all other routes, since
 * such a request needs none of its hooks and nothing of its reply. Never rejects.
 */
export async function enterInference(
  raw: RawRequest,
  route: InferenceRoute,
  deps: InferenceEntryDeps,
): Promise<void> {
  const headAtMs = deps.clock.monotonicMs();
  const begun = beginRequest(raw.request, deps);
  const refused = { ...raw, ...begun, path: route.path };
  try {
    if (begun.refusal !== null) throw begun.refusal;
    const principal = deps.identify(raw.request);
    const reading = raw.readBody(bodyLimitsOf(deps), deps.clock);
    const body = reading instanceof Promise ? await reading : reading;
    const { request, response } = raw;
    const { requestId, ownHeaders } = begun;
    await handle({ request, response, route, requestId, ownHeaders, headAtMs, principal }, body, deps);
  } catch (thrown) {
    answerRefusal(thrown, refused, deps);
  }
}

/** Rejects with what is refused before anything was begun. */
async function handle(arrival: Arrival, body: Buffer, deps: InferenceEntryDeps): Promise<void> {
  const startedAtMs = deps.clock.monotonicMs();
  const reading = readAsked(arrival, body, deps);
  const asked = reading instanceof Promise ? await reading : reading;
  const { facts } = asked;
  if (asked.instead !== null) {
    requireUse(deps, arrival.principal, facts.model);
    if (!wishFor(facts, deps)) throw deps.unknownModel(facts.model, [...deps.fleet.modelsById.keys()]);
    const type = facts.stream ? LINES_TYPE : "application/json; charset=utf-8";
    const { ownHeaders, response } = arrival;
    response.writeHead(200, {
      ...ownHeaders,
      "content-type": type,
      "content-length": Buffer.byteLength(asked.instead),
    });
    response.end(asked.instead);
    return;
  }
  const cancellation = new Cancellation();
  const exchange = newExchange(arrival, { asked, cancellation, startedAtMs }, deps);
  watchOver(exchange, arrival, deps);
  const remembered = deps.requests.add(exchange.trace);
  deps.rate.count(startedAtMs);
  try {
    await serveMetered(exchange, deps);
  } catch (thrown) {
    if (!(thrown instanceof CortexError)) {
      deps.logger.error({ err: thrown, request_id: exchange.requestId }, "request failed");
    }
    failExchange(exchange, toCortexError(thrown));
  }
  wishFor(facts, deps);
  reportExchange(exchange, deps);
  deps.requests.ended(remembered, exchange.trace);
}

/** Counts the request as open until its connection has done with it, and cancels it where that is too soon. */
function watchOver(
  exchange: Exchange,
  { request, response }: Arrival,
  { fleet, poller, active, metrics, timings, watch }: InferenceEntryDeps,
): void {
  const { cancellation, facts } = exchange;
  // A broken pipe shows as "close"; nobody else would listen for it.
  response.on("error", nothing);
  const model = knownModelId(fleet, poller.view(), facts.model) ?? UNKNOWN_MODEL;
  const stopWatching = watch(stallWatch(exchange, timings.stallMs));
  const ended = active.add(cancellation);
  metrics.requestsInFlight.inc({ model });
  const onClose = () => {
    stopWatching();
    ended();
    metrics.requestsInFlight.dec({ model });
    if (!response.writableFinished) cancellation.cancel(CLIENT_LEFT);
  };
  const { socket } = request;
  if (response.closed || socket.destroyed) onClose();
  else response.once("close", onClose);
  // A pipelined request has no connection of its own before the one ahead is answered: it hears of no close.
  if (response.socket === null) socket.once("close", () => response.destroy());
}

const nothing = (): void => undefined;

/** After the request: what it wishes is counted from its end. False where there is no such model. */
function wishFor(
  { model, keepMs }: RequestFacts,
  { fleet, poller, scheduling }: InferenceEntryDeps,
): boolean {
  const modelId = knownModelId(fleet, poller.view(), model);
  if (modelId === undefined) return false;
  if (keepMs !== null) scheduling.wish(modelId, keepMs);
  return true;
}

function newExchange(
  { request: { headers }, response, route, requestId, ownHeaders, headAtMs, principal }: Arrival,
  begun: {
    readonly asked: AskedRequest;
    readonly cancellation: Cancellation;
    readonly startedAtMs: number;
  },
  deps: InferenceEntryDeps,
): Exchange {
  const { asked, cancellation, startedAtMs } = begun;
  const { path, facts, body } = asked;
  const startedAtEpochMs = deps.clock.nowMs();
  return {
    requestId,
    route: route.path,
    path,
    headers,
    body,
    facts,
    principal,
    client: asked.sinkTo(new ClientResponse(response, ownHeaders)),
    cancellation,
    trace: newTrace({
      requestId,
      route: route.path,
      key: principal.id,
      stream: facts.stream,
      startedAtMs,
      startedAtEpochMs,
    }),
    traced: deps.tracing?.begin(headers, headAtMs) ?? null,
  };
}

const newAnswerId = (): string => randomBytes(12).toString("hex");

/** Without the mark that some editors put in front of a text: parsers of JSON stumble over it. */
const textOfBody = (body: Buffer): Buffer =>
  body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? body.subarray(3) : body;

/** Ends an answer that its client does not read: it would keep its slot at the neuron for ever. */
function stallWatch({ client, trace }: Exchange, stallMs: number): Look {
  let drains = 0;
  let behindSinceMs: number | null = null;
  return (nowMs) => {
    if (!client.isBehind || client.drains !== drains) behindSinceMs = null;
    drains = client.drains;
    if (!client.isBehind) return;
    behindSinceMs ??= nowMs;
    if (nowMs - behindSinceMs < stallMs) return;
    trace.errorCode = "client_stalled";
    client.drop();
  };
}

/** What is sent to a model, and what stands between its answer and the client. */
interface AskedRequest {
  readonly path: string;
  readonly facts: RequestFacts;
  readonly body: Buffer;
  /** The answer, where no model is asked. */
  readonly instead: string | null;
  readonly sinkTo: (client: ClientResponse) => AnswerSink;
}

const asItComes = (client: ClientResponse): AnswerSink => client;

/** The one reading of the body: at once, where it is short and nothing is translated. */
function readAsked(
  arrival: Arrival,
  bytes: Buffer,
  deps: InferenceEntryDeps,
): AskedRequest | Promise<AskedRequest> {
  const { path, dialect } = arrival.route;
  const type = arrival.request.headers["content-type"];
  const isMedia = MEDIA_ROUTES.has(path);
  if (isMedia && isForm(type)) {
    return { path, facts: readFormFacts(bytes, type), body: bytes, instead: null, sinkTo: asItComes };
  }
  const body = textOfBody(bytes);
  requireJsonType(type);
  if (body.length === 0) throw new CortexError("malformed_json", "the request has no body");
  const scanned = scanBody(body);
  if (dialect !== undefined) return translated(dialect, { arrival, body, scanned }, deps);
  return scanned instanceof Promise
    ? scanned.then((fields) => untranslated(path, body, fields))
    : untranslated(path, body, scanned);
}

function untranslated(path: string, body: Buffer, fields: TopLevelFields): AskedRequest {
  const facts = MEDIA_ROUTES.has(path) ? readMediaFacts(body, fields) : readRequestFacts(body, fields);
  return { path, facts, body, instead: null, sinkTo: asItComes };
}

interface ScannedBody {
  readonly arrival: Arrival;
  readonly body: Buffer;
  readonly scanned: TopLevelFields | Promise<TopLevelFields>;
}

async function translated(
  dialect: DialectRoute,
  { arrival, body, scanned }: ScannedBody,
  deps: InferenceEntryDeps,
): Promise<AskedRequest> {
  const { depth } = await scanned;
  const { clock, fleet, poller, shelf } = deps;
  const cameAtMs = clock.monotonicMs();
  const identity = {
    newId: newAnswerId,
    nowSecs: Math.floor(clock.nowMs() / 1000),
    elapsedMs: () => clock.monotonicMs() - cameAtMs,
    memory: shelf.memoryOf(arrival.principal.id, () => clock.monotonicMs()),
  };
  const isKnown = (model: string) => knownModelId(fleet, poller.view(), model) !== undefined;
  const context = { depth, identity, isKnown };
  const translate = () => deps.translation.translate(dialect, body, context);
  const { keptElsewhere: find } = deps;
  const { memory } = identity;
  const { answer, ...asked } = await (find === undefined
    ? translate()
    : withKeptElsewhere(translate, { body, principal: arrival.principal.id, memory, find }));
  const { errors, streamType } = dialect;
  const sinkTo = (client: ClientResponse) => new TranslatedResponse(client, { answer, errors, streamType });
  return { ...asked, sinkTo };
}

type RouteOf = (url: string) => InferenceRoute | undefined;

export function routeFinder(routes: readonly InferenceRoute[]): RouteOf {
  const byPath = new Map(routes.map((route) => [route.path, route]));
  return (url) => byPath.get(url) ?? byPath.get(pathOf(url));
}

/** Takes the requests for models out of all requests of a server; false: it is another. */
export const inferenceInFront =
  (routeOf: RouteOf, deps: InferenceEntryDeps) =>
  (request: IncomingMessage, response: ServerResponse): boolean => {
    const route = request.method === "POST" ? routeOf(request.url ?? "/") : undefined;
    if (route === undefined) return false;
    void enterInference(rawRequest(request, response), route, deps);
    return true;
  };

/** The same for those that do not come through Node's server. */
export function inferenceAtDoor(
  routeOf: RouteOf,
  deps: InferenceEntryDeps,
): (request: DirectRequest, response: DirectResponse) => boolean {
  const turnstile = new Turnstile();
  return (request, response) => {
    const route = routeOf(request.url);
    if (route === undefined) return false;
    const body = (limits: BodyLimits, clock: Clock) => request.readBody(limits, clock);
    turnstile.pass(() => {
      void enterInference({ request, response, readBody: body }, route, deps);
    });
    return true;
  };
}
