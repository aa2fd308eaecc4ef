import type { Clock } from "../../core/clock.ts";
import { assertNever } from "../../core/assert-never.ts";
import { CortexError } from "../../core/errors.ts";
import type { Logger } from "../../platform/logger.ts";
import { rewriteTopLevelModel } from "../relay/alias-rewrite.ts";
import type { FleetIndex } from "../view/fleet-index.ts";
import type { GatewayTimings } from "../gateway-config.ts";
import { upstreamRequestHeaders } from "../relay/header-policy.ts";
import { FULL_RETRY_BUDGET, retryVerdict, type AttemptFailure, type RetryBudget } from "../retry-policy.ts";
import { decide, knownModelId, type Decision } from "../routing/route-request.ts";
import type { ActiveRequests } from "./active-requests.ts";
import type { ColdLoads } from "../loading/io/cold-load-loop.ts";
import { failExchange, type Exchange } from "./exchange.ts";
import type { GatewayMetrics } from "./gateway-metrics.ts";
import { sleptThrough } from "../../core/interruptible-sleep.ts";
import type { NeuronClient } from "../../protocol/io/neuron-client.ts";
import { refusesToken } from "../../protocol/neuron-failure.ts";
import type { NeuronPoller } from "../view/io/neuron-poller.ts";
import { relayRequest, type HeldAnswer, type RelayResult } from "../relay/io/relay-stream.ts";

export interface InferenceDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly fleet: FleetIndex;
  readonly poller: NeuronPoller;
  readonly neurons: ReadonlyMap<string, NeuronClient>;
  readonly coldLoads: ColdLoads;
  readonly active: ActiveRequests;
  readonly metrics: GatewayMetrics;
  readonly timings: GatewayTimings;
}

/** Loads that may end without an answer before a request gives up: each one was cancelled or lost by others. */
const MAX_LOAD_ROUNDS = 4;

/** What this request has learned of the fleet beyond the view. */
interface Experience {
  readonly avoid: Set<string>;
  readonly excluded: Set<string>;
  budget: RetryBudget;
  loadRounds: number;
}

/** Serves one request to its end: the client has its answer, or has left, when it settles. Rejects only on defects. */
export async function serveInference(exchange: Exchange, deps: InferenceDeps): Promise<void> {
  const experience: Experience = {
    avoid: new Set(),
    excluded: new Set(),
    budget: FULL_RETRY_BUDGET,
    loadRounds: 0,
  };
  exchange.trace.modelId = knownModelId(deps.fleet, deps.poller.view(), exchange.facts.model);
  let decision = route(exchange, deps, experience);
  for (;;) {
    const target = await reachReplica({ exchange, deps, experience, decision });
    if (target === null) return;
    const result = await sendTo(target, { exchange, deps });
    const next = await afterAttempt(result, { exchange, deps, experience, target });
    if (next === null) return;
    decision = next;
  }
}

function route(exchange: Exchange, deps: InferenceDeps, experience: Experience): Decision {
  const decision = decide(
    {
      model: exchange.facts.model,
      outstanding: (neuron, modelId) => deps.active.outstanding(neuron, modelId),
      avoid: experience.avoid,
      excluded: experience.excluded,
    },
    deps.fleet,
    deps.poller.view(),
  );
  deps.logger.debug({ request_id: exchange.requestId, ...explain(decision) }, "routed");
  return decision;
}

const explain = (decision: Decision) => ({
  decision: decision.kind,
  model: decision.modelId,
  considered: decision.considered,
});

interface Target {
  readonly neuron: NeuronClient;
  readonly modelId: string;
}

interface Routed {
  readonly exchange: Exchange;
  readonly deps: InferenceDeps;
  readonly experience: Experience;
  readonly decision: Decision;
}

/** The replica to send to, after a cold load if there must be one; null when the request has been answered or left. */
async function reachReplica({ exchange, deps, experience, decision }: Routed): Promise<Target | null> {
  let current = decision;
  for (;;) {
    if (current.kind === "refuse") {
      failExchange(exchange, current.error);
      return null;
    }
    if (current.kind === "serve") return targetOf(current.neuron, current.modelId, deps);
    const settlement = await waitForLoad(current, exchange, deps);
    switch (settlement.kind) {
      case "granted":
        return targetOf(settlement.neuron, current.modelId, deps);
      case "refused":
        failExchange(exchange, settlement.error);
        return null;
      case "cancelled":
        answerStop(exchange);
        return null;
      case "decide_again":
        if (settlement.unreachable !== null) experience.excluded.add(settlement.unreachable);
    }
    experience.loadRounds += 1;
    if (experience.loadRounds >= MAX_LOAD_ROUNDS) {
      const message = `loads of ${current.modelId} keep being cancelled or lost`;
      failExchange(exchange, new CortexError("model_loading", message));
      return null;
    }
    current = route(exchange, deps, experience);
  }
}

function targetOf(neuron: string, modelId: string, deps: InferenceDeps): Target {
  const client = deps.neurons.get(neuron);
  if (client === undefined) throw new Error(`the view names a neuron without a client: ${neuron}`);
  return { neuron: client, modelId };
}

/** A stop by the gateway is told to the client; a client that left is told nothing. */
function answerStop(exchange: Exchange): void {
  const reason: unknown = exchange.signal.reason;
  if (reason instanceof CortexError) failExchange(exchange, reason);
}

async function waitForLoad(
  decision: Extract<Decision, { kind: "wait" | "load" }>,
  exchange: Exchange,
  deps: InferenceDeps,
) {
  const { trace, facts, signal } = exchange;
  const { modelId, neuron } = decision;
  if (!trace.coldStart) deps.metrics.coldStarts.inc({ model: modelId, node: neuron });
  trace.coldStart = true;
  trace.phase = "loading";
  trace.neuron = neuron;
  const waited = new AbortController();
  if (facts.stream) void keepAliveUntil(waited.signal, { exchange, deps, modelId });
  try {
    return await deps.coldLoads.wait({
      modelId,
      neuron,
      mode: decision.kind === "load" ? "load" : "watch",
      patienceMs: facts.stream ? deps.timings.streamingLoadWaitMs : deps.timings.loadWaitMs,
      signal,
    });
  } finally {
    waited.abort();
  }
}

async function keepAliveUntil(
  waited: AbortSignal,
  context: { readonly exchange: Exchange; readonly deps: InferenceDeps; readonly modelId: string },
): Promise<void> {
  const { exchange, deps, modelId } = context;
  while (await sleptThrough(deps.clock, deps.timings.keepAliveMs, waited)) {
    if (exchange.signal.aborted) return;
    const load = deps.coldLoads.load(modelId);
    const where = load === undefined ? "" : ` on ${load.neuron}`;
    const percent = typeof load?.progress === "number" ? ` ${Math.round(load.progress * 100)} %` : "";
    const step = load?.jobState == null ? "" : ` (${load.jobState}${percent})`;
    exchange.client.keepAlive(`loading ${modelId}${where}${step}`);
  }
}

async function sendTo(
  target: Target,
  context: { readonly exchange: Exchange; readonly deps: InferenceDeps },
): Promise<RelayResult> {
  const { exchange, deps } = context;
  const { trace, facts } = exchange;
  const { neuron, modelId } = target;
  trace.phase = "relaying";
  trace.neuron = neuron.name;
  trace.modelId = modelId;
  const release = deps.active.occupy(neuron.name, modelId);
  try {
    return await relayRequest({
      neuron,
      call: {
        path: exchange.path,
        headers: upstreamRequestHeaders(exchange.headers, { "x-request-id": exchange.requestId }),
        body: facts.model === modelId ? exchange.body : rewriteTopLevelModel(exchange.body, modelId),
      },
      client: exchange.client,
      signal: exchange.signal,
      onFirstContent: () => {
        trace.firstContentMs = deps.clock.monotonicMs() - trace.startedAtMs;
        deps.metrics.timeToFirstToken.observe(
          { model: modelId, node: neuron.name },
          trace.firstContentMs / 1000,
        );
      },
    });
  } finally {
    release();
  }
}

interface Attempted {
  readonly exchange: Exchange;
  readonly deps: InferenceDeps;
  readonly experience: Experience;
  readonly target: Target;
}

/** What follows an attempt: the next decision, or null when the request is over. */
async function afterAttempt(result: RelayResult, attempted: Attempted): Promise<Decision | null> {
  const { exchange } = attempted;
  switch (result.kind) {
    case "completed":
      return null;
    case "cut":
      exchange.trace.cut = true;
      exchange.trace.errorCode = "upstream_cut_stream";
      return null;
    case "aborted":
      answerStop(exchange);
      return null;
    case "failed_before_answer":
      return retryOr(attempted, { kind: "connection", code: result.code }, () => {
        failExchange(exchange, connectionError(attempted.target.neuron.name, result.code));
      });
    case "answered_error": {
      const { answer } = result;
      return retryOr(attempted, { kind: "answered", status: answer.status, code: answer.code }, () => {
        passOnError(exchange, attempted.target.neuron.name, answer);
      });
    }
    default:
      return assertNever(result);
  }
}

const connectionError = (neuron: string, code: string): CortexError =>
  new CortexError("upstream_connection_error", `neuron ${neuron} did not answer the request (${code})`, {
    details: { neuron },
  });

async function retryOr(
  attempted: Attempted,
  failure: AttemptFailure,
  giveUp: () => void,
): Promise<Decision | null> {
  const { exchange, deps, experience, target } = attempted;
  const verdict = retryVerdict(failure, experience.budget);
  const next = verdict.kind === "give_up" ? null : await routeAgain(attempted, verdict.onlyElsewhere);
  if (exchange.signal.aborted) {
    answerStop(exchange);
    return null;
  }
  if (next === null || verdict.kind === "give_up") {
    giveUp();
    return null;
  }
  experience.budget = verdict.budget;
  exchange.trace.retries += 1;
  deps.metrics.retries.inc({ model: target.modelId, reason: verdict.reason });
  return next;
}

/**
 * Another replica is taken at once. Without one the neuron is asked what it holds now: it may have lost the model
 * (then it is loaded anew), only the connection (then it is tried again), or its life (then it is left out).
 */
async function routeAgain(attempted: Attempted, onlyElsewhere: boolean): Promise<Decision | null> {
  const { exchange, deps, experience, target } = attempted;
  const failed = target.neuron.name;
  experience.avoid.add(failed);
  const elsewhere = route(exchange, deps, experience);
  if (elsewhere.kind === "serve" && elsewhere.neuron !== failed) {
    void deps.poller.refresh(failed);
    return elsewhere;
  }
  if (onlyElsewhere) return null;
  const answers = await deps.poller.refresh(failed);
  if (!answers) experience.excluded.add(failed);
  return route(exchange, deps, experience);
}

/** A neuron's error reaches the client in the neuron's words, except one that is between the gateway and it. */
function passOnError(exchange: Exchange, neuron: string, answer: HeldAnswer): void {
  const { client, trace } = exchange;
  if (refusesToken(answer.status, answer.code)) {
    failExchange(exchange, refusedToken(neuron, answer.status));
    return;
  }
  trace.errorCode = answer.code ?? `http_${answer.status}`;
  if (!client.headersSent) {
    client.sendWhole(answer.status, answer.headers, answer.body);
    return;
  }
  if (answer.code === null) {
    const message = `neuron ${neuron} answered with HTTP ${answer.status}`;
    client.fail(new CortexError("upstream_connection_error", message));
  } else client.endWithEvent(JSON.parse(answer.body.toString("utf8")));
}

/** The gateway's own credentials are wrong: nothing that a client could mend. */
const refusedToken = (neuron: string, status: number): CortexError =>
  new CortexError(
    "upstream_connection_error",
    `neuron ${neuron} refuses the gateway's token (HTTP ${status})`,
    {
      details: { neuron },
      next: "start the gateway with the token that the neuron was started with",
    },
  );
