import type { Clock } from "../../../core/clock.ts";
import { sleptThrough } from "../../../core/interruptible-sleep.ts";
import type {
  MetricMessage,
  Order,
  Told,
  ToldBatch,
  WorkerAnswers,
  WorkerQuestion,
  WorkerTraffic,
} from "../crew-messages.ts";
import { MessageBatches } from "./message-batches.ts";
import { OpenQuestions } from "./open-questions.ts";

/** A worker that does not answer in that time is left out of an answer. */
const ANSWERED_WITHIN_MS = 1000;

const NO_TRAFFIC: WorkerTraffic = {
  requestsInFlight: 0,
  requestsPerSec: 0,
  connectionsRefusedPerSec: 0,
  ofLate: { tokens: 0, errors: 0, firstTokensMs: [] },
};

/** The owner's end of what connects it with one worker, and what that has told of itself. */
export class WorkerPost<Config> {
  readonly worker: number;
  readonly #clock: Clock;
  readonly #orders: MessageBatches<Order<Config>>;
  readonly #questions = new OpenQuestions();
  #read = 0;
  isListening = false;
  isDrained = false;
  traffic: WorkerTraffic = NO_TRAFFIC;
  /** As they were told last. */
  metrics: readonly MetricMessage[] = [];

  constructor(worker: number, clock: Clock, send: (orders: readonly Order<Config>[]) => void) {
    this.worker = worker;
    this.#clock = clock;
    this.#orders = new MessageBatches(clock, send);
  }

  order(order: Order<Config>): void {
    this.#orders.addUrgent(order);
  }

  /** Which of its batches have been read. */
  get read(): number {
    return this.#read;
  }

  /** What it told about itself is kept; the rest is for the caller. */
  take({ number, told }: ToldBatch, each: (told: Told) => void): void {
    this.#read = number;
    for (const one of told) {
      if (one.kind === "question-answered") this.#questions.answered(one.askId, one.reply);
      else if (one.kind === "pulse-felt") {
        this.traffic = one.traffic;
        if (one.metrics !== null) this.metrics = one.metrics;
        each(one);
      } else each(one);
    }
  }

  /** Undefined when it does not answer in time, or has gone. */
  async ask<Question extends WorkerQuestion>(
    question: Question,
  ): Promise<WorkerAnswers[Question["kind"]] | undefined> {
    const answered = new AbortController();
    const answer = this.#questions
      .ask<WorkerAnswers[Question["kind"]]>((askId) => {
        this.order({ kind: "worker-asked", askId, question });
      })
      .catch(() => undefined);
    const late = sleptThrough(this.#clock, ANSWERED_WITHIN_MS, answered.signal).then(() => undefined);
    const first = await Promise.race([answer, late]);
    answered.abort();
    return first;
  }

  lost(): void {
    this.#questions.abandon();
  }
}
