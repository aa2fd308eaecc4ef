import type { Clock } from "../../../core/clock.ts";
import { trustIn } from "../../loading/copy-standing.ts";
import { freePlaces, speedOf } from "../../loading/copy-watch.ts";
import type {
  PlaceOutcome,
  PlaceRequest,
  Place,
  RequestScheduling,
  Standing,
} from "../../loading/io/scheduler-loop.ts";
import type { LoadSeen } from "../../loading/loads-seen.ts";
import {
  copyKey,
  initialScheduler,
  type PlaceEnd,
  type Scheduler,
  type SchedulerPolicy,
} from "../../loading/scheduler-state.ts";
import type { Trust } from "../../routing/route-request.ts";
import type { FleetIndex } from "../../view/fleet-index.ts";
import type { EndOfWait, Order, QueuePlace } from "../crew-messages.ts";
import { errorOf } from "../error-message.ts";
import { mayTake } from "../local-places.ts";
import type { FollowedFleet } from "./followed-fleet.ts";
import type { OwnerLink } from "./owner-link.ts";

export interface FollowedSchedulingDeps {
  readonly clock: Clock;
  readonly fleet: FleetIndex;
  readonly followed: FollowedFleet;
  readonly link: OwnerLink;
  readonly workers: number;
  readonly policy: SchedulerPolicy;
}

interface Waiting {
  readonly resolve: (outcome: EndOfWait) => void;
  readonly onPlaced: (at: QueuePlace) => void;
}

const NOTHING_LEARNT: PlaceEnd = { outcome: null, tokensPerSec: null };

/**
 * Places at copies, as a worker gives them: by itself where a copy has plenty of room and is in good standing, and by the
 * owner else. Loads, queues and the judgement of copies are the owner's alone.
 */
export class FollowedScheduling implements RequestScheduling {
  readonly #deps: FollowedSchedulingDeps;
  #state: Scheduler;
  readonly #waits = new Map<number, Waiting>();
  /** Of each model that a request has waited for, as the owner told them last. */
  readonly #loads = new Map<string, readonly LoadSeen[]>();
  #lastWait = 0;

  constructor(deps: FollowedSchedulingDeps) {
    this.#deps = deps;
    this.#state = initialScheduler(deps.policy, deps.fleet, deps.followed.view());
    this.learnt();
  }

  /** What a worker knows of the owner's state; the rest of it is empty here. */
  get state(): Scheduler {
    return this.#state;
  }

  /** The owner has told other facts, or files. */
  learnt(policy: SchedulerPolicy = this.#state.policy): void {
    const { facts, places } = this.#deps.followed;
    this.#state = { ...this.#state, ...facts, policy, inFlight: places.counts };
  }

  enter(modelId: string, neuron: string): Place | null {
    const { followed, workers, link } = this.#deps;
    const { facts, places } = followed;
    const key = copyKey(neuron, modelId);
    // Who waits comes first, and a copy that failed of late gets its probes from the owner.
    if (facts.queues.has(modelId) || facts.standings.has(key)) return null;
    const free = freePlaces(this.state, neuron, modelId);
    if (!mayTake({ free, unknown: places.unknownAt(key), workers })) return null;
    places.taken(key);
    link.tell({ kind: "place-taken", neuron, modelId });
    return this.#place(neuron, modelId);
  }

  async wait(
    request: PlaceRequest,
    onWaiting?: (look: () => Standing | undefined) => void,
  ): Promise<PlaceOutcome> {
    const { signal, ...asked } = request;
    if (signal.aborted) return { kind: "cancelled" };
    this.#lastWait += 1;
    const waiterId = this.#lastWait;
    const { link } = this.#deps;
    const { promise, resolve } = Promise.withResolvers<EndOfWait>();
    let standing: Standing | undefined;
    const onPlaced = (at: QueuePlace) => {
      const isFirst = standing === undefined;
      standing = at;
      if (isFirst) onWaiting?.(() => standing);
    };
    const onAbort = () => {
      link.tellNow({ kind: "wait-left", waiterId });
    };
    this.#waits.set(waiterId, { resolve, onPlaced });
    signal.addEventListener("abort", onAbort, { once: true });
    link.tellNow({ kind: "wait-begun", waiterId, asked });
    try {
      const outcome = await promise;
      if (outcome.kind === "refused") return { kind: "refused", error: errorOf(outcome.error) };
      if (outcome.kind !== "granted") return outcome;
      const place = this.#place(outcome.neuron, asked.modelId);
      if (!signal.aborted) return { kind: "granted", place };
      place.free();
      return { kind: "cancelled" };
    } finally {
      this.#waits.delete(waiterId);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** What the owner says of a wait. */
  heard(order: Extract<Order<never>, { kind: "wait-placed" | "wait-ended" }>): void {
    const waiting = this.#waits.get(order.waiterId);
    if (order.kind === "wait-placed") {
      waiting?.onPlaced(order.at);
      return;
    }
    for (const load of order.loads) this.#loads.set(load.modelId, order.loads);
    if (waiting !== undefined) waiting.resolve(order.outcome);
  }

  /** Nobody gives places any more. */
  ownerLost(): void {
    for (const { resolve } of this.#waits.values()) resolve({ kind: "cancelled" });
  }

  outstanding(neuron: string, modelId: string): number {
    return this.#deps.followed.places.counts.get(copyKey(neuron, modelId)) ?? 0;
  }

  trustIn(neuron: string, modelId: string): Trust | null {
    if (this.#deps.followed.facts.standings.size === 0) return null;
    return trustIn(this.state, { neuron, modelId }, this.#deps.clock.monotonicMs());
  }

  speedOf(neuron: string, modelId: string): number | null {
    return speedOf(this.state, { neuron, modelId });
  }

  loadsSince(modelId: string, sinceMs: number): readonly LoadSeen[] {
    return (this.#loads.get(modelId) ?? []).filter(
      ({ endedAtMs }) => endedAtMs === null || endedAtMs >= sinceMs,
    );
  }

  wish(modelId: string, keepMs: number): void {
    this.#deps.link.tell({ kind: "residency-wished", modelId, keepMs });
  }

  #place(neuron: string, modelId: string): Place {
    const { followed, link } = this.#deps;
    let isFree = false;
    return {
      neuron,
      free: (end = NOTHING_LEARNT) => {
        if (isFree) return;
        isFree = true;
        followed.places.freed(copyKey(neuron, modelId));
        link.tell({ kind: "place-freed", neuron, modelId, end });
      },
    };
  }
}
