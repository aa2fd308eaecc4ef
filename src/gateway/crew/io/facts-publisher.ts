import type { Clock } from "../../../core/clock.ts";
import type { Scheduling } from "../../loading/io/scheduler-loop.ts";
import { factsChange, NO_FACTS, type Facts, type FactsChange } from "../facts.ts";

/** What happens within that is told together: as old are the facts that workers decide by, at most. */
const TOLD_EVERY_MS = 5;
/** How fast copies are changes with each answer, and is of no such haste. */
const SPEEDS_EVERY_MS = 250;

export interface PublisherDeps {
  readonly clock: Clock;
  readonly scheduling: Pick<Scheduling, "state">;
  readonly publish: (change: FactsChange) => void;
}

/** Tells all workers what changes of the owner's state that they decide by. */
export class FactsPublisher {
  readonly #deps: PublisherDeps;
  #told: Facts = NO_FACTS;
  #speedsToldAtMs = -Infinity;
  #cancelAlarm: (() => void) | null = null;

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
  }

  /** Everything, as all others know it: for one that knows nothing yet. */
  whole(): FactsChange {
    this.tell();
    return factsChange(NO_FACTS, this.#told) ?? {};
  }

  /** Something may have changed. */
  readonly noteStep = (): void => {
    this.#cancelAlarm ??= this.#deps.clock.alarm(TOLD_EVERY_MS, () => {
      this.#cancelAlarm = null;
      this.tell();
    });
  };

  /** Tells at once what has changed. */
  tell(): void {
    const { scheduling, clock, publish } = this.#deps;
    const { view, queues, loads, standings, speeds, inFlight } = scheduling.state;
    const atMs = clock.monotonicMs();
    const tellsSpeeds = atMs - this.#speedsToldAtMs >= SPEEDS_EVERY_MS;
    if (tellsSpeeds) this.#speedsToldAtMs = atMs;
    const now = {
      view,
      queues,
      loads,
      standings,
      inFlight,
      speeds: tellsSpeeds ? speeds : this.#told.speeds,
    };
    const change = factsChange(this.#told, now);
    this.#told = now;
    if (change !== null) publish(change);
  }

  close(): void {
    this.#cancelAlarm?.();
  }
}
