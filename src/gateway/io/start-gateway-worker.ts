import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Registry } from "prom-client";
import { assertNever } from "../../core/assert-never.ts";
import type { Clock } from "../../core/clock.ts";
import { CortexError, toCortexError } from "../../core/errors.ts";
import { sleptThrough } from "../../core/interruptible-sleep.ts";
import { listen } from "../../platform/http-server.ts";
import type { Logger } from "../../platform/logger.ts";
import type { NeuronAccess } from "../../protocol/io/neuron-client.ts";
import type { Order, WorkerQuestion } from "../crew/crew-messages.ts";
import { errorMessage } from "../crew/error-message.ts";
import { FollowedFleet } from "../crew/io/followed-fleet.ts";
import { FollowedScheduling } from "../crew/io/followed-scheduling.ts";
import { forwardReads } from "../crew/io/forward-reads.ts";
import type { CrewPlace } from "../crew/io/join-crew.ts";
import { metricsOf } from "../crew/io/merged-metrics.ts";
import { replyOf } from "../crew/io/open-questions.ts";
import { OwnedLedger } from "../crew/io/owned-ledger.ts";
import { OwnerLink } from "../crew/io/owner-link.ts";
import { clockOfOwner } from "../crew/io/worker-clock.ts";
import { TranslationThread } from "../dialect/io/translation-thread.ts";
import { policyOf, timingsOf, type GatewayConfig } from "../gateway-config.ts";
import { KeyRing } from "../keys/key-ring.ts";
import { reportsOf } from "../request-reports.ts";
import { indexFleet, LiveFleet } from "../view/fleet-index.ts";
import { CrashMemory } from "../crash-memory.ts";
import { createGatewayMetrics } from "./gateway-metrics.ts";
import { createGatewayServer } from "./gateway-server.ts";
import {
  drainRequests,
  memoriesOf,
  neuronConnector,
  openTracing,
  renewNeurons,
  stopRequests,
} from "./request-parts.ts";
import { createStopping } from "./stopping.ts";
import { Ticker } from "./ticker.ts";
import { UnderWayRequests } from "./under-way-requests.ts";

export interface GatewayWorkerDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly neuronAccess?: NeuronAccess | undefined;
}

/** Between two signs of life. */
const PULSE_MS = 500;
/** Counters go along with every so many of them: what a worker that is killed has counted since is lost. */
const PULSES_PER_METRICS = 4;

type Worker = Awaited<ReturnType<typeof assembleWorker>>;
type Place = CrewPlace<GatewayConfig>;

/** Serves requests as one of the processes of a gateway; resolves when its owner has had it leave, or has gone. */
export async function serveInCrew(place: Place, deps: GatewayWorkerDeps): Promise<void> {
  const clock = clockOfOwner(deps.clock, place.beginning.clockOriginMs);
  const worker = await assembleWorker(place, { ...deps, clock });
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const leaving = new AbortController();
  place.onOrders((order) => {
    follow(order, worker, end);
  });
  place.onLost(() => {
    void loseOwner(worker, place).then(end);
  });
  void worker.ticker.run();
  place.onConnections(({ id, elsewhere }, socket) => {
    // It leaves before a byte of the connection is read: one that was read from can be given to nobody else.
    worker.link.tellNow({ kind: "connection-taken", id });
    const tellClosed = () => {
      worker.link.tell({ kind: "connection-closed", id });
    };
    if (socket === null) {
      tellClosed();
      return;
    }
    socket.setNoDelay(true);
    socket.once("close", tellClosed);
    worker.connections.elsewhere = elsewhere;
    worker.api.server.emit("connection", socket);
  });
  try {
    await listen(worker.api, { socketPath: place.beginning.ownSocket });
    worker.logger.info({ pid: process.pid }, "gateway worker serves");
    worker.link.tellNow({ kind: "worker-listened" });
    void beat(worker, leaving.signal);
  } catch (thrown) {
    worker.link.tellNow({ kind: "worker-failed", error: errorMessage(toCortexError(thrown)) });
  }
  await ended;
  leaving.abort();
  await stopWorker(worker, place);
}

const NOTHING_FORWARDED = { close: (): void => undefined };

async function assembleWorker(place: Place, deps: GatewayWorkerDeps) {
  const { clock, logger } = deps;
  const { beginning } = place;
  const { config, workers } = beginning;
  const timings = timingsOf(config);
  const fleet = new LiveFleet(indexFleet(config.fleet, config.overridden, config.repository));
  const connect = neuronConnector(timings, deps);
  const neurons = new Map(fleet.neurons.map((neuron) => [neuron.name, connect(neuron)]));
  const followed: FollowedFleet = new FollowedFleet(() => link);
  const link = linkToOwner(place, { clock, followed });
  followed.learn(beginning.facts, 0);
  const policy = policyOf(config);
  const scheduling = new FollowedScheduling({ clock, fleet, followed, link, workers, policy });
  const ledger = new OwnedLedger(link);
  const crashes = new CrashMemory(clock, {
    suspects: beginning.suspects,
    tell: (news) => {
      link.tell({ kind: "crash-seen", news });
    },
  });
  const keys = new KeyRing(config.fleet.keys, { allowAnonymous: config.fleet.gateway.allow_anonymous });
  const registry = new Registry();
  const metrics = createGatewayMetrics(registry);
  const ticker = new Ticker(clock, () => timings.tickMs);
  const { watch } = ticker;
  const underWay = new UnderWayRequests(ledger, watch);
  const stopping = createStopping();
  const translation = new TranslationThread();
  const tracing = await openTracing(config, clock, beginning.worker);
  const owned = { fleet, poller: followed, scheduling, ledger, crashes, keys, neurons };
  const kept = memoriesOf();
  const own = {
    clock,
    logger,
    timings,
    metrics,
    underWay,
    watch,
    translation,
    tracing,
    ...kept,
    ...stopping,
  };
  const keptElsewhere = (principal: string, answerId: string) =>
    link.ask({ kind: "kept-answer", principal, answerId });
  let forwarding = NOTHING_FORWARDED;
  const connections = { elsewhere: 0 };
  const connectionsElsewhere = () => connections.elsewhere;
  const api = createGatewayServer({ ...owned, ...own, keptElsewhere, connectionsElsewhere }, (server) => {
    forwarding = forwardReads(server, beginning.ownerSocket);
  });
  const reports = reportsHere(kept, clock);
  const joined = { connections, connect, link, followed, registry, ticker };
  return { ...owned, ...own, ...joined, api, reports, forwarding };
}

const reportsHere = (kept: ReturnType<typeof memoriesOf>, clock: Clock) =>
  reportsOf({
    ...kept,
    requestsInFlight: () => kept.active.size,
    monotonicMs: () => clock.monotonicMs(),
  });

const linkToOwner = (
  place: Place,
  { clock, followed }: { readonly clock: Clock; readonly followed: FollowedFleet },
): OwnerLink =>
  new OwnerLink(clock, {
    send: (batch) => {
      place.send(batch);
    },
    onSent: (number) => {
      followed.places.sent(number);
    },
  });

function follow(order: Order<GatewayConfig>, worker: Worker, end: () => void): void {
  switch (order.kind) {
    case "facts-changed":
      worker.followed.learn(order.facts, order.read);
      worker.scheduling.learnt();
      return;
    case "wait-placed":
    case "wait-ended":
      worker.scheduling.heard(order);
      return;
    case "files-changed":
      changeFiles(worker, order.config);
      return;
    case "crash-seen":
      worker.crashes.learn(order.news);
      return;
    case "worker-asked":
      void answer(worker, order);
      return;
    case "question-answered":
      worker.link.answered(order.askId, order.reply);
      return;
    case "drain-asked":
      void drain(worker);
      return;
    case "leave-asked":
      end();
      return;
    case "worker-placed":
      return;
    default:
      assertNever(order);
  }
}

function changeFiles(worker: Worker, config: GatewayConfig): void {
  const { fleet, timings, keys, neurons, connect, scheduling } = worker;
  const former = fleet.neuronsByName;
  fleet.replace(indexFleet(config.fleet, config.overridden, config.repository));
  Object.assign(timings, timingsOf(config));
  keys.declare(config.fleet.keys, { allowAnonymous: config.fleet.gateway.allow_anonymous });
  renewNeurons(neurons, { former, fleet, connect });
  scheduling.learnt(policyOf(config));
}

async function answer(
  worker: Worker,
  { askId, question }: Extract<Order<GatewayConfig>, { kind: "worker-asked" }>,
): Promise<void> {
  const reply = await replyOf(() => answerTo(worker, question));
  worker.link.tellNow({ kind: "question-answered", askId, reply });
}

function answerTo({ reports, registry, shelf, clock }: Worker, question: WorkerQuestion): unknown {
  switch (question.kind) {
    case "latest":
      return reports.latest(question.count);
    case "explain":
      return reports.explained(question.requestId);
    case "metrics":
      return metricsOf(registry);
    case "kept-answer":
      return shelf.turns(question.principal, question.answerId, clock.monotonicMs());
    default:
      return assertNever(question);
  }
}

/** Tells twice a second that this worker lives, and what goes through it. */
async function beat({ clock, link, registry, reports }: Worker, leaving: AbortSignal): Promise<void> {
  for (let beats = 0; await sleptThrough(clock, PULSE_MS, leaving); beats += 1) {
    const metrics = beats % PULSES_PER_METRICS === 0 ? await metricsOf(registry) : null;
    link.tell({ kind: "pulse-felt", traffic: reports.traffic(), metrics });
  }
}

async function drain(worker: Worker): Promise<void> {
  worker.refuseNewWork();
  await stopRequests(worker);
  worker.link.tellNow({ kind: "worker-drained" });
}

/** Without an owner nobody counts what is used, and nobody takes connections: what is under way ends, and says so. */
async function loseOwner(worker: Worker, place: Place): Promise<void> {
  worker.logger.error("the owner of this gateway worker has gone: it ends");
  worker.link.ownerLost();
  worker.scheduling.ownerLost();
  worker.refuseNewWork();
  worker.active.stopAll(new CortexError("draining", "the gateway has ended; the answer is incomplete"));
  await stopRequests({ ...worker, timings: { ...worker.timings, closeGraceMs: 0 } });
  // Nobody else is left to do it.
  await rm(dirname(place.beginning.ownSocket), { recursive: true, force: true });
}

async function stopWorker(worker: Worker, place: Place): Promise<void> {
  const { api, clock, timings, link, ticker, neurons, tracing, translation, forwarding, active } = worker;
  ticker.close();
  await drainRequests({ api, clock, active, timings: { ...timings, closeGraceMs: 0 } });
  link.flush();
  await Promise.allSettled([...neurons.values()].map((neuron) => neuron.destroy()));
  forwarding.close();
  await Promise.allSettled([api.close(), tracing?.close(), translation.close()]);
  place.leave();
}
