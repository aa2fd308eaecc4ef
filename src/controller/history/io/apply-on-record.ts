import type { Clock } from "../../../core/clock.ts";
import { CortexError, toCortexError } from "../../../core/errors.ts";
import { maskSecrets } from "../../../fleet/text/mask-secrets.ts";
import type { ApplyResult } from "../../../protocol/apply-events.ts";
import type { PlanDocument } from "../../../protocol/plan-document.ts";
import type { ApplyRecord } from "../../../protocol/refs/apply-record.ts";
import type { Operator } from "../../../protocol/refs/lock-record.ts";
import { applyRecord } from "../../apply/apply-record.ts";
import { applyPlan, type ApplyDeps } from "../../apply/io/apply-plan.ts";
import type { HeldLock } from "../../lock/io/held-lock.ts";
import { takeLock } from "../../lock/io/take-lock.ts";
import type { ClosingEntry, LockStore } from "../../lock/lock-store.ts";
import { writeEntry } from "../entry-text.ts";

export interface RecordedApplyOptions {
  /** Undefined where the fleet's repository has no remote. */
  readonly store: LockStore | undefined;
  /** Where the lock is kept instead, when there is no remote or nobody may write it; undefined: nowhere. */
  readonly lease?: LockStore | undefined;
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
      // Nobody has to wait for the end of the lock.
      await this.#release(brokenOff(thrown)).catch(() => undefined);
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
    const { store, lease, onRemark } = this.#options;
    if (store === undefined) return lease === undefined ? undefined : this.#takeLease(lease);
    try {
      // What was applied under a lease meanwhile has used up epochs of which the history knows nothing.
      const seen = await lease?.read().catch(() => undefined);
      return await this.#take(store, seen?.lastEpoch);
    } catch (thrown) {
      if (!(thrown instanceof CortexError) || thrown.code !== "refs_not_writable") throw thrown;
      const how = lease === undefined ? "without a lock" : "under a lease on the neurons";
      onRemark?.(`Applying ${how}, and without an entry in the history: ${thrown.message}.`);
      return lease === undefined ? undefined : this.#takeLease(lease);
    }
  }

  async #takeLease(lease: LockStore): Promise<HeldLock | undefined> {
    try {
      return await this.#take(lease);
    } catch (thrown) {
      if (!(thrown instanceof CortexError) || thrown.code !== "leases_not_kept") throw thrown;
      this.#options.onRemark?.(`Applying without a lock: ${thrown.message}.`);
      return undefined;
    }
  }

  #take(store: LockStore, usedEpoch?: number): Promise<HeldLock> {
    const { operation, operator, clock, lockWaitMs, lockTtlMs, onRemark, apply } = this.#options;
    return takeLock(store, {
      fleet: this.#plan.fleet,
      operation,
      revision: this.#plan.revision.commit,
      operator,
      clock,
      usedEpoch,
      waitMs: lockWaitMs,
      ttlMs: lockTtlMs,
      signal: apply.signal,
      onWait: onRemark,
    });
  }

  /** Why nothing was written down; undefined when it was, and where nothing had to be. */
  async #release(entry: Parameters<HeldLock["release"]>[0]): Promise<string | undefined> {
    const lock = this.#lock;
    this.#lock = undefined;
    if (lock === undefined || (await lock.release(entry))) return undefined;
    return "the lock was lost, so the history belongs to whoever took it";
  }
}

/** Refusals of a plan come before anything is sent; of whatever else is thrown nobody knows. */
function brokenOff(thrown: unknown): ClosingEntry {
  const { code, message } = toCortexError(thrown);
  const isRefusal = code === "plan_refused" || code === "mass_unload";
  const what = isRefusal
    ? "the plan was refused, nothing was sent"
    : `the apply broke off, and what it had sent until then is not known here: ${message}`;
  return { message: maskSecrets(`lock given back: ${what}`), files: {} };
}

const reasonOf = (thrown: unknown): string => toCortexError(thrown).message;
