import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Registry } from "prom-client";
import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import { withinGrace } from "../../../core/interruptible-sleep.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { Suspects } from "../../../protocol/openai/suspects.ts";
import type { GatewayWorker } from "../../../protocol/gateway-api.ts";
import type { KeptAnswer } from "../../dialect/contract/answer-shelf.ts";
import type { UsageLedger } from "../../keys/usage-ledger.ts";
import type { Scheduling } from "../../loading/io/scheduler-loop.ts";
import type { NeuronPoller } from "../../view/io/neuron-poller.ts";
import {
  explanationOfAll,
  latestOfAll,
  trafficOfAll,
  workerState,
  type FromWorker,
} from "../crew-answers.ts";
import type {
  CrashNews,
  CrewOptions,
  MetricMessage,
  Told,
  ToldBatch,
  WorkerAnswers,
  WorkerQuestion,
} from "../crew-messages.ts";
import { errorOf } from "../error-message.ts";
import { clockOriginMs } from "./clock-origin.ts";
import { ConnectionGiver, isForDoor } from "./connection-giver.ts";
import { CrewProcesses } from "./crew-processes.ts";
import { FactsPublisher } from "./facts-publisher.ts";
import { addedUp, exposition, lasting, metricsOf } from "./merged-metrics.ts";
import { isForDesk, WorkerDesk } from "./worker-desk.ts";
import { WorkerPost } from "./worker-post.ts";

/** What the owner holds, and its workers use. */
export interface CrewParts {
  readonly scheduling: Scheduling;
  readonly poller: NeuronPoller;
  readonly ledger: UsageLedger;
  readonly crashes: { readonly suspects: Suspects; learn(news: CrashNews): void };
  /** Told of each worker that ended by itself. */
  readonly onDeath: () => void;
}

/** How long workers may take to end once nothing is in flight. */
const LEAVE_WITHIN_MS = 2000;

interface Opened<Config> {
  config: Config;
  readonly parts: CrewParts;
  readonly publisher: FactsPublisher;
}

interface Posted<Config> {
  readonly post: WorkerPost<Config>;
  readonly desk: WorkerDesk | null;
}

/**
 * The workers of a gateway, as their owner has them. It holds what there must be one of (the view of the fleet, places,
 * queues and loads, the ledger, the counters) and they hold the connections.
 */
export class Crew<Config> {
  readonly #options: CrewOptions;
  readonly #deps: { readonly clock: Clock; readonly logger: Logger };
  readonly #processes: CrewProcesses;
  readonly #posts = new Map<number, Posted<Config>>();
  readonly #up = Promise.withResolvers<void>();
  readonly #connections: ConnectionGiver;
  #opened: Opened<Config> | null = null;
  #directory: string | null = null;
  readonly #removeDirectory = (): void => {
    if (this.#directory !== null) rmSync(this.#directory, { recursive: true, force: true });
  };
  #lastStart = 0;
  /** What dead workers have counted. */
  #buried: Promise<readonly MetricMessage[]> = Promise.resolve([]);
  #onChange: (() => void)[] = [];

  constructor(options: CrewOptions, deps: { readonly clock: Clock; readonly logger: Logger }) {
    this.#options = options;
    this.#deps = deps;
    this.#processes = new CrewProcesses({
      ...deps,
      onMessage: (worker, message) => {
        this.#heard(worker, message as ToldBatch);
      },
      onLost: (worker, how) => {
        this.#lost(worker, how);
      },
    });
    this.#connections = new ConnectionGiver((worker, { id, elsewhere, socket }) => {
      this.#processes.send(worker, { connection: id, elsewhere }, socket);
    });
    // Waited for in open(), where it is not too late.
    this.#up.promise.catch(() => undefined);
  }

  /** Starts the workers, which take their time; returns where the owner has to answer what they do not. */
  async begin(): Promise<string> {
    const { workers, program } = this.#options;
    this.#directory = await mkdtemp(join(tmpdir(), "cortex-gateway-"));
    // Of an end that nobody waits for too; after the workers are killed, which is done at the same event.
    this.#processes.start(workers, program);
    process.once("exit", this.#removeDirectory);
    return join(this.#directory, "owner.sock");
  }

  /** Something that workers decide by may have changed. */
  readonly noteStep = (): void => {
    this.#opened?.publisher.noteStep();
  };

  /** Lets them serve; resolves with the port once all of them do. Rejects with `address_in_use`, or what keeps one from it. */
  async open(
    config: Config,
    parts: CrewParts,
    listen: { readonly host: string; readonly port: number },
  ): Promise<number> {
    const { clock } = this.#deps;
    const publisher = new FactsPublisher({
      clock,
      scheduling: parts.scheduling,
      publish: (facts) => {
        for (const { post, desk } of this.#posts.values()) {
          if (desk !== null) post.order({ kind: "facts-changed", read: post.read, facts });
        }
      },
    });
    this.#opened = { config, parts, publisher };
    for (const worker of this.#posts.keys()) this.#place(worker);
    await this.#up.promise;
    return this.#connections.listen(listen);
  }

  /** What is served from now on. */
  change(config: Config): void {
    if (this.#opened === null) return;
    this.#opened.config = config;
    for (const { post, desk } of this.#posts.values()) {
      if (desk !== null) post.order({ kind: "files-changed", config });
    }
  }

  /** Processes that take requests. */
  get serving(): number {
    return [...this.#posts.values()].filter(({ post }) => post.isListening).length;
  }

  /** By number. */
  workers(): readonly GatewayWorker[] {
    return Array.from({ length: this.#options.workers }, (_, index) => {
      const worker = index + 1;
      return workerState(worker, this.#processes.lifeOf(worker), this.#posts.get(worker)?.post);
    });
  }

  /** What the gateway tells of its requests (`RequestReports`). */
  reports(keptByEach: number) {
    return {
      kept: keptByEach * this.#options.workers,
      traffic: () => trafficOfAll([...this.#posts.values()].map(({ post }) => post.traffic)),
      latest: async (count: number) => latestOfAll(await this.#askAll({ kind: "latest", count }), count),
      explained: async (requestId: string) =>
        explanationOfAll(await this.#askAll({ kind: "explain", requestId })),
    };
  }

  /** The counters of all processes as one, those of the dead included. */
  async exposition(own: Registry): Promise<string> {
    const fresh = new Map(
      (await this.#askAll({ kind: "metrics" })).map(({ worker, answer }) => [worker, answer]),
    );
    const workers = [...this.#posts].map(([worker, { post }]) => {
      post.metrics = fresh.get(worker) ?? post.metrics;
      return post.metrics;
    });
    return exposition([await metricsOf(own), await this.#buried, ...workers]);
  }

  /** Takes no new work, lets streams end, and ends the workers. `graceMs`: how long they may take. */
  async close(graceMs: number): Promise<void> {
    this.#processes.end();
    this.#opened?.publisher.tell();
    const { clock } = this.#deps;
    for (const { post } of this.#posts.values()) post.order({ kind: "drain-asked" });
    const isDrained = () =>
      [...this.#posts.values()].every(({ post, desk }) => desk === null || post.isDrained);
    await withinGrace(this.#until(isDrained), { clock, graceMs });
    this.#connections.close();
    for (const { post } of this.#posts.values()) post.order({ kind: "leave-asked" });
    await withinGrace(
      this.#until(() => this.#processes.running.length === 0),
      {
        clock,
        graceMs: LEAVE_WITHIN_MS,
      },
    );
    this.#processes.killAll();
    this.#opened?.publisher.close();
    this.#removeDirectory();
    process.off("exit", this.#removeDirectory);
  }

  #heard(worker: number, batch: ToldBatch): void {
    if (batch.told[0]?.kind === "worker-begun") {
      const { clock } = this.#deps;
      const post = new WorkerPost<Config>(worker, clock, (orders) => {
        this.#processes.send(worker, orders);
      });
      this.#posts.set(worker, { post, desk: null });
      this.#place(worker);
      return;
    }
    const posted = this.#posts.get(worker);
    posted?.post.take(batch, (told) => {
      this.#take(worker, posted, told);
    });
  }

  /** Tells a worker that has begun what to serve, once that is known. */
  #place(worker: number): void {
    const posted = this.#posts.get(worker);
    if (this.#opened === null || this.#directory === null || posted === undefined) return;
    const { config, parts, publisher } = this.#opened;
    const { post } = posted;
    const desk = new WorkerDesk(
      {
        nowMs: () => this.#deps.clock.nowMs(),
        scheduling: parts.scheduling,
        ledger: parts.ledger,
        refresh: async (neuron) => {
          const answers = await parts.poller.refresh(neuron);
          publisher.tell();
          return answers;
        },
        keptElsewhere: (principal, answerId) => this.#kept(worker, { principal, answerId }),
      },
      (order) => {
        post.order(order);
      },
    );
    const facts = publisher.whole();
    this.#lastStart += 1;
    this.#posts.set(worker, { post, desk });
    post.order({
      kind: "worker-placed",
      worker,
      workers: this.#options.workers,
      config,
      ownerSocket: join(this.#directory, "owner.sock"),
      ownSocket: join(this.#directory, `worker-${worker}-${this.#lastStart}.sock`),
      clockOriginMs: clockOriginMs(this.#deps.clock),
      facts,
      suspects: parts.crashes.suspects,
    });
  }

  #take(worker: number, { post, desk }: Posted<Config>, told: Told): void {
    if (isForDesk(told)) {
      desk?.take(told);
      return;
    }
    if (isForDoor(told)) {
      this.#connections.heard(worker, told);
      return;
    }
    switch (told.kind) {
      case "worker-listened":
        this.#listened(worker, post);
        return;
      case "worker-failed":
        this.#up.reject(errorOf(told.error));
        return;
      case "worker-drained":
        post.isDrained = true;
        this.#changed();
        return;
      case "pulse-felt":
        desk?.tellStandings();
        return;
      case "crash-seen":
        this.#relay(worker, told.news);
        return;
      case "worker-begun":
      case "question-answered":
    }
  }

  #listened(worker: number, post: WorkerPost<Config>): void {
    post.isListening = true;
    this.#connections.add(worker);
    if (this.serving === this.#options.workers) this.#up.resolve();
    this.#changed();
  }

  #relay(from: number, news: CrashNews): void {
    this.#opened?.parts.crashes.learn(news);
    for (const [worker, { post }] of this.#posts) {
      if (worker !== from) post.order({ kind: "crash-seen", news });
    }
  }

  #lost(worker: number, how: string): void {
    const posted = this.#posts.get(worker);
    this.#posts.delete(worker);
    this.#connections.remove(worker);
    this.#up.reject(new CortexError("internal_error", `a gateway worker ended before it served (${how})`));
    if (posted !== undefined) {
      posted.post.lost();
      const requests = posted.desk?.lost() ?? 0;
      if (requests > 0)
        this.#deps.logger.error(
          { worker, requests },
          "requests of the gateway worker were cut, and are charged",
        );
      const { metrics } = posted.post;
      this.#buried = this.#buried.then((buried) => addedUp([buried, lasting(metrics)]));
      if (!posted.post.isDrained) this.#opened?.parts.onDeath();
    }
    this.#changed();
  }

  async #kept(
    except: number,
    asked: { readonly principal: string; readonly answerId: string },
  ): Promise<readonly KeptAnswer[] | null> {
    const told = await this.#askAll({ kind: "kept-answer", ...asked }, except);
    return told.find(({ answer }) => answer !== null)?.answer ?? null;
  }

  /** Those that answer in time. */
  async #askAll<Question extends WorkerQuestion>(
    question: Question,
    except?: number,
  ): Promise<readonly FromWorker<WorkerAnswers[Question["kind"]]>[]> {
    const asked = [...this.#posts].filter(([worker, { post }]) => worker !== except && post.isListening);
    const answers = await Promise.all(
      asked.map(async ([worker, { post }]) => ({ worker, answer: await post.ask(question) })),
    );
    return answers.filter(
      (told): told is FromWorker<WorkerAnswers[Question["kind"]]> => told.answer !== undefined,
    );
  }

  #changed(): void {
    const waiting = this.#onChange;
    this.#onChange = [];
    for (const look of waiting) look();
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onChange.push(resolve);
      await promise;
    }
  }
}
