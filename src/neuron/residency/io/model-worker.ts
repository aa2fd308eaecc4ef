import type { Dispatcher } from "undici";
import type { ModelSpec } from "../../../protocol/neuron-api.ts";
import type { WorkerMessage } from "../../../protocol/worker-messages.ts";
import type { LoadableFile } from "../residency-state.ts";
import type { WorkerExit } from "../worker-exit.ts";

/** A worker process with its line: what the relay sends requests to. */
export interface ModelWorker {
  readonly pid: number | null;
  readonly exited: Promise<WorkerExit>;
  /** True once the neuron told it to go. */
  readonly stopRequested: boolean;
  /** HTTP to the worker's own socket; no timeouts, because a long prefill is silent. */
  readonly http: Dispatcher;
  stop(): Promise<WorkerExit>;
}

export interface WorkerLaunch {
  readonly spec: ModelSpec;
  readonly file: LoadableFile;
  /** Indices of the devices it may use. */
  readonly devices: readonly number[];
  readonly onMessage: (message: WorkerMessage) => void;
}
