import type { PlaceAsked } from "../loading/place-asked.ts";
import type { RequestExplanation, RequestSummary } from "../../protocol/request-explanation.ts";
import type { Suspects } from "../../protocol/openai/suspects.ts";
import type { KeptAnswer } from "../dialect/contract/answer-shelf.ts";
import type { CountedRequest, Opening, Reservation, UnderWay, Verdict } from "../keys/usage-ledger.ts";
import type { LoadSeen } from "../loading/loads-seen.ts";
import type { PlaceAt, PlaceEnd, WaitOutcome } from "../loading/scheduler-state.ts";
import type { ErrorMessage } from "./error-message.ts";
import type { FactsChange } from "./facts.ts";

/*
 * What the processes of one gateway say to each other. They are of one version and one another's children, so nothing is
 * checked on the way; times are monotonic milliseconds of the owner, by which workers set their clocks.
 */

export interface CrewOptions {
  /** Two or more. */
  readonly workers: number;
  readonly program: CrewProgram;
}

export interface CrewProgram {
  /** What a worker runs: it must come to `joinCrew`. */
  readonly file: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface QueuePlace {
  /** 1 is next. */
  readonly position: number;
  readonly waiting: number;
}

/** What goes through a worker, to be added up with what goes through the others. */
export interface WorkerTraffic {
  readonly requestsInFlight: number;
  readonly requestsPerSec: number;
  readonly connectionsRefusedPerSec: number;
  readonly ofLate: {
    readonly tokens: number;
    readonly errors: number;
    readonly firstTokensMs: readonly number[];
  };
}

/** What a worker has seen of a request whose model worker died. */
export interface CrashNews {
  readonly kind: "condemned" | "died" | "answered";
  /** Of the request (`suspectKey`). */
  readonly key: string;
}

/** One series of metrics, as prom-client gives it away. */
export interface MetricMessage {
  readonly name: string;
  readonly help: string;
  readonly type: unknown;
  readonly aggregator: string;
  readonly values: readonly MetricValue[];
}

export interface MetricValue {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number | undefined>>;
  readonly metricName?: string;
}

/** What a worker tells its owner. */
export type Told =
  /** It runs, and waits to be told what to serve. */
  | { readonly kind: "worker-begun" }
  /** It takes requests. */
  | { readonly kind: "worker-listened" }
  /** It has a connection that the owner gave it. */
  | { readonly kind: "connection-taken"; readonly id: number }
  /** A connection that it had is closed. */
  | { readonly kind: "connection-closed"; readonly id: number }
  /** It cannot, and ends. */
  | { readonly kind: "worker-failed"; readonly error: ErrorMessage }
  /** A request took a place at a copy by itself: there was plenty of room. */
  | ({ readonly kind: "place-taken" } & PlaceAt)
  /** A request that had a place is over, whoever gave it. */
  | ({ readonly kind: "place-freed"; readonly end: PlaceEnd } & PlaceAt)
  | { readonly kind: "wait-begun"; readonly waiterId: number; readonly asked: PlaceAsked }
  /** Its client has gone. */
  | { readonly kind: "wait-left"; readonly waiterId: number }
  | { readonly kind: "residency-wished"; readonly modelId: string; readonly keepMs: number }
  /** A request has ended: what it reserved, and what it used. */
  | {
      readonly kind: "usage-counted";
      readonly reservation: Reservation | null;
      readonly used: CountedRequest;
    }
  /** What requests under way have cost so far: all of this worker's. */
  | { readonly kind: "under-way-told"; readonly requests: readonly UnderWay[] }
  | { readonly kind: "crash-seen"; readonly news: CrashNews }
  /** A sign of life, with what goes through it; and every now and then with its counters. */
  | {
      readonly kind: "pulse-felt";
      readonly traffic: WorkerTraffic;
      readonly metrics: readonly MetricMessage[] | null;
    }
  | { readonly kind: "owner-asked"; readonly askId: number; readonly question: OwnerQuestion }
  | { readonly kind: "question-answered"; readonly askId: number; readonly reply: Reply }
  /** Nothing is in flight any more, or had its time. */
  | { readonly kind: "worker-drained" };

/** What only the owner can answer. */
export type OwnerQuestion =
  | { readonly kind: "reserve"; readonly opening: Opening }
  | { readonly kind: "refresh"; readonly neuron: string }
  | { readonly kind: "kept-answer"; readonly principal: string; readonly answerId: string };

export interface OwnerAnswers {
  readonly reserve: Verdict;
  /** Whether the neuron answered. */
  readonly refresh: boolean;
  readonly "kept-answer": readonly KeptAnswer[] | null;
}

/** What only a worker can answer. */
export type WorkerQuestion =
  | { readonly kind: "latest"; readonly count: number }
  | { readonly kind: "explain"; readonly requestId: string }
  | { readonly kind: "metrics" }
  | { readonly kind: "kept-answer"; readonly principal: string; readonly answerId: string };

export interface WorkerAnswers {
  readonly latest: readonly RequestSummary[];
  readonly explain: RequestExplanation | null;
  readonly metrics: readonly MetricMessage[];
  readonly "kept-answer": readonly KeptAnswer[] | null;
}

export type Reply = { readonly answer: unknown } | { readonly error: ErrorMessage };

/** A worker's messages of one moment. The owner says how far it has read by the number. */
export interface ToldBatch {
  readonly number: number;
  readonly told: readonly Told[];
}

/** Comes with a client's connection, by itself. */
export interface ConnectionGiven {
  readonly connection: number;
  /** Connections that other workers have open: the limit is one for all. */
  readonly elsewhere: number;
}

/** What a new worker is told to be. */
export interface Beginning<Config> {
  /** 1 to `workers`: who takes the place of a dead one has its number. */
  readonly worker: number;
  readonly workers: number;
  readonly config: Config;
  /** Where the owner answers what no model is asked for. */
  readonly ownerSocket: string;
  /** Where it listens itself: nobody connects there, but a server that does not listen watches over no connection. */
  readonly ownSocket: string;
  /** Of the machine's monotonic clock: where the owner's begins, milliseconds. */
  readonly clockOriginMs: number;
  readonly facts: FactsChange;
  readonly suspects: Suspects;
}

/** What an owner tells a worker. */
export type Order<Config> =
  | ({ readonly kind: "worker-placed" } & Beginning<Config>)
  /** `read`: up to which of the worker's batches the facts count what it did. */
  | { readonly kind: "facts-changed"; readonly read: number; readonly facts: FactsChange }
  /** Where a request stands that waits. */
  | { readonly kind: "wait-placed"; readonly waiterId: number; readonly at: QueuePlace }
  | {
      readonly kind: "wait-ended";
      readonly waiterId: number;
      readonly outcome: EndOfWait;
      /** Of its model. */
      readonly loads: readonly LoadSeen[];
    }
  | { readonly kind: "files-changed"; readonly config: Config }
  | { readonly kind: "crash-seen"; readonly news: CrashNews }
  | { readonly kind: "worker-asked"; readonly askId: number; readonly question: WorkerQuestion }
  | { readonly kind: "question-answered"; readonly askId: number; readonly reply: Reply }
  /** Takes no new work and lets streams end. */
  | { readonly kind: "drain-asked" }
  | { readonly kind: "leave-asked" };

/** `WaitOutcome`, with its error as it travels. */
export type EndOfWait =
  | Exclude<WaitOutcome, { kind: "refused" }>
  | { readonly kind: "refused"; readonly error: ErrorMessage };
