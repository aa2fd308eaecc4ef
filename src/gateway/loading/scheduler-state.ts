import type { CortexError } from "../../core/errors.ts";
import type { JobState } from "../../protocol/neuron-api.ts";
import type { ReplicaStanding } from "../routing/replica-standing.ts";
import type { FleetIndex } from "../view/fleet-index.ts";
import type { FleetView } from "../view/fleet-view.ts";

/** What the fleet files say about waiting and giving way. */
export interface SchedulerPolicy {
  readonly strategy: "lru" | "priority" | "cost";
  /** How long a copy stays before one of its own class may take its place while it works; null: by the load time. */
  readonly minResidencyMs: number | null;
  /** How long the work in flight of a model that gives way may take to end. */
  readonly drainMs: number;
  /** How long a load goes on when everybody who waited for it has left. */
  readonly lingerMs: number;
  /** Requests that may wait for one model. */
  readonly maxWaitersPerModel: number;
  /** Models that have come and gone beside a copy before it is loaded anew; 0: never. */
  readonly defragAfterCycles: number;
}

/** A request that has no place yet. Times are monotonic milliseconds everywhere in this state. */
export interface Waiter {
  readonly id: string;
  /** On whose behalf: principals share a model evenly, however many requests each has. */
  readonly principal: string;
  /** What the requests of its conversation share; null: nothing tells. */
  readonly affinity: string | null;
  /** Neurons that failed this request: taken only when no other copy serves. */
  readonly avoid: ReadonlySet<string>;
  /** Neurons found dead by this request. */
  readonly excluded: ReadonlySet<string>;
  readonly arrivedAtMs: number;
  readonly deadlineAtMs: number;
  /** In virtual time: the smallest goes first. */
  readonly startTag: number;
}

/** Requests that wait for one model, in the order of their arrival. */
export interface ModelQueue {
  readonly waiters: readonly Waiter[];
  readonly virtualTime: number;
  /** The last tag given to each principal that waits. */
  readonly lastTags: ReadonlyMap<string, number>;
}

/** A load that this gateway has asked for, or has joined. There is one for each model at most. */
export interface ModelInLoad {
  readonly modelId: string;
  readonly neuron: string;
  /** Numbers loads over all models: news of another attempt than the current one is stale and changes nothing. */
  readonly attempt: number;
  /** Somebody else began it. */
  readonly joined: boolean;
  /** Who may be made to leave for it. */
  readonly evict: readonly string[];
  /** Null until the neuron has accepted the load. */
  readonly jobId: string | null;
  readonly jobState: JobState | null;
  readonly progress: number | null;
  readonly startedAtMs: number;
  /** Until when it goes on with nobody waiting: somebody was told to come back, or may come back unasked. */
  readonly keepUntilMs: number;
}

/** What this gateway has seen of a loaded copy. */
export interface CopyWatch {
  readonly loadedSinceMs: number;
  /** Null while it has work. */
  readonly idleSinceMs: number | null;
  /** As the neuron last said it, to tell work that began and ended between two looks. */
  readonly lastUsedMs: number | null;
}

/** A load of a model that failed on a neuron. */
export interface FailedPlace {
  readonly modelId: string;
  readonly neuron: string;
  readonly error: CortexError;
  /** In a row. */
  readonly times: number;
  readonly retryAtMs: number;
  /** The time itself may cure it: memory that is held now, a neuron that does not answer now. */
  readonly passing: boolean;
}

export interface Scheduler {
  readonly policy: SchedulerPolicy;
  readonly fleet: FleetIndex;
  readonly view: FleetView;
  readonly queues: ReadonlyMap<string, ModelQueue>;
  readonly loads: ReadonlyMap<string, ModelInLoad>;
  readonly nextAttempt: number;
  /** By copy (`copyKey`), like all the maps below: requests that this gateway has there. */
  readonly inFlight: ReadonlyMap<string, number>;
  readonly copies: ReadonlyMap<string, CopyWatch>;
  /** How copies have done of late; a good standing is not kept. */
  readonly standings: ReadonlyMap<string, ReplicaStanding>;
  readonly failures: ReadonlyMap<string, FailedPlace>;
  /** Tokens a second of a copy's answers of late. */
  readonly speeds: ReadonlyMap<string, number>;
  /** Until when a copy is not asked again to leave, for good or to come back. */
  readonly unloads: ReadonlyMap<string, number>;
  /** By model: memory that a neuron said it needs, MiB. */
  readonly neededMib: ReadonlyMap<string, number>;
  /** By model: requests of late, each worth half after ten minutes. */
  readonly demand: ReadonlyMap<string, Demand>;
  /** By model: how long a client wishes it to stay once it is idle, milliseconds; Infinity: as long as possible. */
  readonly wishes: ReadonlyMap<string, number>;
}

export interface Demand {
  readonly score: number;
  readonly atMs: number;
}

/** Neither name has blanks. */
export function copyKey(neuron: string, modelId: string): string {
  let ofNeuron = copyKeys.get(neuron);
  const known = ofNeuron?.get(modelId);
  if (known !== undefined) return known;
  // Looks at what could be loaded ask for every pair of a fleet, once each.
  if (copyKeyCount >= MOST_COPY_KEYS) {
    copyKeys.clear();
    copyKeyCount = 0;
    ofNeuron = undefined;
  }
  if (ofNeuron === undefined) {
    ofNeuron = new Map();
    copyKeys.set(neuron, ofNeuron);
  }
  const key = `${neuron} ${modelId}`;
  ofNeuron.set(modelId, key);
  copyKeyCount += 1;
  return key;
}

/** Made once each: a request asks for its copy's ten times, and a text that is put together has to be hashed anew. */
const copyKeys = new Map<string, Map<string, string>>();
let copyKeyCount = 0;
const MOST_COPY_KEYS = 10_000;

export interface PlaceAt {
  readonly neuron: string;
  readonly modelId: string;
}

/** What a request says about the copy that had it. */
export type RequestOutcome = "served" | "failed";

/** What a request leaves behind with its place. */
export interface PlaceEnd {
  /** Null: it says nothing about the copy. */
  readonly outcome: RequestOutcome | null;
  /** Of its answer; null: that tells nothing. */
  readonly tokensPerSec: number | null;
}

/** What a waiter is told when it is released. */
export type WaitOutcome =
  /** Its place is on this neuron, and is counted as taken. */
  | { readonly kind: "granted"; readonly neuron: string }
  /** It gets none, or not in time: answer with this error. */
  | { readonly kind: "refused"; readonly error: CortexError }
  /** Nothing here can hold the model now: the router knows what to say. */
  | { readonly kind: "decide-again" }
  /** The waiter itself left. */
  | { readonly kind: "cancelled" };

/** How a load ended. */
export type LoadOutcome =
  /** The model serves. */
  | { readonly kind: "loaded" }
  /** The neuron refused it, or could not do it. */
  | { readonly kind: "failed"; readonly error: CortexError }
  /** The neuron had changed since it was seen. */
  | { readonly kind: "stale" }
  /** Ended by somebody else, or no longer known to the neuron. */
  | { readonly kind: "vanished" }
  /** The neuron does not answer any more. */
  | { readonly kind: "unreachable" };

export type SchedulerEvent = { readonly atMs: number } & (
  | /** A request took a place that was free. */ {
      readonly kind: "request-entered";
      readonly modelId: string;
      readonly neuron: string;
    }
  | /** A request found no place. */ {
      readonly kind: "waiter-arrived";
      readonly waiterId: string;
      readonly modelId: string;
      readonly principal: string;
      readonly affinity: string | null;
      readonly avoid: ReadonlySet<string>;
      readonly excluded: ReadonlySet<string>;
      readonly deadlineAtMs: number;
    }
  | /** A client has said how long the model should stay. */ {
      readonly kind: "residency-wished";
      readonly modelId: string;
      readonly keepMs: number;
    }
  | /** The client has gone, or the gateway stops. */ {
      readonly kind: "waiter-left";
      readonly waiterId: string;
      readonly modelId: string;
    }
  | /** A request that had a place is over, however it ended. */ {
      readonly kind: "place-freed";
      readonly modelId: string;
      readonly neuron: string;
      /** Null: it says nothing about the copy. */
      readonly outcome: RequestOutcome | null;
      /** Of its answer; null: that tells nothing. */
      readonly tokensPerSec: number | null;
    }
  | /** A neuron told of a change, or of none. */ { readonly kind: "view-changed"; readonly view: FleetView }
  | /** The neuron has taken the load on as a job; from now on it can be cancelled. */ {
      readonly kind: "load-accepted";
      readonly modelId: string;
      readonly attempt: number;
      readonly jobId: string;
    }
  | /** The neuron has reported how far the job is. */ {
      readonly kind: "load-progressed";
      readonly modelId: string;
      readonly attempt: number;
      readonly jobState: JobState;
      readonly progress: number | null;
    }
  | /** The load is over, one way or another. */ {
      readonly kind: "load-ended";
      readonly modelId: string;
      readonly attempt: number;
      readonly outcome: LoadOutcome;
    }
  | /** Other fleet files are in force. */ {
      readonly kind: "policy-changed";
      readonly policy: SchedulerPolicy;
    }
  | /** Time went by. */ { readonly kind: "time-passed" }
);

export type SchedulerEventOf<Kind extends SchedulerEvent["kind"]> = Extract<SchedulerEvent, { kind: Kind }>;

export type SchedulerEffect =
  /** Ask the neuron for the load, and follow its job; `evict` in the order in which they give way. */
  | {
      readonly kind: "start-load";
      readonly modelId: string;
      readonly neuron: string;
      readonly attempt: number;
      readonly evict: readonly string[];
      /** What the neuron must still be at; null where a load is joined. */
      readonly generation: number | null;
    }
  /** Tell the neuron that nobody here wants its job any more. */
  | {
      readonly kind: "cancel-load";
      readonly modelId: string;
      readonly neuron: string;
      readonly attempt: number;
      readonly jobId: string;
    }
  /** Ask the neuron to let an idle copy go. */
  | {
      readonly kind: "unload-idle";
      readonly modelId: string;
      readonly neuron: string;
      readonly generation: number;
    }
  /** Ask the neuron to unload a copy and to load it again. */
  | {
      readonly kind: "recycle-copy";
      readonly modelId: string;
      readonly neuron: string;
      readonly generation: number;
      /** How long its work in flight may take to end. */
      readonly drainMs: number;
    }
  /** Let a waiter go, with what came of its wait. */
  | { readonly kind: "release-waiter"; readonly waiterId: string; readonly outcome: WaitOutcome };

export interface SchedulerStep {
  readonly state: Scheduler;
  readonly effects: readonly SchedulerEffect[];
}

export const initialScheduler = (policy: SchedulerPolicy, fleet: FleetIndex, view: FleetView): Scheduler => ({
  policy,
  fleet,
  view,
  queues: new Map(),
  loads: new Map(),
  nextAttempt: 1,
  inFlight: new Map(),
  copies: new Map(),
  standings: new Map(),
  speeds: new Map(),
  failures: new Map(),
  unloads: new Map(),
  neededMib: new Map(),
  demand: new Map(),
  wishes: new Map(),
});
