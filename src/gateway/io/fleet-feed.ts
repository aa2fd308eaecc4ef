import type { ServerResponse } from "node:http";
import type { Clock } from "../../core/clock.ts";
import { CortexError } from "../../core/errors.ts";
import { sleptThrough } from "../../core/interruptible-sleep.ts";
import { EventBroadcast } from "../../platform/event-broadcast.ts";
import { FLEET_HEARTBEAT_MS, type FleetState, type FleetStateEvent } from "../../protocol/gateway-api.ts";
import { fleetChanges } from "../fleet-changes.ts";

export interface FleetFeedDeps {
  readonly clock: Clock;
  /** Everything as it is now. */
  readonly observe: () => FleetState;
}

/** Changes of less than that are told together. */
const LOOK_EVERY_MS = 500;
const MAX_FOLLOWERS = 64;

/** Tells followers of `GET /fleet/events` what changes; looks only while there are any. */
export class FleetFeed {
  readonly #deps: FleetFeedDeps;
  readonly #broadcast: EventBroadcast<FleetStateEvent>;
  #told: FleetState | null = null;
  #isLooking = false;

  constructor(deps: FleetFeedDeps) {
    this.#deps = deps;
    this.#broadcast = new EventBroadcast({
      clock: deps.clock,
      heartbeatMs: FLEET_HEARTBEAT_MS,
      snapshot: () => ({ kind: "snapshot-taken", state: this.#told ?? deps.observe() }),
    });
  }

  /** Throws when no follower can be served now. */
  requireRoom(): void {
    if (this.#broadcast.followers < MAX_FOLLOWERS) return;
    throw new CortexError("queue_full", `${MAX_FOLLOWERS} readers follow this gateway already`, {
      next: "close a reader of GET /fleet/events, or ask GET /fleet instead",
    });
  }

  /** Serves one follower until it leaves, stalls, or the gateway stops. Never rejects. */
  async follow(
    raw: ServerResponse,
    request: { readonly lastEventId: string | undefined; readonly headers: Readonly<Record<string, string>> },
  ): Promise<void> {
    // What changed while nobody looked comes first: who returns learns of it by events.
    this.#publish();
    const following = this.#broadcast.follow(raw, request);
    void this.#look();
    await following;
  }

  /** Ends every stream in good order. */
  close(): void {
    this.#broadcast.close();
  }

  #publish(): void {
    const now = this.#deps.observe();
    if (this.#told !== null) this.#broadcast.publish(fleetChanges(this.#told, now));
    this.#told = now;
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const { clock } = this.#deps;
    while (this.#broadcast.followers > 0) {
      if (!(await sleptThrough(clock, LOOK_EVERY_MS, this.#broadcast.closed))) break;
      this.#publish();
    }
    this.#isLooking = false;
  }
}
