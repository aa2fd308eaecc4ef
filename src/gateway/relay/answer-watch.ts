/** How long is waited for whom, in milliseconds. */
export interface AnswerLimits {
  /** For the first sign of a streamed answer. */
  readonly firstByteMs: number;
  /** For an answer that is not streamed: nothing is said before it is whole. */
  readonly answerMs: number;
  /** Within an answer. */
  readonly silenceMs: number;
  /** To the first sign of life, which brings the head: clients give up on a missing head sooner than on anything else. */
  readonly firstKeepAliveMs: number;
  readonly keepAliveMs: number;
}

/** One look at an answer under way. */
export interface AnswerSeen {
  readonly nowMs: number;
  /** Grows with each sign of the neuron's: head, bytes, comments. */
  readonly signs: number;
  /** Grows with each event that every client counts as one: comments do not. */
  readonly events: number;
  readonly isStreamed: boolean;
  /** Bytes of the answer have gone to the client: it cannot go elsewhere any more. */
  readonly isBegun: boolean;
  readonly headSent: boolean;
  /** The neuron is not listened to while the client is behind. */
  readonly isPaused: boolean;
  /** An event may be put in here. */
  readonly isBetweenEvents: boolean;
  /** The health check has found that the neuron does not answer. */
  readonly isNeuronHung: boolean;
}

export type WatchVerdict =
  /** All is well. */
  | "wait"
  /** The client needs a sign of life. */
  | "keep-alive"
  /** Nothing has been answered, and the neuron does not live: the request may go elsewhere. */
  | "hung"
  /** The neuron has been silent for longer than is waited. */
  | "silent";

/**
 * The deadlines of one answer. It is looked at every now and then instead of keeping a timer for each byte: what runs
 * for each chunk counts, and the clock is asked here only.
 */
export class AnswerWatch {
  readonly #limits: AnswerLimits;
  #signs = 0;
  #signAtMs: number;
  #events = 0;
  #eventAtMs: number;

  constructor(limits: AnswerLimits, nowMs: number) {
    this.#limits = limits;
    this.#signAtMs = nowMs;
    this.#eventAtMs = nowMs;
  }

  look(seen: AnswerSeen): WatchVerdict {
    const { nowMs } = seen;
    if (seen.signs !== this.#signs || seen.isPaused) {
      this.#signs = seen.signs;
      this.#signAtMs = nowMs;
    }
    if (seen.events !== this.#events) {
      this.#events = seen.events;
      this.#eventAtMs = nowMs;
    }
    if (!seen.isBegun && seen.isNeuronHung) return "hung";
    if (nowMs - this.#signAtMs >= this.#patienceMs(seen)) return "silent";
    if (!this.#isKeepAliveDue(seen)) return "wait";
    this.#eventAtMs = nowMs;
    return "keep-alive";
  }

  #patienceMs({ isBegun, isStreamed }: AnswerSeen): number {
    if (isBegun) return this.#limits.silenceMs;
    return isStreamed ? this.#limits.firstByteMs : this.#limits.answerMs;
  }

  #isKeepAliveDue({ nowMs, isStreamed, isPaused, isBetweenEvents, headSent }: AnswerSeen): boolean {
    if (!isStreamed || isPaused || !isBetweenEvents) return false;
    const { firstKeepAliveMs, keepAliveMs } = this.#limits;
    return nowMs - this.#eventAtMs >= (headSent ? keepAliveMs : firstKeepAliveMs);
  }
}
