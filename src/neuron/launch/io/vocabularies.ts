import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import { sleptThrough } from "../../../core/interruptible-sleep.ts";
import type { ModelSpec } from "../../../protocol/neuron-api.ts";
import type { WorkerMessage } from "../../../protocol/worker-messages.ts";
import type { ModelWorker, WorkerLaunch } from "../../residency/io/model-worker.ts";

export interface VocabulariesOptions {
  readonly clock: Clock;
  /** The file of a spec, where it is here. */
  readonly inspect: (spec: ModelSpec) => Promise<{ readonly path: string }>;
  readonly launch: (launch: WorkerLaunch) => ModelWorker;
}

export interface OpenVocabulary {
  readonly worker: ModelWorker;
  /** Exactly once. */
  end(): void;
}

/** Processes that hold nothing but a vocabulary; each takes some 100 to 300 MiB. */
const MOST_OPEN = 2;
/** One that nobody asked for so long is ended. */
const IDLE_MS = 5 * 60_000;
const LOOK_MS = 30_000;
/** Reading a vocabulary takes about a second. */
const MOST_WAITING = 64;

interface Entry {
  readonly worker: ModelWorker;
  /** Resolves when it answers; rejects with why it does not. */
  readonly ready: Promise<void>;
  uses: number;
  lastUsedMs: number;
}

/**
 * Counts tokens for models that are not loaded: a few worker processes with the vocabulary of a file and not its
 * weights. They hold no memory of a device and no place in the ledger, and end with the neuron.
 */
export class Vocabularies {
  readonly #options: VocabulariesOptions;
  readonly #open = new Map<string, Entry>();
  readonly #closed = new AbortController();
  #launched = 0;
  #waiting = 0;
  #tidying = false;

  constructor(options: VocabulariesOptions) {
    this.#options = options;
  }

  /** Throws what `inspect` throws, `queue_full`, or why the vocabulary cannot be read. */
  async open(spec: ModelSpec): Promise<OpenVocabulary> {
    if (spec.harness !== "llama") {
      throw new CortexError(
        "source_unsupported",
        "tokens of an external engine's model are counted by that engine",
      );
    }
    const file = await this.#options.inspect(spec);
    const key = `${file.path}\0${spec.model_id}\0${spec.context ?? ""}`;
    const entry = this.#open.get(key) ?? this.#launch(key, { spec, path: file.path });
    // The last one is the one that was used last.
    this.#open.delete(key);
    this.#open.set(key, entry);
    entry.uses += 1;
    this.#waiting += 1;
    const end = (): void => {
      entry.uses -= 1;
      entry.lastUsedMs = this.#options.clock.monotonicMs();
    };
    try {
      await entry.ready;
    } catch (thrown) {
      end();
      throw thrown;
    } finally {
      this.#waiting -= 1;
    }
    return { worker: entry.worker, end };
  }

  close(): void {
    this.#closed.abort();
    for (const { worker } of this.#open.values()) void worker.stop();
    this.#open.clear();
  }

  #launch(key: string, { spec, path }: { readonly spec: ModelSpec; readonly path: string }): Entry {
    this.#makeRoom();
    const { clock, launch } = this.#options;
    const ready = Promise.withResolvers<void>();
    // Whoever waits is told; nobody may be left.
    ready.promise.catch(() => undefined);
    this.#launched += 1;
    const worker = launch({
      instance: `vocabulary-${this.#launched}`,
      spec: { ...spec, parallel: 1 },
      file: { path, fileBytes: 0, contextTokens: spec.context ?? null, requiredMib: 0, predictedMs: null },
      devices: [],
      calibrations: [],
      vocabularyOnly: true,
      onMessage: (message: WorkerMessage) => {
        if (message.kind === "model-loaded") ready.resolve();
        if (message.kind === "load-failed") ready.reject(new CortexError(message.code, message.message));
      },
    });
    const entry: Entry = { worker, ready: ready.promise, uses: 0, lastUsedMs: clock.monotonicMs() };
    this.#open.set(key, entry);
    void this.#forgetAfter(key, entry, ready.reject);
    void this.#tidy();
    return entry;
  }

  async #forgetAfter(key: string, entry: Entry, tell: (reason: CortexError) => void): Promise<void> {
    await entry.worker.exited;
    if (this.#open.get(key) === entry) this.#open.delete(key);
    tell(new CortexError("load_failed", "the process that reads the vocabulary of the model has ended"));
  }

  /** The one that was not used for longest goes; one that is at work never does. */
  #makeRoom(): void {
    if (this.#open.size < MOST_OPEN) return;
    const idle = [...this.#open].find(([, { uses }]) => uses === 0);
    if (idle === undefined || this.#waiting >= MOST_WAITING) {
      throw new CortexError("queue_full", "tokens of other models that are not loaded are being counted");
    }
    const [key, { worker }] = idle;
    this.#open.delete(key);
    void worker.stop();
  }

  async #tidy(): Promise<void> {
    if (this.#tidying) return;
    this.#tidying = true;
    const { clock } = this.#options;
    while (this.#open.size > 0 && (await sleptThrough(clock, LOOK_MS, this.#closed.signal))) {
      for (const [key, { worker, uses, lastUsedMs }] of this.#open) {
        if (uses > 0 || clock.monotonicMs() - lastUsedMs < IDLE_MS) continue;
        this.#open.delete(key);
        void worker.stop();
      }
    }
    this.#tidying = false;
  }
}
