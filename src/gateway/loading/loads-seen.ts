/** A load that this gateway has asked for or joined, as it is remembered for a while; filled in when it ends. */
export interface LoadSeen {
  readonly modelId: string;
  readonly neuron: string;
  /** Somebody else began it. */
  readonly joined: boolean;
  /** Who was to leave for it. */
  readonly evict: readonly string[];
  /** Monotonic milliseconds. */
  readonly startedAtMs: number;
  endedAtMs: number | null;
  outcome: string | null;
}

/** Tries of one model that are remembered: a request waits for few. */
const KEPT_PER_MODEL = 8;

/** The last loads of each model; models are those of the fleet, so they are bounded. */
export class LoadsSeen {
  readonly #byModel = new Map<string, readonly LoadSeen[]>();

  begin(load: Omit<LoadSeen, "endedAtMs" | "outcome">): LoadSeen {
    const seen: LoadSeen = { ...load, endedAtMs: null, outcome: null };
    const before = this.#byModel.get(load.modelId) ?? [];
    this.#byModel.set(load.modelId, [...before, seen].slice(-KEPT_PER_MODEL));
    return seen;
  }

  /** Those that were under way at some time since then. */
  since(modelId: string, sinceMs: number): readonly LoadSeen[] {
    return (this.#byModel.get(modelId) ?? []).filter(
      ({ endedAtMs }) => endedAtMs === null || endedAtMs >= sinceMs,
    );
  }
}
