import type { Clock } from "../../../core/clock.ts";
import type { Conditions } from "../conditions.ts";
import { beginLoop, stepLoop, type LoopEffect, type LoopEvent, type LoopState } from "../loop.ts";
import type { RoundOutcome } from "../round-outcome.ts";
import { runRound, type RoundMemory, type RoundOptions } from "./reconcile-round.ts";

export interface ReconcileDeps {
  readonly clock: Clock;
  /** Told when something is new: once of each. */
  readonly onTell: (told: { readonly conditions: Conditions; readonly outcome: RoundOutcome }) => void;
  readonly chance: () => number;
}

export interface Reconciler {
  /** What it says of itself now. */
  state(): LoopState;
  /** The branch moved: look now. */
  announcePush(): void;
  /** Resolves after the first round. */
  readonly firstRound: Promise<RoundOutcome>;
  /** Begins nothing new, and waits for what runs. */
  close(): Promise<void>;
}

/** The loop, from now on until it is closed. */
export function startReconcile(
  options: RoundOptions & { readonly intervalMs: number },
  deps: ReconcileDeps,
): Reconciler {
  const loop = new Loop(options, deps);
  loop.begin();
  return loop;
}

class Loop implements Reconciler {
  readonly #options: RoundOptions & { readonly intervalMs: number };
  readonly #deps: ReconcileDeps;
  readonly #closed = new AbortController();
  readonly #first = Promise.withResolvers<RoundOutcome>();
  readonly #memory: RoundMemory = {
    lastApplied: undefined,
    lastTrue: undefined,
    toldTrue: undefined,
    hasReadHistory: false,
    driftSeen: false,
    intervalMs: undefined,
  };
  #hurry = new AbortController();
  #sleep = new AbortController();
  #round: Promise<void> = Promise.resolve();
  #state: LoopState;

  constructor(options: RoundOptions & { readonly intervalMs: number }, deps: ReconcileDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#state = beginLoop(options.intervalMs, deps.clock.nowMs()).state;
  }

  get firstRound(): Promise<RoundOutcome> {
    return this.#first.promise;
  }

  state(): LoopState {
    return this.#state;
  }

  begin(): void {
    this.#carryOut([{ kind: "run-round" }]);
  }

  announcePush(): void {
    this.#dispatch({ kind: "push-announced" });
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#hurry.abort();
    this.#sleep.abort();
    await this.#round;
  }

  #dispatch(event: LoopEvent): void {
    if (this.#closed.signal.aborted) return;
    const { state, effects } = stepLoop(this.#state, event);
    this.#state = state;
    this.#carryOut(effects);
  }

  #carryOut(effects: readonly LoopEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === "run-round") this.#startRound();
      else if (effect.kind === "hurry-round") this.#hurry.abort();
      else if (effect.kind === "sleep") void this.#sleepFor(effect.forMs);
      else this.#deps.onTell(effect);
    }
  }

  #startRound(): void {
    this.#sleep.abort();
    this.#hurry = new AbortController();
    this.#round = this.#runRound(this.#hurry.signal);
  }

  async #runRound(signal: AbortSignal): Promise<void> {
    const outcome = await runRound(this.#options, this.#memory, signal);
    this.#first.resolve(outcome);
    const { clock, chance } = this.#deps;
    const intervalMs = this.#memory.intervalMs ?? this.#options.intervalMs;
    this.#dispatch({ kind: "round-ended", outcome, chance: chance(), nowMs: clock.nowMs(), intervalMs });
  }

  async #sleepFor(forMs: number): Promise<void> {
    this.#sleep = new AbortController();
    const { signal } = this.#sleep;
    try {
      await this.#deps.clock.sleep(forMs, signal);
    } catch {
      return;
    }
    this.#dispatch({ kind: "time-passed" });
  }
}
