import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import type { Clock } from "../core/clock.ts";
import {
  emptyRing,
  eventId,
  eventNumber,
  eventsAfter,
  recordEvents,
  type EventRing,
} from "../core/event-ring.ts";

export interface EventBroadcastDeps<Event> {
  readonly clock: Clock;
  /** A comment at least this often, so that silence means trouble. */
  readonly heartbeatMs: number;
  /** Everything as it was told last, for who knows nothing, or too little. */
  readonly snapshot: () => Event;
}

/** A reader that takes nothing for this long is cut; it comes back with the id of its last event. */
const STALLED_MS = 30_000;
const HEAD = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-store",
  "x-accel-buffering": "no",
};

/**
 * Tells followers what changes, as server-sent events. Nothing is queued for any of them: each reads from the ring at
 * its own pace, and one that has fallen behind the ring gets a snapshot instead, so a slow reader costs what one write
 * costs.
 */
export class EventBroadcast<Event extends { readonly kind: string }> {
  readonly #deps: EventBroadcastDeps<Event>;
  readonly #life = randomUUID().slice(0, 8);
  readonly #closed = new AbortController();
  readonly #wakers = new Set<() => void>();
  #ring: EventRing<Event> = emptyRing;
  #followers = 0;

  constructor(deps: EventBroadcastDeps<Event>) {
    this.#deps = deps;
  }

  /** Id of the last event: what a reader who asks otherwise can compare with. */
  get lastId(): string {
    return eventId(this.#life, this.#ring.last);
  }

  get followers(): number {
    return this.#followers;
  }

  /** Aborts with `close`. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  publish(events: readonly Event[]): void {
    if (events.length === 0) return;
    this.#ring = recordEvents(this.#ring, events);
    this.#wake();
  }

  /** Serves one follower until it leaves, stalls, or the broadcast is closed. Never rejects. */
  async follow(
    raw: ServerResponse,
    request: {
      readonly lastEventId: string | undefined;
      readonly headers?: Readonly<Record<string, string>>;
    },
  ): Promise<void> {
    this.#followers += 1;
    try {
      raw.writeHead(200, { ...request.headers, ...HEAD });
      await this.#serve(raw, eventNumber(request.lastEventId, this.#life));
    } catch {
      // The follower is gone, or takes nothing: it finds its place again by the id it saw last.
      raw.destroy();
    } finally {
      this.#followers -= 1;
    }
  }

  /** Ends every stream in good order. */
  close(): void {
    this.#closed.abort();
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#wakers) wake();
  }

  async #serve(raw: ServerResponse, resumeAfter: number | null): Promise<void> {
    raw.flushHeaders();
    let position = resumeAfter;
    while (!raw.destroyed && !this.#closed.signal.aborted) {
      const text = this.#textAfter(position);
      position = this.#ring.last;
      if (text === "") {
        if (await this.#changesWithin(this.#deps.heartbeatMs, raw)) continue;
        await this.#write(raw, ": heartbeat\n\n");
      } else await this.#write(raw, text);
    }
    raw.end();
  }

  /** What is new since the event `position`, as it goes over the wire; a snapshot where that is not known. */
  #textAfter(position: number | null): string {
    const events = eventsAfter(this.#ring, position);
    if (events !== null) return events.map(([number, event]) => this.#format(number, event)).join("");
    return this.#format(this.#ring.last, this.#deps.snapshot());
  }

  #format(number: number, event: Event): string {
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
}
