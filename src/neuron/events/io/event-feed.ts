import type { ServerResponse } from "node:http";
import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import { sleptThrough } from "../../../core/interruptible-sleep.ts";
import { EventBroadcast } from "../../../platform/event-broadcast.ts";
import {
  EVENT_HEARTBEAT_MS,
  type NeuronEvent,
  type NeuronObservation,
} from "../../../protocol/neuron-events.ts";
import { changesBetween } from "../neuron-changes.ts";

export interface EventFeedDeps {
  readonly clock: Clock;
  /** Everything as it is now. */
  readonly observe: () => NeuronObservation;
  /** Has the devices read anew, at most a second old; asked only while somebody follows. */
  readonly refreshReadings: () => Promise<unknown>;
}

/** Traffic and progress change with every request: told together, four times a second. */
const COALESCE_MS = 250;
const READINGS_EVERY_MS = 1000;
const MAX_FOLLOWERS = 64;

/** Tells followers what changes at the neuron. */
export class EventFeed {
  readonly #deps: EventFeedDeps;
  readonly #started = Promise.withResolvers<undefined>();
  readonly #broadcast: EventBroadcast<NeuronEvent>;
  #told: NeuronObservation | null = null;
  #cancelAlarm: (() => void) | null = null;
  #readingsAreKept = false;

  constructor(deps: EventFeedDeps) {
    this.#deps = deps;
    this.#broadcast = new EventBroadcast({
      clock: deps.clock,
      heartbeatMs: EVENT_HEARTBEAT_MS,
      snapshot: () => ({ kind: "snapshot-taken", ...copied(this.#told ?? deps.observe()) }),
    });
  }

  /** Begins to compare; before that nothing is told. */
  start(): void {
    this.#told = this.#deps.observe();
    this.#started.resolve(undefined);
  }

  /** Resolves once there is something to tell. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** Id of the last event: what a reader who asks otherwise can compare with. */
  get lastId(): string {
    return this.#broadcast.lastId;
  }

  /** Something may be different: what planners see is told at once, the rest soon. */
  noticeChange(residencyChanged: boolean): void {
    if (this.#told === null || this.#broadcast.closed.aborted) return;
    if (residencyChanged) this.#publish();
    else
      this.#cancelAlarm ??= this.#deps.clock.alarm(COALESCE_MS, () => {
        this.#publish();
      });
  }

  /** Throws when no follower can be served now. */
  requireRoom(): void {
    if (this.#broadcast.closed.aborted) throw new CortexError("draining", "this neuron is shutting down");
    if (this.#broadcast.followers >= MAX_FOLLOWERS) {
      throw new CortexError("queue_full", `${MAX_FOLLOWERS} readers follow this neuron already`, {
        next: "close a reader of GET /events, or ask GET /health and GET /models instead",
      });
    }
  }

  /** Serves one follower until it leaves, stalls, or the feed is closed. Never rejects. */
  async follow(raw: ServerResponse, lastEventId: string | undefined): Promise<void> {
    const following = this.#broadcast.follow(raw, { lastEventId });
    void this.#keepReadings();
    await following;
  }

  /** Ends every stream in good order. */
  close(): void {
    this.#cancelAlarm?.();
    this.#broadcast.close();
  }

  #publish(): void {
    this.#cancelAlarm?.();
    this.#cancelAlarm = null;
    if (this.#told === null) return;
    const now = this.#deps.observe();
    const events = changesBetween(this.#told, now);
    this.#told = now;
    this.#broadcast.publish(events);
  }

  async #keepReadings(): Promise<void> {
    if (this.#readingsAreKept) return;
    this.#readingsAreKept = true;
    const { closed } = this.#broadcast;
    while (this.#broadcast.followers > 0) {
      await this.#deps.refreshReadings();
      this.noticeChange(false);
      if (!(await sleptThrough(this.#deps.clock, READINGS_EVERY_MS, closed))) break;
    }
    this.#readingsAreKept = false;
  }
}

const copied = (seen: NeuronObservation) => ({ ...seen, models: [...seen.models], jobs: [...seen.jobs] });
