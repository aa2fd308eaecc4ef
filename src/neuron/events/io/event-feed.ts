import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import { sleptThrough } from "../../../core/interruptible-sleep.ts";
import {
  EVENT_HEARTBEAT_MS,
  eventId,
  eventNumber,
  type NeuronEvent,
  type NeuronObservation,
} from "../../../protocol/neuron-events.ts";
import { emptyRing, eventsAfter, recordEvents, type EventRing } from "../event-ring.ts";
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
/** A reader that takes nothing for this long is cut; it comes back with the id of its last event. */
const STALLED_MS = 30_000;
const HEAD = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store",
  "x-accel-buffering": "no",
};

/**
 * Tells followers what changes. Nothing is queued for any of them: each reads from the ring at its own pace, and one
 * that has fallen behind the ring gets a snapshot instead, so a slow reader costs what one write costs.
 */
export class EventFeed {
  readonly #deps: EventFeedDeps;
  readonly #life = randomUUID().slice(0, 8);
  readonly #closed = new AbortController();
  readonly #wakers = new Set<() => void>();
  readonly #started = Promise.withResolvers<undefined>();
  #ring: EventRing = emptyRing;
  #told: NeuronObservation | null = null;
  #cancelAlarm: (() => void) | null = null;
  #followers = 0;
  #readingsAreKept = false;

  constructor(deps: EventFeedDeps) {
    this.#deps = deps;
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
    return eventId(this.#life, this.#ring.last);
  }

  /** Something may be different: what planners see is told at once, the rest soon. */
  noticeChange(residencyChanged: boolean): void {
    if (this.#told === null || this.#closed.signal.aborted) return;
    if (residencyChanged) this.#publish();
    else
      this.#cancelAlarm ??= this.#deps.clock.alarm(COALESCE_MS, () => {
        this.#publish();
      });
  }

  /** Throws when no follower can be served now. */
  requireRoom(): void {
    if (this.#closed.signal.aborted) throw new CortexError("draining", "this neuron is shutting down");
    if (this.#followers >= MAX_FOLLOWERS) {
      throw new CortexError("queue_full", `${MAX_FOLLOWERS} readers follow this neuron already`, {
        next: "close a reader of GET /events, or ask GET /health and GET /models instead",
      });
    }
  }

  /** Serves one follower until it leaves, stalls, or the feed is closed. Never rejects. */
  async follow(raw: ServerResponse, lastEventId: string | undefined): Promise<void> {
    this.#followers += 1;
    void this.#keepReadings();
    try {
      await this.#serve(raw, eventNumber(lastEventId, this.#life));
    } catch {
      // The follower is gone, or takes nothing: it finds its place again by the id it saw last.
      raw.destroy();
    } finally {
      this.#followers -= 1;
    }
  }

  /** Ends every stream in good order. */
  close(): void {
    this.#cancelAlarm?.();
    this.#closed.abort();
    this.#wake();
  }

  #publish(): void {
    this.#cancelAlarm?.();
    this.#cancelAlarm = null;
    if (this.#told === null) return;
    const now = this.#deps.observe();
    const events = changesBetween(this.#told, now);
    this.#told = now;
    if (events.length === 0) return;
    this.#ring = recordEvents(this.#ring, events);
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#wakers) wake();
  }

  async #serve(raw: ServerResponse, resumeAfter: number | null): Promise<void> {
    raw.writeHead(200, HEAD);
    raw.flushHeaders();
    let position = resumeAfter;
    while (!raw.destroyed && !this.#closed.signal.aborted) {
      const text = this.#textAfter(position);
      position = this.#ring.last;
      if (text === "") {
        if (await this.#changesWithin(EVENT_HEARTBEAT_MS, raw)) continue;
        await this.#write(raw, ": heartbeat\n\n");
      } else await this.#write(raw, text);
    }
    raw.end();
  }

  /** What is new since the event `position`, as it goes over the wire; a snapshot where that is not known. */
  #textAfter(position: number | null): string {
    const events = eventsAfter(this.#ring, position);
    if (events !== null) return events.map(([number, event]) => this.#format(number, event)).join("");
    const whole: NeuronEvent = { kind: "snapshot-taken", ...copied(this.#told ?? this.#deps.observe()) };
    return this.#format(this.#ring.last, whole);
  }

  #format(number: number, event: NeuronEvent): string {
    return `id: ${eventId(this.#life, number)}\nevent: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`;
  }

  async #write(raw: ServerResponse, text: string): Promise<void> {
    if (raw.write(text)) return;
    const stalled = new AbortController();
    const cancel = this.#deps.clock.alarm(STALLED_MS, () => {
      stalled.abort();
    });
    const onClose = (): void => {
      stalled.abort();
    };
    raw.once("close", onClose);
    try {
      await once(raw, "drain", { signal: stalled.signal });
    } finally {
      cancel();
      raw.off("close", onClose);
    }
  }

  /** True when there may be something to tell before the time is over. */
  #changesWithin(durationMs: number, raw: ServerResponse): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (woken: boolean): void => {
        cancel();
        this.#wakers.delete(wake);
        raw.off("close", wake);
        resolve(woken);
      };
      const wake = (): void => {
        finish(true);
      };
      const cancel = this.#deps.clock.alarm(durationMs, () => {
        finish(false);
      });
      this.#wakers.add(wake);
      raw.once("close", wake);
    });
  }

  async #keepReadings(): Promise<void> {
    if (this.#readingsAreKept) return;
    this.#readingsAreKept = true;
    while (this.#followers > 0) {
      await this.#deps.refreshReadings();
      this.noticeChange(false);
      if (!(await sleptThrough(this.#deps.clock, READINGS_EVERY_MS, this.#closed.signal))) break;
    }
    this.#readingsAreKept = false;
  }
}

const copied = (seen: NeuronObservation) => ({ ...seen, models: [...seen.models], jobs: [...seen.jobs] });
