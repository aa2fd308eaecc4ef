import { assertNever } from "../../core/assert-never.ts";
import type { CortexError } from "../../core/errors.ts";
import type {
  LoadOrigin,
  LoadRequest,
  ModelSpec,
  ModelStatus,
  StepsInUse,
  ThreadsInUse,
} from "../../protocol/neuron-api.ts";
import type { DeviceLedger, DeviceShare, LedgerDevice } from "./device-ledger.ts";
import type { JobHistory } from "./job-history.ts";
import type { LoadFailures } from "./load-failures.ts";
import type { AwaitedReturn, Restarts } from "./restarts.ts";
import type { WorkerFacts } from "../../protocol/worker-messages.ts";
import type { WorkerExit } from "./worker-exit.ts";

/** Files that a model is loaded with, besides its own. */
export interface CompanionFiles {
  readonly lora: readonly { readonly path: string; readonly scale: number }[];
  readonly draftPath: string | null;
}

/** A verified file and how much of it is used. */
export interface LoadableFile {
  readonly path: string;
  /** Of all its parts. */
  readonly fileBytes: number;
  /** Absent where there are none. */
  readonly companions?: CompanionFiles;
  /** Tokens per slot that the worker is told to take; null leaves it to the worker. */
  readonly contextTokens: number | null;
  /** What is promised to it. */
  readonly requiredMib: number;
  /** How long the worker is expected to take; null when no load tells. */
  readonly predictedMs: number | null;
}

/** Where one copy of a model is between being asked for and being gone. */
export type ResidentPhase =
  /** Its file is being found and checked. */
  | { readonly name: "verifying" }
  /** The file is good; the models that give way are still at work. */
  | { readonly name: "evicting"; readonly file: LoadableFile; readonly requiredMib: number }
  /** The file is good; memory is not promised yet because a stopping worker still holds it. */
  | { readonly name: "verified"; readonly file: LoadableFile; readonly requiredMib: number }
  /** Memory is promised; an earlier load on one of its devices is still under way. */
  | { readonly name: "reserved"; readonly file: LoadableFile }
  | { readonly name: "loading" }
  /** Its worker serves; nobody is told before the next neuron would know of it. */
  | { readonly name: "arrived"; readonly loadedAtMs: number }
  | { readonly name: "loaded" }
  /**
   * Takes no new requests. The worker stops when the last one ends; or, where it gives way to the load of instance
   * `givesWayTo`, when all that give way to it have none. Without a job in a shutdown and in a swap.
   */
  | { readonly name: "draining"; readonly unloadJobId: string | null; readonly givesWayTo: string | null }
  /** The worker was told to go; the entry stays until the process is really gone. */
  | {
      readonly name: "stopping";
      readonly unloadJobId: string | null;
      /** Why its load ends in failure, when the load had not ended yet. */
      readonly loadFailure: CortexError | null;
    };

/** A copy that may give way to a load: this very one, not a later copy of the same model. */
export interface Victim {
  readonly modelId: string;
  readonly instance: string;
}

/** What a load may make leave, and how. */
export interface Eviction {
  /** In the order in which they give way; as many as the load needs. */
  readonly victims: readonly Victim[];
  readonly drainTimeoutMs: number;
  readonly force: boolean;
  /** Those that were told to go, and do not come back. */
  readonly evicted: readonly string[];
}

export interface Resident {
  /** Id of the load job: tells this copy from an earlier or later one of the same model. */
  readonly instance: string;
  readonly spec: ModelSpec;
  readonly specHash: string;
  readonly origin: LoadOrigin;
  /** Null for a load that takes only memory that is free. */
  readonly eviction: Eviction | null;
  /** Somebody beside the one who began the load has asked for it. */
  readonly isJoined: boolean;
  readonly phase: ResidentPhase;
  readonly devices: readonly number[];
  readonly pid: number | null;
  readonly facts: WorkerFacts | null;
  /** Requests taken and not ended, queued ones included. */
  readonly openRequests: number;
  readonly rejectedQueueFull: number;
  readonly requestedAtMs: number;
  readonly loadedAtMs: number | null;
  readonly lastUsedMs: number | null;
  /** Workers that have gone from its devices since: the memory that is left lies in as many pieces at worst. */
  readonly cycles: number;
  /** It is unloaded to be loaded again. */
  readonly returns: boolean;
}

export interface Residency {
  /**
   * Rises with every change that a planner could have seen: an entry came, went, or changed status or devices.
   * Begins at the second of the start, so that it does not fall back over a restart.
   */
  readonly generation: number;
  readonly mode: "open" | "draining" | "closing";
  /** The highest epoch of an apply that was seen, by fleet; changes of a lower one are refused. */
  readonly epochs: ReadonlyMap<string, number>;
  readonly ledger: DeviceLedger;
  readonly models: ReadonlyMap<string, Resident>;
  readonly jobs: JobHistory;
  /** Models that are not here and come back by themselves. */
  readonly restarts: Restarts;
  /** What could not be loaded, so that requests do not have it tried over and over. */
  readonly failures: LoadFailures;
}

/** On what a change depends: what its caller had seen, and which apply the caller is. Null: on nothing. */
export interface ChangeCondition {
  readonly ifMatch: number | null;
  readonly epoch: number | null;
  /** Whose epochs it counts among: two fleets on one neuron have each their own. */
  readonly fleet?: string | undefined;
}

/** Of a caller that names no fleet. */
export const UNNAMED_FLEET = "";

/** What happened to this neuron, in the past tense. An event of one copy names its instance. */
export type ResidencyEvent =
  /** The driver was asked, once, after the start: only now is there memory to promise. */
  | { readonly kind: "devices-discovered"; readonly devices: readonly LedgerDevice[] }
  /** Devices do not answer any more: what is on them cannot go on. */
  | { readonly kind: "devices-lost"; readonly indices: ReadonlySet<number>; readonly atMs: number }
  /** Somebody wants a model to be resident. */
  | {
      readonly kind: "load-requested";
      /** Id of the job, should one be opened. */
      readonly jobId: string;
      readonly request: LoadRequest;
      readonly condition: ChangeCondition;
      readonly atMs: number;
    }
  /** Somebody wants a model to be resident, and names who gives way where its memory is not free. */
  | {
      readonly kind: "swap-requested";
      readonly jobId: string;
      readonly request: LoadRequest;
      /** Model ids, in the order in which they give way. */
      readonly evict: readonly string[];
      readonly drainTimeoutMs: number;
      readonly force: boolean;
      readonly condition: ChangeCondition;
      readonly atMs: number;
    }
  /** Somebody wants a model to be gone, after its work or, with force, before. */
  | {
      readonly kind: "unload-requested";
      readonly jobId: string;
      readonly modelId: string;
      readonly drainTimeoutMs: number;
      readonly force: boolean;
      /** As it is then loaded again. */
      readonly reload: boolean;
      readonly condition: ChangeCondition;
      readonly atMs: number;
    }
  /** Somebody takes back a load or an unload that is under way. */
  | {
      readonly kind: "job-cancel-requested";
      readonly jobId: string;
      /** A load that somebody else waits for goes on. */
      readonly unlessJoined: boolean;
      readonly atMs: number;
    }
  /** News of a file that is being fetched: the copy stays in the phase `verifying`, its job says more. */
  | {
      readonly kind: "source-progressed";
      readonly instance: string;
      readonly step: "downloading" | "verifying";
      readonly bytesDone: number;
      readonly bytesTotal: number | null;
      readonly etaSecs: number | null;
    }
  /** The file of a load was found and is good, and the driver was asked what is used. */
  | {
      readonly kind: "source-verified";
      readonly instance: string;
      readonly file: LoadableFile;
      readonly requiredMib: number;
      /** What the driver says is used, by device index; empty where there is no driver to ask. */
      readonly usedMib: ReadonlyMap<number, number>;
      readonly atMs: number;
    }
  /** The file of a load is missing, forbidden or not what it should be. */
  | {
      readonly kind: "source-refused";
      readonly instance: string;
      readonly failure: CortexError;
      readonly atMs: number;
    }
  /** A worker that an earlier neuron has left serves on, with the memory that it holds. */
  | {
      readonly kind: "worker-adopted";
      readonly instance: string;
      readonly spec: ModelSpec;
      readonly origin: LoadOrigin;
      readonly pid: number;
      readonly facts: WorkerFacts;
      readonly held: readonly DeviceShare[];
      readonly requestedAtMs: number;
      readonly loadedAtMs: number;
      readonly atMs: number;
    }
  /** The worker's process exists. */
  | { readonly kind: "worker-spawned"; readonly instance: string; readonly pid: number }
  /** The worker's load came this far, 0..1. */
  | { readonly kind: "load-progressed"; readonly instance: string; readonly fraction: number }
  /** The worker holds the model and takes requests; its memory is measured. */
  | {
      readonly kind: "model-loaded";
      readonly instance: string;
      readonly facts: WorkerFacts;
      readonly atMs: number;
    }
  /** What is held is on disk, this copy's worker with it, or cannot be kept. */
  | { readonly kind: "assignment-kept"; readonly instance: string; readonly atMs: number }
  /** A worker has tried and chosen threads for a kind of step, or how the next context is made. */
  | {
      readonly kind: "threads-chosen";
      readonly instance: string;
      readonly threads: ThreadsInUse;
      readonly steps?: StepsInUse | undefined;
    }
  /** The worker could not load the model; its process is still there. */
  | {
      readonly kind: "load-failed";
      readonly instance: string;
      readonly failure: CortexError;
      readonly atMs: number;
    }
  /** The worker's process is gone, and with it the memory that it held. */
  | {
      readonly kind: "worker-exited";
      readonly instance: string;
      readonly exit: WorkerExit;
      /** What the driver says is used now, where it was asked. */
      readonly usedMib: ReadonlyMap<number, number>;
      readonly atMs: number;
    }
  /** It is time to load a model again whose worker died; `jobId` is for the load. */
  | {
      readonly kind: "restart-came-due";
      readonly jobId: string;
      readonly request: LoadRequest;
      /** The copy that died. */
      readonly instance: string;
      readonly atMs: number;
    }
  /** A model that could not be loaded after a start is tried again later. */
  | { readonly kind: "return-awaited"; readonly awaited: AwaitedReturn; readonly atMs: number }
  /** It was tried often enough: it stays away until somebody asks for it. */
  | { readonly kind: "return-given-up"; readonly modelId: string }
  /** The time that a drain was given is over. */
  | { readonly kind: "drain-timed-out"; readonly instance: string; readonly atMs: number }
  /** A request was taken for a loaded model. */
  | { readonly kind: "request-started"; readonly instance: string; readonly atMs: number }
  /** A request was turned away because the model's queue is full. */
  | { readonly kind: "request-refused"; readonly instance: string }
  /** A request that was taken is over, however it ended. */
  | { readonly kind: "request-ended"; readonly instance: string; readonly atMs: number }
  /** The operator wants no new work here; what is loaded stays. */
  | { readonly kind: "drain-requested" }
  /** The operator takes the drain back. */
  | { readonly kind: "resume-requested" }
  /** The neuron's process wants to end: every model leaves, and nothing is taken any more. */
  | { readonly kind: "shutdown-begun"; readonly drainTimeoutMs: number; readonly atMs: number };

export type EventOf<Kind extends ResidencyEvent["kind"]> = Extract<ResidencyEvent, { readonly kind: Kind }>;

/** What the loop is to do, in the imperative. */
export type ResidencyEffect =
  /** Find and check the file of a load; the answer is `source-verified` or `source-refused`. */
  | { readonly kind: "verify-source"; readonly instance: string; readonly spec: ModelSpec }
  /** Break a check off: its load is cancelled. */
  | { readonly kind: "abandon-verification"; readonly instance: string }
  /** Start a process that loads the file onto these devices; it answers by events until `worker-exited`. */
  | {
      readonly kind: "start-worker";
      readonly instance: string;
      readonly spec: ModelSpec;
      readonly file: LoadableFile;
      readonly devices: readonly number[];
    }
  /** Put on disk what is held now; the answer is `assignment-kept`. */
  | { readonly kind: "keep-assignment"; readonly instance: string }
  /** Make a worker's process go, by every means; `worker-exited` follows. */
  | {
      readonly kind: "stop-worker";
      readonly instance: string;
      /** As a crash would: its model comes back elsewhere, like after any other death. */
      readonly atOnce?: true;
    }
  /** Say `drain-timed-out` after this time; replaces the timer that runs for the copy. */
  | { readonly kind: "start-drain-timer"; readonly instance: string; readonly timeoutMs: number }
  /** Say `restart-came-due` after this time. */
  | {
      readonly kind: "start-restart-timer";
      readonly instance: string;
      readonly request: LoadRequest;
      readonly delayMs: number;
    }
  /** Tell log and metrics that a load is over; the job says how. */
  | { readonly kind: "report-load-ended"; readonly jobId: string }
  /** Tell log and metrics that a worker exited without being told to. */
  | {
      readonly kind: "report-worker-lost";
      readonly modelId: string;
      readonly exit: WorkerExit;
      readonly openRequests: number;
    };

export type EffectOf<Kind extends ResidencyEffect["kind"]> = Extract<
  ResidencyEffect,
  { readonly kind: Kind }
>;

/** The effects that only tell: nothing that the reducer waits for comes of them. */
export type ReportEffect = EffectOf<"report-load-ended" | "report-worker-lost">;

/** What a caller who asked for a change is told at once. */
export type ChangeAnswer =
  /** It is already so. */
  | { readonly kind: "nothing-to-do" }
  /** This job does it; a job that already ran is joined. */
  | { readonly kind: "job"; readonly jobId: string }
  /** It is not done. */
  | { readonly kind: "refused"; readonly failure: CortexError };

export interface ResidencyStep {
  readonly state: Residency;
  readonly effects: readonly ResidencyEffect[];
  /** Only for the events that ask for a change. */
  readonly answer: ChangeAnswer | null;
}

export const emptyResidency: Residency = {
  generation: 0,
  mode: "open",
  epochs: new Map(),
  ledger: [],
  models: new Map(),
  jobs: new Map(),
  restarts: new Map(),
  failures: new Map(),
};

/** The status that the outside sees. */
export function statusOf(phase: ResidentPhase): ModelStatus {
  switch (phase.name) {
    case "verifying":
    case "evicting":
    case "verified":
    case "reserved":
    case "loading":
    case "arrived":
      return "loading";
    case "loaded":
      return "loaded";
    case "draining":
    case "stopping":
      return "unloading";
    default:
      return assertNever(phase);
  }
}

export function findInstance(state: Residency, instance: string): Resident | undefined {
  for (const resident of state.models.values()) if (resident.instance === instance) return resident;
  return undefined;
}
