import type {
  BatchingOptions,
  BatchItem,
  EvaluationPriority,
  LlamaContext,
  PrioritizedBatchItem,
} from "node-llama-cpp";
import type { Clock } from "../../../core/clock.ts";
import { bySlot, nextPieces, promptBudget, type WaitingPrompt } from "../step-plan.ts";
import type { Calibration } from "../../../protocol/worker-messages.ts";
import { kindOfAnswers, openChoice, PROMPTS, recordChoice } from "../calibration.ts";
import { chosenThreads, learnStep, type ThreadChoice } from "../thread-choice.ts";
import { aroundSteps } from "./llama-native-context.ts";

/**
 * Who is computed in the engine's next step. The binding forms the batches; left to itself it takes whatever was
 * handed to it when the last step ended, in that order, and so an answer that is a few microtasks late is computed
 * alone in a step of its own.
 */
export interface Steps {
  readonly batching: BatchingOptions;
  /** How many so far. */
  readonly computed: number;
  /** What a slot's evaluation is handed to the binding with: the binding knows no slots when it forms a batch. */
  priorityOf(slot: number): EvaluationPriority;
  /** Waits for a place in a step and says how many of the prompt's next tokens are in it. */
  takePiece(prompt: {
    readonly slot: number;
    readonly remainingTokens: number;
    readonly signal: AbortSignal;
  }): Promise<number>;
  /** Before each token of an answer: undefined, or what to wait for. */
  holdBack(slot: number): Promise<void> | undefined;
  /**
   * Runs work of a slot that has handed in its next token while that one is computed, so that the engine does not wait for
   * it: it is done before the step ends. One at a time for each slot.
   */
  meanwhile<Result>(slot: number, work: () => Result | Promise<Result>): Promise<Result>;
  /** The slot's step does not come: what was to be done meanwhile is done now. */
  catchUp(slot: number): void;
  /** The slot hands nothing in until it is heard of again: its reader is slow, or its generation ended. */
  leave(slot: number): void;
  /** Nobody else has anything to compute. */
  isAlone(slot: number): boolean;
  /** Runs work that needs the engine between two steps. */
  betweenSteps<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Once, with the context that was made with `batching`. */
  attach(context: LlamaContext): void;
}

export interface StepsOptions {
  readonly slots: number;
  readonly onGpu: boolean;
  /** Numbers of threads to choose from. */
  readonly threads: readonly number[];
  /** What an earlier process chose, or with nothing in it; with its key. */
  readonly calibration: Calibration;
  /** A kind of step has its threads. */
  readonly onCalibrated: (calibration: Calibration) => void;
  /** Nothing else wants the cores, as far as is known. */
  readonly quiet: () => boolean;
  readonly clock: Clock;
}

/**
 * How often the binding asks for a batch before it gets one without those who are late. What lies between an answer's
 * token and its request for the next one is a dozen microtasks; whoever needs longer is not waited for.
 */
const MOST_PATIENCE = 64;
/** Weight of the last step in what a token of a prompt costs. */
const LAST_STEP_WEIGHT = 0.3;
/** Steps with fewer tokens of prompts say little of what one costs. */
const LEAST_MEASURED_TOKENS = 16;

interface Waiter {
  prompt: WaitingPrompt;
  /** It waits for the first piece of its prompt. */
  readonly isNew: boolean;
  readonly grant: (tokens: number) => void;
}

interface Gate {
  readonly opened: Promise<void>;
  readonly open: () => void;
  holders: number;
}

class LockstepSteps implements Steps {
  readonly batching: BatchingOptions = {
    itemPrioritizationStrategy: ({ items, size }) => this.#form(items, size),
  };
  readonly #options: StepsOptions;
  /** Slots that hand in their next tokens within microtasks. */
  readonly #coming = new Set<number>();
  /** Slots whose answer is being written. */
  readonly #writing = new Set<number>();
  /** Pieces that were granted and are not computed yet. */
  readonly #granted = new Map<number, number>();
  /** By slot: what is done while the next step is computed. */
  readonly #meanwhile = new Map<number, () => void>();
  /** By kind of step. */
  readonly #threads = new Map<number, ThreadChoice>();
  #calibration: Calibration;
  #waiting: Waiter[] = [];
  /** By slot: the prompt that is being computed, and what of it is left. */
  readonly #begun = new Map<number, { readonly arrival: number; readonly remainingTokens: number }>();
  #arrived = 0;
  #asked = 0;
  #computing: readonly number[] | undefined;
  computed = 0;
  #batchTokens = 1;
  #promptTokens = 0;
  /** The step checks a draft: it has more tokens than answers. */
  #checksDraft = false;
  #promptTokenMs: number | undefined;
  #gate: Gate | undefined;

  constructor(options: StepsOptions) {
    this.#options = options;
    this.#calibration = options.calibration;
  }

  priorityOf(slot: number): EvaluationPriority {
    // The binding hands any number on as it is, to the strategy above and to nobody else.
    return slot as EvaluationPriority;
  }

  takePiece(prompt: { slot: number; remainingTokens: number; signal: AbortSignal }): Promise<number> {
    const { slot, remainingTokens, signal } = prompt;
    this.#coming.delete(slot);
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting = this.#waiting.filter((one) => one !== waiter);
        reject(signal.reason as Error);
      };
      const begun = this.#begun.get(slot);
      // What was given up in the middle is no part of the next one.
      const isNew = begun?.remainingTokens !== remainingTokens;
      if (isNew) this.#arrived += 1;
      const arrival = isNew ? this.#arrived : begun.arrival;
      const waiter: Waiter = {
        isNew,
        prompt: { slot, remainingTokens, arrival, passedOver: 0 },
        grant: (tokens) => {
          signal.removeEventListener("abort", onAbort);
          resolve(tokens);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(waiter);
      if (this.#computing === undefined) this.#grantPieces();
    });
  }

  holdBack(slot: number): Promise<void> | undefined {
    if (this.#gate === undefined) return undefined;
    this.#coming.delete(slot);
    return this.#gate.opened;
  }

  meanwhile<Result>(slot: number, work: () => Result | Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#meanwhile.set(slot, () => {
        this.#meanwhile.delete(slot);
        try {
          resolve(work());
        } catch (thrown) {
          reject(thrown);
        }
      });
    });
  }

  catchUp(slot: number): void {
    this.#meanwhile.get(slot)?.();
  }

  leave(slot: number): void {
    this.#coming.delete(slot);
    this.#writing.delete(slot);
    this.#granted.delete(slot);
    this.#begun.delete(slot);
    if (this.#computing === undefined) this.#grantPieces();
  }

  isAlone(slot: number): boolean {
    const others = [this.#coming, this.#writing, this.#granted.keys()].flatMap((slots) => [...slots]);
    return this.#gate === undefined && this.#waiting.length === 0 && others.every((other) => other === slot);
  }

  async betweenSteps<Result>(work: () => Promise<Result>): Promise<Result> {
    const gate = (this.#gate ??= createGate());
    gate.holders += 1;
    try {
      return await work();
    } finally {
      gate.holders -= 1;
      if (gate.holders === 0) {
        this.#gate = undefined;
        gate.open();
        if (this.#computing === undefined) this.#grantPieces();
      }
    }
  }

  attach(context: LlamaContext): void {
    this.#batchTokens = context.batchSize;
    aroundSteps(context, ({ compute, setThreads }) => this.#step(compute, setThreads));
  }

  /** Runs a step and learns from the time it took. */
  async #step(compute: () => Promise<void>, setThreads: (threads: number) => void): Promise<void> {
    const kind = this.#kindOfStep();
    const { threads, calibration } = this.#options;
    const choice = this.#threads.get(kind) ?? openChoice(kind, threads, calibration);
    setThreads(chosenThreads(choice));
    this.computed += 1;
    const startedMs = this.#options.clock.monotonicMs();
    try {
      const computed = compute();
      for (const slot of this.#computing ?? []) this.catchUp(slot);
      await computed;
      const stepMs = this.#options.clock.monotonicMs() - startedMs;
      const measured = this.#promptTokens >= LEAST_MEASURED_TOKENS;
      if (measured) this.#learnPromptToken(stepMs / this.#promptTokens);
      if (measured || (kind !== PROMPTS && !this.#checksDraft)) {
        const costMs = measured ? stepMs / this.#promptTokens : stepMs;
        // Asking the system how busy it is takes a hundredth of a short step, and only a trial wants to know.
        const quiet = !choice.decided && this.#options.quiet();
        const learnt = learnStep(choice, { costMs, stepMs, quiet });
        this.#threads.set(kind, learnt);
        if (learnt.decided && !choice.decided) this.#record(kind, learnt);
      }
    } finally {
      this.#computing = undefined;
      this.#grantPieces();
    }
  }

  #kindOfStep(): number {
    return this.#promptTokens > 0 ? PROMPTS : kindOfAnswers(this.#computing?.length ?? 1);
  }

  #record(kind: number, choice: ThreadChoice): void {
    const before = this.#calibration;
    this.#calibration = recordChoice(before, kind, choice);
    if (this.#calibration !== before) this.#options.onCalibrated(this.#calibration);
  }

  #learnPromptToken(tokenMs: number): void {
    const before = this.#promptTokenMs ?? tokenMs;
    this.#promptTokenMs = before + (tokenMs - before) * LAST_STEP_WEIGHT;
  }

  /** Pieces for the next step, as far as those that were granted already leave room. */
  #grantPieces(): void {
    if (this.#waiting.length === 0 || this.#gate !== undefined || this.#isPromptComing()) return;
    const { onGpu, slots } = this.#options;
    const budget = promptBudget({
      batchTokens: this.#batchTokens,
      slots,
      onGpu,
      answersWait: this.#writing.size > 0,
      promptTokenMs: this.#promptTokenMs,
    });
    const pieces = nextPieces(
      this.#waiting.map((waiter) => waiter.prompt),
      { ...budget, onGpu, granted: [...this.#granted.values()] },
    );
    if (pieces.length === 0) return;
    const tokensOf = new Map(pieces.map((piece) => [piece.slot, piece.tokens]));
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ prompt }) => !tokensOf.has(prompt.slot));
    const begun = waiting.filter(({ isNew, prompt }) => isNew && tokensOf.has(prompt.slot));
    for (const waiter of waiting) {
      const { slot, arrival, passedOver } = waiter.prompt;
      const tokens = tokensOf.get(slot);
      if (tokens !== undefined) {
        this.#grant(waiter, tokens);
        continue;
      }
      const later = begun.filter(({ prompt }) => prompt.arrival > arrival).length;
      waiter.prompt = { ...waiter.prompt, passedOver: passedOver + later };
    }
  }

  /** It was in the step that has just ended, and asks for its next piece within microtasks, or leaves. */
  #isPromptComing(): boolean {
    for (const slot of this.#coming) {
      const left = this.#begun.get(slot)?.remainingTokens ?? 0;
      if (left > 0 && !this.#granted.has(slot)) return true;
    }
    return false;
  }

  #grant(waiter: Waiter, tokens: number): void {
    const { slot, arrival, remainingTokens } = waiter.prompt;
    this.#granted.set(slot, tokens);
    this.#coming.add(slot);
    this.#begun.set(slot, { arrival, remainingTokens: remainingTokens - tokens });
    waiter.grant(tokens);
  }

  /** An empty batch makes the binding ask again, after the microtasks that wait. */
  #form(items: readonly BatchItem[], size: number): PrioritizedBatchItem[] {
    const bySlotOrder = items
      .map((item) => ({ item, slot: item.evaluationPriority as number, tokens: item.tokens.length }))
      .toSorted(bySlot);
    const here = new Set(bySlotOrder.map(({ slot }) => slot));
    const late = [...this.#coming].some((slot) => !here.has(slot));
    this.#asked += 1;
    if (late && this.#asked < MOST_PATIENCE) return [];
    this.#asked = 0;
    this.#begin(bySlotOrder);
    let left = size;
    return bySlotOrder.map(({ item, tokens }) => {
      const processAmount = Math.min(left, tokens);
      left -= processAmount;
      return { item, processAmount };
    });
  }

  #begin(items: readonly { readonly slot: number; readonly tokens: number }[]): void {
    const slots = items.map(({ slot }) => slot);
    this.#promptTokens = 0;
    this.#checksDraft = false;
    for (const { slot, tokens } of items) {
      if (this.#granted.delete(slot)) this.#promptTokens += tokens;
      else {
        this.#writing.add(slot);
        this.#checksDraft ||= tokens > 1;
      }
    }
    this.#computing = slots;
    this.#coming.clear();
    for (const slot of slots) this.#coming.add(slot);
  }
}

function createGate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve, holders: 0 };
}

export const createSteps = (options: StepsOptions): Steps => new LockstepSteps(options);
