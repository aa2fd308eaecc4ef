import { assertNever } from "../../core/assert-never.ts";
import type { Clock } from "../../core/clock.ts";
import { CortexError } from "../../core/errors.ts";
import { sleptThrough } from "../../core/interruptible-sleep.ts";
import type { Logger } from "../../platform/logger.ts";
import type { NeuronClient } from "../../protocol/io/neuron-client.ts";
import { formatModelSpec, MODEL_SPEC_HEADER, modelSpecFromBlock } from "../../protocol/model-spec.ts";
import { TOKEN_ROUTES } from "../../protocol/openai/inference-routes.ts";
import { DEATHS_HEADER } from "../../protocol/openai/suspects.ts";
import type { GatewayTimings } from "../gateway-config.ts";
import { replicasOf } from "../loading/copy-watch.ts";
import type { PlaceEnd, WaitOutcome } from "../loading/scheduler-state.ts";
import type { Place, RequestScheduling, Standing } from "../loading/io/scheduler-loop.ts";
import { MEDIA_ROUTES } from "../../protocol/openai/media-routes.ts";
import { renamed } from "../front/request-facts.ts";
import { keepAliveEvent } from "../relay/keep-alive-event.ts";
import { comment } from "../relay/sse-framing.ts";
import { upstreamRequestHeaders } from "../relay/header-policy.ts";
import { relayRequest, type RelayAsker, type RelayOptions } from "../relay/io/relay-stream.ts";
import { knownCode, type AnswerCost } from "../relay/relay-answer.ts";
import {
  beginCourse,
  stepCourse,
  type CourseDeed,
  type CourseEnd,
  type CourseEvent,
  type CourseNote,
} from "../request-course.ts";
import { waitingInWords } from "../waiting-in-words.ts";
import { affinityOf } from "../routing/affinity.ts";
import { answerSpeed } from "../routing/replica-speed.ts";
import { decide, knownModelId, type Decision } from "../routing/route-request.ts";
import { loadProspects } from "../routing/load-prospects.ts";
import { afterCount } from "../count-course.ts";
import type { FleetIndex } from "../view/fleet-index.ts";
import type { NeuronPoller } from "../view/io/neuron-poller.ts";
import {
  addStep,
  beginAttempt,
  beginWait,
  endAttempt,
  endWait,
  explain,
  noteStanding,
  routedStep,
} from "../request-steps.ts";
import { replicaOutcome } from "../replica-outcome.ts";
import type { ActiveRequests } from "./active-requests.ts";
import type { CrashMemory } from "../crash-memory.ts";
import { failExchange, type Exchange } from "./exchange.ts";
import { UNKNOWN_MODEL, type GatewayMetrics } from "./gateway-metrics.ts";
import type { Look } from "./ticker.ts";

export interface InferenceDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly fleet: FleetIndex;
  readonly poller: Pick<NeuronPoller, "view" | "refresh">;
  readonly neurons: ReadonlyMap<string, NeuronClient>;
  readonly scheduling: RequestScheduling;
  readonly active: ActiveRequests;
  readonly crashes: CrashMemory;
  readonly metrics: GatewayMetrics;
  readonly timings: GatewayTimings;
  /** Has something looked at every now and then, until the returned function is called. */
  readonly watch: (look: Look) => () => void;
}

/** Neurons that are asked to count before the model is loaded for it. */
const MOST_COUNTERS = 3;

type WaitingFor = { readonly modelId: string; readonly standing: () => Standing | undefined };
type Replica = Pick<Deed<"send">, "neuron" | "modelId">;
type AttemptEnded = Extract<CourseEvent, { kind: "attempt-ended" }>;
type Deed<Kind extends CourseDeed["kind"]> = Extract<CourseDeed, { kind: Kind }>;

/** Serves one request to its end: the client has its answer, or has left, when it resolves. Rejects only on defects. */
export const serveInference = (exchange: Exchange, deps: InferenceDeps): Promise<void> =>
  new CourseRun(exchange, deps).run();

/** Carries out the course of one request. */
class CourseRun implements RelayAsker {
  readonly #exchange: Exchange;
  readonly #deps: InferenceDeps;
  #place: Place | null = null;
  /** In queues and pauses, of what this request may wait altogether. */
  #waitedMs = 0;
  /** Undefined as long as nobody has asked for it. */
  #affinity: string | null | undefined;

  constructor(exchange: Exchange, deps: InferenceDeps) {
    this.#exchange = exchange;
    this.#deps = deps;
  }

  async run(): Promise<void> {
    const { fleet, poller, crashes } = this.#deps;
    const modelId = knownModelId(fleet, poller.view(), this.#exchange.facts.model);
    this.#exchange.trace.modelId = modelId;
    const refusal = modelId === undefined ? undefined : crashes.refusal(modelId, this.#exchange);
    if (refusal !== undefined) {
      failExchange(this.#exchange, refusal);
      return;
    }
    let { course, notes, next } = beginCourse();
    try {
      const isCount = modelId !== undefined && TOKEN_ROUTES.has(this.#exchange.path);
      if (isCount && (await this.#countWithoutWeights(modelId))) return;
      for (;;) {
        for (const note of notes) this.#note(note);
        const doing = this.#carryOut(next);
        const event = doing instanceof Promise ? await doing : doing;
        if (event === null) return;
        ({ course, notes, next } = stepCourse(course, event));
      }
    } finally {
      // Whatever threw: a place that nobody gives back is lost for good.
      this.#leave();
    }
  }

  #note(note: CourseNote): void {
    if (note.kind === "count-retry") {
      const { trace } = this.#exchange;
      trace.retries += 1;
      addStep(trace, { kind: "retried", atMs: this.#deps.clock.monotonicMs(), reason: note.reason });
      this.#deps.metrics.retries.inc({ model: note.modelId, reason: note.reason });
    } else void this.#deps.poller.refresh(note.neuron);
  }

  /** The event that came of it, at once where nothing is waited for; null when the request is over. */
  #carryOut(next: CourseDeed | CourseEnd): CourseEvent | null | Promise<CourseEvent | null> {
    switch (next.kind) {
      case "route":
        return { kind: "request-routed", decision: this.#route(next) };
      case "wait":
        return this.#wait(next).then((outcome) => ({ kind: "wait-ended", outcome }));
      case "send":
        return this.#send(next);
      case "pause":
        return this.#pause(next.length * this.#deps.timings.retryPauseMs);
      case "refresh":
        return this.#refresh(next.neuron);
      case "answer-error":
        failExchange(this.#exchange, next.error);
        return null;
      case "pass-on-error":
        this.#passOn(next);
        return null;
      case "completed":
        this.#exchange.trace.completed = !this.#noteMisread();
        return null;
      case "cut":
        this.#exchange.trace.cut = true;
        this.#exchange.trace.errorCode = next.code;
        return null;
      case "stopped":
        if (!this.#noteMisread()) this.#tellStop(this.#exchange.cancellation.reason);
        return null;
      default:
        return assertNever(next);
    }
  }

  /** A replica that has no room, or that others wait for, has a queue. */
  #route({ avoid, excluded }: Deed<"route">): Decision {
    // It may have been routed before, and not sent.
    this.#leave();
    const { scheduling, fleet, poller, logger } = this.#deps;
    const { model } = this.#exchange.facts;
    const affinity = () => this.#affinityOf();
    const facts = { model, copies: scheduling, affinity, avoid, excluded };
    const routed = decide(facts, fleet, poller.view());
    const decision = routed.kind === "serve" ? this.#enter(routed) : routed;
    addStep(this.#exchange.trace, routedStep(decision, this.#deps.clock.monotonicMs()));
    if (logger.isLevelEnabled("debug")) {
      logger.debug({ request_id: this.#exchange.requestId, ...explain(decision) }, "routed");
    }
    return decision;
  }

  #enter(decision: Extract<Decision, { kind: "serve" }>): Decision {
    const { modelId, neuron, considered } = decision;
    this.#place = this.#deps.scheduling.enter(modelId, neuron);
    return this.#place === null ? { kind: "wait", modelId, replica: neuron, considered } : decision;
  }

  get #patienceMs(): number {
    const { loadWaitMs, streamingLoadWaitMs } = this.#deps.timings;
    const patienceMs = this.#exchange.facts.stream ? streamingLoadWaitMs : loadWaitMs;
    return Math.max(0, patienceMs - this.#waitedMs);
  }

  async #pause(pauseMs: number): Promise<CourseEvent> {
    const { signal } = this.#exchange.cancellation;
    this.#leave();
    const isOver = await sleptThrough(this.#deps.clock, Math.min(pauseMs, this.#patienceMs), signal);
    this.#waitedMs += pauseMs;
    return isOver ? { kind: "pause-ended", mayGoOn: this.#patienceMs > 0 } : { kind: "request-stopped" };
  }

  async #refresh(neuron: string): Promise<CourseEvent> {
    this.#leave();
    const answers = await this.#deps.poller.refresh(neuron);
    return this.#exchange.cancellation.isCancelled
      ? { kind: "request-stopped" }
      : { kind: "neuron-refreshed", answers };
  }

  async #wait({ modelId, avoid, excluded }: Deed<"wait">): Promise<WaitOutcome> {
    const { trace, facts, principal, cancellation } = this.#exchange;
    const { scheduling, clock } = this.#deps;
    trace.phase = "loading";
    const step = beginWait(clock.monotonicMs());
    addStep(trace, step);
    const isCold = replicasOf(scheduling.state, modelId).length === 0;
    const waited = new AbortController();
    const asked = { modelId, principal: principal.id, affinity: this.#affinityOf() };
    const request = { ...asked, avoid, excluded, patienceMs: this.#patienceMs, signal: cancellation.signal };
    try {
      const outcome = await scheduling.wait(request, (standing) => {
        noteStanding(step, standing());
        step.loads = scheduling.loadsSince(modelId, step.atMs);
        if (facts.stream) void this.#keepAliveUntil(waited.signal, { modelId, standing });
      });
      endWait(step, outcome, clock.monotonicMs());
      step.loads = scheduling.loadsSince(modelId, step.atMs);
      if (outcome.kind === "granted") {
        this.#place = outcome.place;
        trace.neuron = outcome.place.neuron;
      }
      if (isCold) this.#noteColdStart(modelId);
      return outcome.kind === "granted" ? { kind: "granted", neuron: outcome.place.neuron } : outcome;
    } finally {
      waited.abort();
      this.#waitedMs += clock.monotonicMs() - step.atMs;
    }
  }

  #noteColdStart(modelId: string): void {
    const { trace } = this.#exchange;
    if (!trace.coldStart) this.#deps.metrics.coldStarts.inc({ model: modelId, node: trace.neuron });
    trace.coldStart = true;
  }

  /** How far the load is, as comments; and events in between, for clients that count no comment as a sign of life. */
  async #keepAliveUntil(waited: AbortSignal, { modelId, standing }: WaitingFor): Promise<void> {
    const { clock, timings, scheduling } = this.#deps;
    const { client } = this.#exchange;
    let eventAtMs = clock.monotonicMs();
    while (await sleptThrough(clock, timings.loadCommentMs, waited)) {
      if (this.#exchange.cancellation.isCancelled) return;
      client.keepAlive(comment(waitingInWords(modelId, scheduling.state.loads.get(modelId), standing())));
      const event = this.keepAliveEvent();
      if (event === null || clock.monotonicMs() - eventAtMs < timings.keepAliveMs) continue;
      eventAtMs = clock.monotonicMs();
      client.keepAlive(event);
    }
  }

  keepAliveEvent(): string | null {
    const { path, facts } = this.#exchange;
    return keepAliveEvent(path, facts.model, Math.floor(this.#deps.clock.nowMs() / 1000));
  }

  /**
   * Tokens of a model that no neuron has loaded are counted by one that has its file; no load comes of a count. True when
   * the request is over. Where no neuron can, it goes the way of every request.
   */
  async #countWithoutWeights(modelId: string): Promise<boolean> {
    const { fleet, scheduling, poller } = this.#deps;
    const block = fleet.modelsById.get(modelId);
    if (block?.harness !== "llama") return false;
    if (replicasOf(scheduling.state, modelId).length > 0) return false;
    const spec = { [MODEL_SPEC_HEADER]: formatModelSpec(modelSpecFromBlock(block)) };
    const { able } = loadProspects(block, fleet, { view: poller.view(), excluded: new Set() });
    for (const { name } of able.slice(0, MOST_COUNTERS)) {
      const { result } = await this.#send({ neuron: name, modelId }, spec);
      const next = afterCount(result);
      if (next === "ask-another") continue;
      await this.#carryOut(next);
      return true;
    }
    return false;
  }

  async #send(to: Replica, more?: Readonly<Record<string, string>>): Promise<AttemptEnded> {
    const { clock } = this.#deps;
    const step = beginAttempt(to.neuron, clock.monotonicMs());
    addStep(this.#exchange.trace, step);
    const result = await relayRequest(this.#relayTo(to, more));
    endAttempt(step, result, clock.monotonicMs());
    this.#leave({ outcome: replicaOutcome(result), tokensPerSec: this.#speedSince(step.atMs) });
    this.#deps.crashes.note(to.modelId, this.#exchange, result);
    return { kind: "attempt-ended", result };
  }

  #relayTo({ neuron, modelId }: Replica, more?: Readonly<Record<string, string>>): RelayOptions {
    const { trace, facts, client, cancellation, path, body } = this.#exchange;
    const { neurons, clock, timings, watch } = this.#deps;
    const replica = neurons.get(neuron);
    if (replica === undefined) throw new Error(`the view names a neuron without a client: ${neuron}`);
    trace.phase = "relaying";
    trace.neuron = neuron;
    trace.modelId = modelId;
    const headers = this.#headersTo(modelId, more);
    return {
      neuron: replica,
      call: { path, headers, body: facts.model === modelId ? body : renamed(body, facts, modelId) },
      client,
      clock,
      cancellation,
      asker: this,
      limits: timings,
      isStreamed: facts.stream,
      isOpaque: MEDIA_ROUTES.has(path),
      watch,
    };
  }

  #headersTo(modelId: string, more?: Readonly<Record<string, string>>): Record<string, string> {
    const { headers, requestId, traced } = this.#exchange;
    const deaths = this.#deps.crashes.deaths(modelId, this.#exchange);
    const own: Record<string, string> = { "x-request-id": requestId };
    if (more !== undefined) Object.assign(own, more);
    if (traced !== null) Object.assign(own, traced.beginAttempt());
    if (deaths > 0) own[DEATHS_HEADER] = String(deaths);
    return upstreamRequestHeaders(headers, own);
  }

  relayBegun(costSoFar: () => AnswerCost): void {
    this.#exchange.trace.costSoFar = costSoFar;
  }

  relayCost(cost: AnswerCost): void {
    const { trace } = this.#exchange;
    trace.cost = cost;
    trace.usage = cost.usage;
  }

  isNeuronHung(neuron: string): boolean {
    return this.#deps.poller.view().neurons.get(neuron)?.health === "unhealthy";
  }

  #affinityOf(): string | null {
    const { headers, facts } = this.#exchange;
    if (this.#affinity === undefined) this.#affinity = affinityOf({ headers, ...facts });
    return this.#affinity;
  }

  /** Of the answer that has just ended, from its first word where that was seen. */
  #speedSince(sentAtMs: number): number | null {
    const { trace } = this.#exchange;
    if (trace.cost?.usage === undefined) return null;
    const firstAtMs =
      trace.firstContentMs === undefined ? sentAtMs : trace.startedAtMs + trace.firstContentMs;
    const tookMs = this.#deps.clock.monotonicMs() - firstAtMs;
    return answerSpeed({ tokens: trace.cost.usage.completionTokens, tookMs });
  }

  #leave(end?: PlaceEnd): void {
    this.#place?.free(end);
    this.#place = null;
  }

  firstContentCame(): void {
    const { trace } = this.#exchange;
    const { clock, metrics } = this.#deps;
    trace.firstContentMs = clock.monotonicMs() - trace.startedAtMs;
    const labels = { model: trace.modelId ?? UNKNOWN_MODEL, node: trace.neuron };
    metrics.timeToFirstToken.observe(labels, trace.firstContentMs / 1000);
  }

  /**
   * The neuron's answer could not be said in the client's dialect. Whoever got an error instead of an answer pays
   * nothing for it; of a stream it pays for what came before.
   */
  #noteMisread(): boolean {
    const { client, trace, facts } = this.#exchange;
    const { misread } = client;
    if (misread === null) return false;
    trace.errorCode = misread.code;
    if (facts.stream) trace.cut = true;
    else trace.cost = undefined;
    return true;
  }

  /** A stop by the gateway is told to the client; a client that left is told nothing. */
  #tellStop(reason: unknown): void {
    if (reason instanceof CortexError) failExchange(this.#exchange, reason);
  }

  #passOn({ answer, envelope }: Extract<CourseEnd, { kind: "pass-on-error" }>): void {
    const { client, trace } = this.#exchange;
    trace.errorCode = knownCode(envelope);
    const headers = { ...answer.headers, "content-type": "application/json; charset=utf-8" };
    if (client.headersSent) client.endWithEvent(envelope);
    else client.sendWhole(answer.status, headers, Buffer.from(JSON.stringify(envelope)));
  }
}
