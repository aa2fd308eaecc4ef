import type { Dispatcher } from "undici";
import type { ModelScript } from "../../../protocol/worker-messages.ts";
import type { ModelSpec } from "../../../protocol/neuron-api.ts";
import type { Calibration, WorkerMessage } from "../../../protocol/worker-messages.ts";
import type { WirePool } from "../../../protocol/wire/io/wire-pool.ts";
import type { LoadableFile } from "../residency-state.ts";
import type { WorkerExit } from "../worker-exit.ts";

/** A worker process with its line: what the relay sends requests to. */
export interface ModelWorker {
  readonly pid: number | null;
  readonly exited: Promise<WorkerExit>;
  /** True once the neuron told it to go. */
  readonly stopRequested: boolean;
  /** HTTP to the worker's own socket, for what is said about it. */
  readonly http: Dispatcher;
  /** The same for requests to its model; no timeouts, because a long prefill is silent. */
  readonly wire: Pick<WirePool, "dispatch">;
  /** Where the next neuron finds it. */
  readonly address: WorkerAddress;
  stop(): Promise<WorkerExit>;
  /** Ends it at once, as a crash would. */
  kill(): void;
  /** Lets it live on by itself: this neuron ends, and the next one finds it. */
  release(): void;
}

export function endWorker(worker: ModelWorker | undefined, { atOnce }: { readonly atOnce?: true }): void {
  if (atOnce === true) worker?.kill();
  else void worker?.stop();
}

export interface WorkerAddress {
  readonly socketPath: string;
  /** What it says, and its last words. */
  readonly logPath: string;
}

export interface WorkerLaunch {
  readonly instance: string;
  readonly spec: ModelSpec;
  readonly file: LoadableFile;
  /** Indices of the devices it may use. */
  readonly devices: readonly number[];
  /** Choices of threads that may be about the file. */
  readonly calibrations: readonly Calibration[];
  /** It counts tokens and holds no weights. */
  readonly vocabularyOnly?: boolean;
  /** Answers for the model in the place of an engine. */
  readonly script?: ModelScript | undefined;
  readonly onMessage: (message: WorkerMessage) => void;
}
