import type { LlamaContextSequence } from "node-llama-cpp";
import { CortexError } from "../../../core/errors.ts";
import type { Clock } from "../../../core/clock.ts";
import { chooseSlot } from "../choose-slot.ts";
import type { SlotOccupancy } from "../inference-engine.ts";

/** One place in the context: a sequence and what it has computed. */
export interface Slot {
  readonly id: number;
  readonly sequence: LlamaContextSequence;
  tokens: readonly number[];
  lastUsedMs: number;
}

interface Waiter {
  readonly prompt: readonly number[];
  readonly grant: (slot: Slot) => void;
}

export interface SlotPool {
  readonly occupancy: SlotOccupancy;
  /**
   * A slot now or in order of arrival; the one whose history fits the prompt best. Throws `queue_full` at once.
   * The promise rejects with the signal's reason when it aborts while waiting.
   */
  acquire(prompt: readonly number[], signal: AbortSignal): Promise<Slot>;
  release(slot: Slot): void;
  /** Releases a slot whose answer has ended, when the last step that it takes part in is over. */
  releaseAfter(slot: Slot, step: Promise<unknown>): void;
  /** Slots that nobody uses, those of answers that have ended among them. */
  idle(): Promise<readonly Slot[]>;
}

export interface SlotPoolOptions {
  readonly slots: readonly Slot[];
  readonly maxQueued: number;
  readonly clock: Clock;
}

class FifoSlotPool implements SlotPool {
  readonly #options: SlotPoolOptions;
  readonly #free: Set<Slot>;
  readonly #waiting: Waiter[] = [];
  readonly #leaving = new Set<Promise<void>>();

  constructor(options: SlotPoolOptions) {
    this.#options = options;
    this.#free = new Set(options.slots);
  }

  get occupancy(): SlotOccupancy {
    const slots = this.#options.slots.length;
    const busy = slots - this.#free.size;
    return { slots, busy, queued: this.#waiting.length, maxQueued: this.#options.maxQueued };
  }

  acquire(prompt: readonly number[], signal: AbortSignal): Promise<Slot> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    const slot = this.#waiting.length === 0 ? this.#take(prompt) : undefined;
    if (slot !== undefined) return Promise.resolve(slot);
    const { slots, queued, maxQueued } = this.occupancy;
    if (queued < maxQueued) return this.#wait(prompt, signal);
    throw new CortexError("queue_full", `all ${slots} slots are busy and ${queued} requests wait already`, {
      details: { slots, queued },
    });
  }

  release(slot: Slot): void {
    slot.lastUsedMs = this.#options.clock.monotonicMs();
    this.#free.add(slot);
    const next = this.#waiting.shift();
    if (next === undefined) return;
    const granted = this.#take(next.prompt);
    if (granted !== undefined) next.grant(granted);
  }

  releaseAfter(slot: Slot, step: Promise<unknown>): void {
    const release = (): void => {
      this.#leaving.delete(left);
      this.release(slot);
    };
    const left = step.then(release, release);
    this.#leaving.add(left);
  }

  async idle(): Promise<readonly Slot[]> {
    await Promise.all(this.#leaving);
    return [...this.#free];
  }

  #take(prompt: readonly number[]): Slot | undefined {
    const candidates = [...this.#free];
    const busy = this.#options.slots.filter((slot) => !this.#free.has(slot)).map(({ id }) => id);
    const choice = chooseSlot(candidates, prompt, busy);
    const slot = candidates.find((candidate) => candidate.id === choice?.id);
    if (slot !== undefined) this.#free.delete(slot);
    return slot;
  }

  #wait(prompt: readonly number[], signal: AbortSignal): Promise<Slot> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal.reason as Error);
      };
      const waiter: Waiter = {
        prompt,
        grant: (slot) => {
          signal.removeEventListener("abort", onAbort);
          resolve(slot);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(waiter);
    });
  }
}

export const createSlotPool = (options: SlotPoolOptions): SlotPool => new FifoSlotPool(options);
