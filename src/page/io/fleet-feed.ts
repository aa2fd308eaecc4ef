import type { FleetState, FleetStateEvent } from "../../protocol/gateway-api.ts";
import { fleetNews, type News } from "../fleet-news.ts";
import { remember, type Reading } from "../sparkline.ts";
import { takeEvent } from "../take-event.ts";
import { GatewayProblem, type GatewayClient } from "./gateway-client.ts";

/** `live`: events come; `connecting`: for the first time; `lost`: they stopped; `refused`: this key may not see the fleet. */
export type FeedStanding =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  | { readonly kind: "lost"; readonly sinceMs: number; readonly problem: string }
  | { readonly kind: "refused"; readonly status: number; readonly problem: string };

export interface DatedNews extends News {
  readonly id: number;
  readonly atMs: number;
}

/** What the page knows of the fleet. */
export interface FleetSight {
  readonly standing: FeedStanding;
  readonly state: FleetState | null;
  /** The latest first. */
  readonly news: readonly DatedNews[];
  readonly requestsPerSec: readonly Reading[];
}

export const NOTHING_SEEN: FleetSight = {
  standing: { kind: "connecting" },
  state: null,
  news: [],
  requestsPerSec: [],
};

const MOST_NEWS = 200;
export const TRAFFIC_SHOWN_MS = 180_000;
const RETRY_MS = [500, 1000, 2000, 5000];

/** Follows the fleet until it is stopped, and again whenever it breaks off. */
export function followFleet(client: GatewayClient, onSight: (sight: FleetSight) => void): () => void {
  const stop = new AbortController();
  let sight = NOTHING_SEEN;
  let newsId = 0;
  const see = (change: Partial<FleetSight>) => {
    if (stop.signal.aborted) return;
    sight = { ...sight, ...change };
    onSight(sight);
  };
  const take = (event: FleetStateEvent) => {
    const before = sight.state;
    const state = takeEvent(before, event);
    if (state === null) return;
    const atMs = Date.now();
    const fresh = before === null ? [] : fleetNews(before, state);
    const news = fresh.map((item) => {
      newsId += 1;
      return { ...item, id: newsId, atMs };
    });
    const value = state.traffic?.requests_per_sec ?? 0;
    see({
      standing: { kind: "live" },
      state,
      news: [...news.toReversed(), ...sight.news].slice(0, MOST_NEWS),
      requestsPerSec: remember(sight.requestsPerSec, { atMs, value }, TRAFFIC_SHOWN_MS),
    });
  };
  void keepFollowing({ client, stop: stop.signal, take, see, isLost: () => sight.standing.kind === "lost" });
  return () => {
    stop.abort();
  };
}

interface Following {
  readonly client: GatewayClient;
  readonly stop: AbortSignal;
  readonly take: (event: FleetStateEvent) => void;
  readonly see: (change: Partial<FleetSight>) => void;
  readonly isLost: () => boolean;
}

async function keepFollowing({ client, stop, take, see, isLost }: Following): Promise<void> {
  let tries = 0;
  while (!stop.aborted) {
    let problem = "the gateway has ended the stream";
    try {
      await client.followFleet((event) => {
        tries = 0;
        take(event);
      }, stop);
    } catch (thrown) {
      problem = thrown instanceof Error ? thrown.message : String(thrown);
      const status = thrown instanceof GatewayProblem ? thrown.status : 0;
      if (status === 401 || status === 403) {
        see({ standing: { kind: "refused", status, problem } });
        return;
      }
    }
    if (!isLost()) see({ standing: { kind: "lost", sinceMs: Date.now(), problem } });
    const waitMs = RETRY_MS[Math.min(tries, RETRY_MS.length - 1)];
    tries += 1;
    await new Promise((resolve) => {
      setTimeout(resolve, waitMs);
    });
  }
}
