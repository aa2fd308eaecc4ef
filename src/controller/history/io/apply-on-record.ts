import type { Clock } from "../../../core/clock.ts";
import { CortexError, toCortexError } from "../../../core/errors.ts";
import type { ApplyResult } from "../../../protocol/apply-events.ts";
import type { PlanDocument } from "../../../protocol/plan-document.ts";
import type { ApplyRecord } from "../../../protocol/refs/apply-record.ts";
import type { Operator } from "../../../protocol/refs/lock-record.ts";
import { applyRecord } from "../../apply/apply-record.ts";
import { applyPlan, type ApplyDeps } from "../../apply/io/apply-plan.ts";
import type { HeldLock } from "../../lock/io/held-lock.ts";
import { takeLock } from "../../lock/io/take-lock.ts";
import type { LockStore } from "../../lock/lock-store.ts";
import { writeEntry } from "../entry-text.ts";

export interface RecordedApplyOptions {
  /** Undefined: nobody else is kept away, and nothing is written down. */
  readonly store: LockStore | undefined;
  readonly operation: string;
  readonly operator: Operator;
  readonly clock: Clock;
  /** The plan in a line. */
  readonly summary: string;
  readonly signedBy?: string | null | undefined;
  readonly lockWaitMs?: number | undefined;
  readonly lockTtlMs?: number | undefined;
  /** Told what is waited for, and what goes on without a lock. */
  readonly onRemark?: ((text: string) => void) | undefined;
  readonly apply: Omit<ApplyDeps, "clock" | "lease">;
}

export interface RecordedApply {
  readonly result: ApplyResult;
  readonly record: ApplyRecord;
  /** Why the history has no entry of it; undefined when it has one. */
  readonly unrecorded: string | undefined;
}

/**
 * Carries out a plan under the lock of its fleet, and writes down what came of it as the lock is given back. Throws
 * `lock_held` before anything is sent.
 */
export class ApplyOnRecord {
  readonly #plan: PlanDocument;
  readonly #options: RecordedApplyOptions;
  #lock: HeldLock | undefined;
  #startedAtMs = 0;

  constructor(plan: PlanDocument, options: RecordedApplyOptions) {
    this.#plan = plan;
    this.#options = options;
  }

  async run(): Promise<RecordedApply> {
    const { clock, apply } = this.#options;
    this.#lock = await this.#takeLock();
    this.#startedAtMs = clock.nowMs();
    try {
      const result = await applyPlan(this.#plan, { ...apply, clock, lease: this.#lock });
      return await this.close(result);
    } catch (thrown) {
      // Refused before anything was sent: nobody has to wait for the end of the lock.
      await this.#release(NOTHING_DONE).catch(() => undefined);
      throw thrown;
    }
  }

  /** Gives the lock back with this result; once, and also while `run` still waits for what nobody waits for any more. */
  async close(result: ApplyResult): Promise<RecordedApply> {
    const { clock, operation, operator, summary, signedBy = null } = this.#options;
    const record = applyRecord(this.#plan, result, {
      epoch: this.#lock?.epoch ?? null,
      startedAtMs: this.#startedAtMs,
      endedAtMs: clock.nowMs(),
    });
    const entry = writeEntry({ version: 1, operation, operator, summary, signed_by: signedBy, record });
    return { result, record, unrecorded: await this.#release(entry).catch(reasonOf) };
  }

  async #takeLock(): Promise<HeldLock | undefined> {
    const { store, operation, operator, clock, lockWaitMs, lockTtlMs, onRemark, apply } = this.#options;
    if (store === undefined) return undefined;
    try {
      return await takeLock(store, {
        fleet: this.#plan.fleet,
        operation,
        revision: this.#plan.revision.commit,
        operator,
        clock,
        waitMs: lockWaitMs,
        ttlMs: lockTtlMs,
        signal: apply.signal,
        onWait: onRemark,
      });
    } catch (thrown) {
      if (!(thrown instanceof CortexError) || thrown.code !== "refs_not_writable") throw thrown;
      onRemark?.(`Applying without a lock, and without an entry in the history: ${thrown.message}.`);
      return undefined;
    }
  }

  /** Why nothing was written down; undefined when it was, and where nothing had to be. */
  async #release(entry: Parameters<HeldLock["release"]>[0]): Promise<string | undefined> {
    const lock = this.#lock;
    this.#lock = undefined;
    if (lock === undefined || (await lock.release(entry))) return undefined;
    return "the lock was lost, so the history belongs to whoever took it";
  }
}

const NOTHING_DONE = { message: "lock given back: the plan was refused, nothing was sent", files: {} };

const reasonOf = (thrown: unknown): string => toCortexError(thrown).message;
