import type { FleetState } from "../protocol/gateway-api.ts";
import { latencyText, rateText } from "./print/short-words.ts";
import { initialTop, type TopState } from "./top/top-state.ts";
import { reduceTop } from "./top/reduce-top.ts";
import type { FollowedEvent } from "./top-session.ts";

/** Traffic is said again when it is another, but no more often than that. */
const TRAFFIC_EVERY_MS = 10_000;

/** The fleet for whoever has no terminal: what happens, a line each, and now and then what it does. */
export class TopLines {
  readonly #now: () => number;
  #state: TopState;
  #traffic = "";
  #trafficAtMs = -Infinity;

  constructor(now: () => number) {
    this.#now = now;
    this.#state = initialTop(now());
  }

  /** Lines that are new with this event. */
  linesOf(event: FollowedEvent): readonly string[] {
    const nowMs = this.#now();
    const before = this.#state;
    const { state } = reduceTop(reduceTop(before, { kind: "clock-ticked", nowMs }).state, event);
    this.#state = state;
    const fresh = state.news.slice(0, state.news.length - before.news.length).toReversed();
    const news = fresh.map(({ about, text }) => `${stamp(nowMs)}  ${about}  ${text}`);
    const { fleet } = state;
    if (fleet === null) return news;
    const first = before.fleet === null ? [`${stamp(nowMs)}  ${summary(fleet)}`] : [];
    return [...first, ...news, ...this.#trafficLines(fleet, nowMs)];
  }

  #trafficLines({ traffic }: FleetState, nowMs: number): readonly string[] {
    if (traffic === undefined || nowMs - this.#trafficAtMs < TRAFFIC_EVERY_MS) return [];
    const {
      requests_in_flight: open,
      requests_per_sec: rate,
      tokens_per_sec: tokens,
      first_token_ms: first,
    } = traffic;
    const parts = [
      `${rateText(rate)} req/s`,
      ...(tokens === undefined ? [] : [`${rateText(tokens)} tok/s`]),
      ...(first == null ? [] : [`first token ${latencyText(first.p50)}, p95 ${latencyText(first.p95)}`]),
      `${open} in flight`,
      ...(traffic.errors_per_min === undefined ? [] : [`${traffic.errors_per_min} errors a minute`]),
    ];
    const text = parts.join(", ");
    if (text === this.#traffic) return [];
    this.#traffic = text;
    this.#trafficAtMs = nowMs;
    return [`${stamp(nowMs)}  traffic  ${text}`];
  }
}

const stamp = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

const summary = ({ fleet, health }: FleetState): string =>
  `fleet ${fleet}  ${health.status}, ${health.nodes.healthy} of ${health.nodes.total} neurons answer, ${health.models.loaded} models loaded`;
