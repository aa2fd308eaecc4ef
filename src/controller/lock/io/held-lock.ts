import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import type { LockRecord } from "../../../protocol/refs/lock-record.ts";
import {
  beginLease,
  isHeld,
  stepLease,
  type LeaseEffect,
  type LeaseEvent,
  type LeaseState,
} from "../lease.ts";
import type { ClosingEntry, LockStore } from "../lock-store.ts";

export interface HeldLockOptions {
  readonly store: LockStore;
  readonly clock: Clock;
  readonly token: string;
  readonly record: LockRecord;
  /** Monotonic: when the push that took it was sent. */
  readonly takenMs: number;
}

/** A lock that is ours, renewed until it is released. */
export class HeldLock {
  readonly #options: HeldLockOptions;
  readonly #lost = new AbortController();
  readonly #ended = new AbortController();
  #record: LockRecord;
  #token: string;
  #state: LeaseState;
  #renewal: Promise<void> = Promise.resolve();

  constructor(options: HeldLockOptions) {
    this.#options = options;
    this.#record = options.record;
    this.#token = options.token;
    this.#state = beginLease(options.record.ttl_ms, options.takenMs).state;
  }

  get record(): LockRecord {
    return this.#record;
  }

  get epoch(): number {
    return this.#record.epoch;
  }

  /** Aborts, with `lock_lost` as its reason, when somebody else may hold the lock: nothing new may be begun. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** By our own clock: false once somebody else may break it. */
  stillHeld(): boolean {
    return isHeld(this.#state, this.#options.clock.monotonicMs());
  }

  start(): void {
    this.#carryOut(beginLease(this.#record.ttl_ms, this.#options.takenMs).effects);
  }

  /** False when the lock was taken away. Only before `start`. */
  async raiseEpoch(epoch: number): Promise<boolean> {
    this.#record = { ...this.#record, epoch };
    return this.#renew();
  }

  /** Gives the lock back and writes down what came of it: false when it is somebody else's, and nothing was written. */
  async release(entry: ClosingEntry): Promise<boolean> {
    this.#ended.abort();
    await this.#renewal;
    const { store } = this.#options;
    const closing = { ...entry, epoch: this.epoch };
    if (await store.drop(this.#token, closing)) return true;
    // As in `#renew`: the last renewal may have come though its answer was lost.
    const seen = await store.read();
    if (seen.token === undefined || seen.record?.id !== this.#record.id) return false;
    return store.drop(seen.token, closing);
  }

  #dispatch(event: LeaseEvent): void {
    const { state, effects } = stepLease(this.#state, event);
    this.#state = state;
    this.#carryOut(effects);
  }

  #carryOut(effects: readonly LeaseEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === "give-up") this.#giveUp(effect.reason);
      else if (effect.kind === "renew") this.#renewal = this.#renewAndReport();
      else void this.#sleep(effect.forMs);
    }
  }

  #giveUp(reason: "taken" | "unreachable"): void {
    const { shown } = this.#options.store;
    const why =
      reason === "taken" ? "somebody else took it" : `${shown} could not be reached for too long to renew it`;
    this.#lost.abort(new CortexError("lock_lost", `the lock ${this.#record.id} is lost: ${why}`));
  }

  async #sleep(forMs: number): Promise<void> {
    try {
      await this.#options.clock.sleep(forMs, this.#ended.signal);
    } catch {
      return;
    }
    this.#dispatch({ kind: "time-passed", nowMs: this.#options.clock.monotonicMs() });
  }

  async #renewAndReport(): Promise<void> {
    const { clock } = this.#options;
    const sentMs = clock.monotonicMs();
    try {
      const isOurs = await this.#renew();
      this.#dispatch(isOurs ? { kind: "renewal-confirmed", sentMs } : { kind: "renewal-refused" });
    } catch {
      this.#dispatch({ kind: "renewal-failed", nowMs: clock.monotonicMs() });
    }
  }

  async #renew(): Promise<boolean> {
    const { store, clock } = this.#options;
    const renewals = this.#record.renewals + 1;
    const next = { ...this.#record, renewals, renewed_at: new Date(clock.nowMs()).toISOString() };
    const token = await store.swap(this.#token, next);
    if (token !== undefined) {
      this.#token = token;
      this.#record = next;
      return true;
    }
    // A renewal whose answer was lost moved it all the same: it is ours under a token that we do not know.
    const seen = await store.read();
    if (seen.token === undefined || seen.record?.id !== this.#record.id) return false;
    this.#token = seen.token;
    return seen.record.epoch === this.#record.epoch || this.#renew();
  }
}
