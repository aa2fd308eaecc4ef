import { assertNever } from "../../core/assert-never.ts";
import type { CortexError } from "../../core/errors.ts";
import type { LoadOrigin, LoadRequest, ModelSpec, ModelStatus } from "../../protocol/neuron-api.ts";
import type { DeviceLedger, LedgerDevice } from "./device-ledger.ts";
import type { JobHistory } from "./job-history.ts";
import type { WorkerFacts } from "../../protocol/worker-messages.ts";

/** A verified file and how much of it is used. */
export interface LoadableFile {
  readonly path: string;
  /** Tokens per slot that the worker is told to take; null leaves it to the worker. */
  readonly contextTokens: number | null;
}

/** Where one copy of a model is between being asked for and being gone. */
export type ResidentPhase =
  /** Its file is being found and checked. */
  | { readonly name: "verifying" }
  /** The file is good; memory is not promised yet because a stopping worker still holds it. */
  | { readonly name: "verified"; readonly file: LoadableFile; readonly requiredMb: number }
  /** Memory is promised; an earlier load on one of its devices is still under way. */
  | { readonly name: "reserved"; readonly file: LoadableFile }
  | { readonly name: "loading" }
  | { readonly name: "loaded" }
  /** Takes no new requests; the worker stops when the last one ends. Without a job in a shutdown. */
  | { readonly name: "draining"; readonly unloadJobId: string | null }
  /** The worker was told to go; the entry stays until the process is really gone. */
  | {
      readonly name: "stopping";
      readonly unloadJobId: string | null;
      /** Why its load ends in failure, when the load had not ended yet. */
      readonly loadFailure: CortexError | null;
    };

export interface Resident {
  /** Id of the load job: tells this copy from an earlier or later one of the same model. */
  readonly instance: string;
  readonly spec: ModelSpec;
  readonly specHash: string;
  readonly origin: LoadOrigin;
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
}

export interface Residency {
  /**
   * Rises with every change that a planner could have seen: an entry came, went, or changed status or devices.
   * Begins at the second of the start, so that it does not fall back over a restart.
   */
  readonly generation: number;
  readonly mode: "open" | "draining" | "closing";
  readonly ledger: DeviceLedger;
  readonly models: ReadonlyMap<string, Resident>;
  readonly jobs: JobHistory;
}

/** How a worker process ended. */
export interface WorkerExit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly lastLogLines: readonly string[];
}

export type ResidencyEvent =
  | { readonly type: "devices-discovered"; readonly devices: readonly LedgerDevice[] }
  | {
      readonly type: "load-requested";
      /** Id of the job, should one be opened. */
      readonly jobId: string;
      readonly request: LoadRequest;
      readonly ifMatch: number | null;
      readonly atMs: number;
    }
  | {
      readonly type: "unload-requested";
      readonly jobId: string;
      readonly modelId: string;
      readonly drainTimeoutMs: number;
      readonly force: boolean;
      readonly ifMatch: number | null;
      readonly atMs: number;
    }
  | { readonly type: "job-cancel-requested"; readonly jobId: string; readonly atMs: number }
  | {
      readonly type: "source-verified";
      readonly instance: string;
      readonly file: LoadableFile;
      readonly requiredMb: number;
      /** What the driver says is used, by device index; empty where there is no driver to ask. */
      readonly usedMb: ReadonlyMap<number, number>;
      readonly atMs: number;
    }
  | {
      readonly type: "source-refused";
      readonly instance: string;
      readonly failure: CortexError;
      readonly atMs: number;
    }
  | { readonly type: "worker-spawned"; readonly instance: string; readonly pid: number }
  | { readonly type: "worker-progress"; readonly instance: string; readonly fraction: number }
  | {
      readonly type: "worker-ready";
      readonly instance: string;
      readonly facts: WorkerFacts;
      readonly atMs: number;
    }
  | {
      readonly type: "worker-failed";
      readonly instance: string;
      readonly failure: CortexError;
      readonly atMs: number;
    }
  | {
      readonly type: "worker-exited";
      readonly instance: string;
      readonly exit: WorkerExit;
      readonly atMs: number;
    }
  | { readonly type: "drain-timed-out"; readonly instance: string; readonly atMs: number }
  | { readonly type: "request-started"; readonly instance: string; readonly atMs: number }
  | { readonly type: "request-refused"; readonly instance: string }
  | { readonly type: "request-ended"; readonly instance: string; readonly atMs: number }
  | { readonly type: "drain-requested" }
  | { readonly type: "resume-requested" }
  | { readonly type: "shutdown-begun"; readonly drainTimeoutMs: number; readonly atMs: number };

export type ResidencyEffect =
  | { readonly type: "verify-source"; readonly instance: string; readonly spec: ModelSpec }
  | { readonly type: "abandon-verification"; readonly instance: string }
  | {
      readonly type: "start-worker";
      readonly instance: string;
      readonly spec: ModelSpec;
      readonly file: LoadableFile;
      readonly devices: readonly number[];
    }
  | { readonly type: "stop-worker"; readonly instance: string }
  | { readonly type: "start-drain-timer"; readonly instance: string; readonly timeoutMs: number }
  | { readonly type: "report-load-ended"; readonly jobId: string }
  | {
      readonly type: "report-worker-lost";
      readonly modelId: string;
      readonly exit: WorkerExit;
      readonly openRequests: number;
    };

/** What a caller who asked for a change is told at once. */
export type ChangeAnswer =
  | { readonly kind: "nothing-to-do" }
  | { readonly kind: "job"; readonly jobId: string }
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
  ledger: [],
  models: new Map(),
  jobs: new Map(),
};

/** The status that the outside sees. */
export function statusOf(phase: ResidentPhase): ModelStatus {
  switch (phase.name) {
    case "verifying":
    case "verified":
    case "reserved":
    case "loading":
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
