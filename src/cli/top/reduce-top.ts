import { assertNever } from "../../core/assert-never.ts";
import { applyFleetStateEvent, type FleetState } from "../../protocol/gateway-api.ts";
import { fleetNews, type NewsItem } from "./fleet-news.ts";
import { loopNews } from "./loop-news.ts";
import { pressKey } from "./press-key.ts";
import { withSample } from "./samples.ts";
import {
  changeText,
  type Notice,
  type Page,
  type SyncFacts,
  type TextAsked,
  type TopEvent,
  type TopState,
  type TopStep,
} from "./top-state.ts";

const NEWS_KEPT = 500;
const NOTICE_MS = 6000;

/**
 * The screen after an event, and what is to be done about it. Laws: what is shown is a function of the state and the size
 * alone; a change is carried out only after its prompt was answered with yes; a broken stream leaves what was told in view.
 */
export function reduceTop(state: TopState, event: TopEvent): TopStep {
  switch (event.kind) {
    case "key-pressed":
      return pressKey(state, event.key);
    case "clock-ticked":
      return still(ticked(state, event.nowMs));
    case "fleet-told":
      return still(told(state, applyFleetStateEvent(state.fleet, event.event)));
    case "stream-broken":
      return still(broken(state, event));
    case "requests-read":
      return still({ ...state, requests: event.requests });
    case "sync-read":
      return still(synced(state, event.sync));
    case "text-read":
      return still(withText(state, event.of, { text: event.text, problem: null }));
    case "text-refused":
      return still(withText(state, event.of, { text: null, problem: event.problem }));
    case "change-taken":
      return still(changed(state, event));
    case "change-refused": {
      const text = `could not ${changeText(event.change)}: ${event.problem}`;
      return still(noticed(withNews(state, [{ tone: "bad", about: "by hand", text }]), text, "bad"));
    }
    default:
      return assertNever(event);
  }
}

const still = (state: TopState): TopStep => ({ state, effects: [] });

function ticked(state: TopState, nowMs: number): TopState {
  const notice = state.notice !== null && state.notice.untilMs <= nowMs ? null : state.notice;
  const samples =
    state.connection.kind === "live" ? withSample(state.samples, state.fleet?.traffic) : state.samples;
  return { ...state, nowMs, notice, samples };
}

const synced = (state: TopState, sync: SyncFacts | null): TopState =>
  withNews({ ...state, sync }, loopNews(state.sync?.loop ?? null, sync?.loop ?? null));

function told(state: TopState, fleet: FleetState | null): TopState {
  if (fleet === null) return state;
  const { connection } = state;
  const back: readonly Omit<NewsItem, "atMs">[] =
    connection.kind === "broken" ? [{ tone: "good", about: "gateway", text: "its events flow again" }] : [];
  const news = state.fleet === null ? [] : fleetNews(state.fleet, fleet);
  return withNews({ ...state, fleet, connection: { kind: "live" } }, [...news, ...back]);
}

function broken(
  state: TopState,
  { problem, retryInMs }: { readonly problem: string; readonly retryInMs: number },
): TopState {
  const { connection, nowMs } = state;
  const isNew = connection.kind !== "broken";
  const sinceMs = isNew ? nowMs : connection.sinceMs;
  const next: TopState = {
    ...state,
    connection: { kind: "broken", problem, sinceMs, retryAtMs: nowMs + retryInMs },
  };
  return isNew
    ? withNews(next, [{ tone: "bad", about: "gateway", text: `its events broke off: ${problem}` }])
    : next;
}

const withNews = (state: TopState, told: readonly Omit<NewsItem, "atMs">[]): TopState =>
  told.length === 0
    ? state
    : {
        ...state,
        news: [...told.map((item) => ({ ...item, atMs: state.nowMs })).toReversed(), ...state.news].slice(
          0,
          NEWS_KEPT,
        ),
      };

// oxlint-disable-next-line max-params -- where, what, and how it sounds
const noticed = (state: TopState, text: string, tone: Notice["tone"]): TopState => ({
  ...state,
  notice: { text, tone, untilMs: state.nowMs + NOTICE_MS },
});

function changed(state: TopState, { change, answer }: Extract<TopEvent, { kind: "change-taken" }>): TopState {
  const text = `${changeText(change)}: ${answer}`;
  return noticed(
    withNews(state, [{ tone: "warn", about: "by hand", text: `${text} (drift)` }]),
    text,
    "good",
  );
}

const isSame = (one: TextAsked, other: TextAsked): boolean => JSON.stringify(one) === JSON.stringify(other);

// oxlint-disable-next-line max-params -- where, for what, and what came
function withText(
  state: TopState,
  of: TextAsked,
  came: { readonly text: string | null; readonly problem: string | null },
): TopState {
  const pages = state.pages.map((page): Page =>
    page.kind === "text" && isSame(page.of, of) ? { ...page, ...came } : page,
  );
  return { ...state, pages };
}
