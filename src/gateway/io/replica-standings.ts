import type { Clock } from "../../core/clock.ts";
import {
  afterNoOutcome,
  afterOutcome,
  afterSending,
  GOOD_STANDING,
  isLeftOut,
  isProbeDue,
  workOfFailures,
  type ReplicaStanding,
} from "../routing/replica-standing.ts";
import type { Trust } from "../routing/route-request.ts";

/** The standing of every replica that was asked of late; a good one is not kept. */
export class ReplicaStandings {
  readonly #clock: Clock;
  readonly #standings = new Map<string, ReplicaStanding>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  trustIn(neuron: string, modelId: string): Trust | null {
    const standing = this.#standings.get(keyOf(neuron, modelId));
    if (standing === undefined) return null;
    const nowMs = this.#clock.monotonicMs();
    return {
      isLeftOut: isLeftOut(standing, nowMs),
      isProbeDue: isProbeDue(standing, nowMs),
      extraWork: workOfFailures(standing, nowMs),
    };
  }

  noteSending(neuron: string, modelId: string): void {
    this.#change(neuron, modelId, (standing, nowMs) => afterSending(standing, nowMs));
  }

  /** Null: it says nothing about the replica. */
  noteOutcome(neuron: string, modelId: string, outcome: "served" | "failed" | null): void {
    if (outcome === "failed") {
      const standing = this.#standings.get(keyOf(neuron, modelId)) ?? GOOD_STANDING;
      this.#standings.set(
        keyOf(neuron, modelId),
        afterOutcome(standing, "failed", this.#clock.monotonicMs()),
      );
      return;
    }
    this.#change(neuron, modelId, (standing, nowMs) =>
      outcome === null ? afterNoOutcome(standing) : afterOutcome(standing, outcome, nowMs),
    );
  }

  #change(
    neuron: string,
    modelId: string,
    next: (standing: ReplicaStanding, nowMs: number) => ReplicaStanding,
  ): void {
    const key = keyOf(neuron, modelId);
    const standing = this.#standings.get(key);
    if (standing === undefined) return;
    const changed = next(standing, this.#clock.monotonicMs());
    if (changed.failuresInRow === 0 && changed.errorShare < FORGOTTEN_SHARE) this.#standings.delete(key);
    else this.#standings.set(key, changed);
  }
}

const FORGOTTEN_SHARE = 0.01;

const keyOf = (neuron: string, modelId: string): string => `${neuron}\n${modelId}`;
