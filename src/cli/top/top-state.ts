import type { FleetState, FleetStateEvent } from "../../protocol/gateway-api.ts";
import type { RequestSummary } from "../../protocol/request-explanation.ts";
import type { NewsItem } from "./fleet-news.ts";
import type { LoopFacts } from "./loop-news.ts";
import type { Samples } from "./samples.ts";

export const PANES = ["neurons", "models", "requests", "events"] as const;
export type Pane = (typeof PANES)[number];

/** Something that a text is asked for: by whom it is made is nobody's business here. */
export type TextAsked =
  | { readonly kind: "plan" }
  | { readonly kind: "why"; readonly model: string }
  | { readonly kind: "request"; readonly id: string };

/** Done by hand, beside the fleet files: drift. */
export type Change =
  | { readonly kind: "drain" | "resume"; readonly neuron: string }
  | { readonly kind: "load" | "unload"; readonly model: string; readonly neuron: string };

/** What covers the panes; `esc` goes back to what was before. */
export type Page =
  | { readonly kind: "neuron"; readonly name: string }
  | { readonly kind: "model"; readonly id: string }
  | {
      readonly kind: "text";
      readonly of: TextAsked;
      /** Null while it is asked for. */
      readonly text: string | null;
      readonly problem: string | null;
    }
  | { readonly kind: "help" };

export type Prompt =
  | { readonly kind: "filter"; readonly text: string }
  /** Of what kind of change is known; which of them, where there are several, is chosen. */
  | { readonly kind: "confirm"; readonly changes: readonly Change[]; readonly chosen: number };

export interface PaneList {
  /** Key of the row: a name or an id, so that it stays the same row when others come and go. */
  readonly selected: string | null;
  readonly sort: number;
  readonly isReversed: boolean;
}

export type Connection =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  | {
      readonly kind: "broken";
      readonly problem: string;
      readonly sinceMs: number;
      readonly retryAtMs: number;
    };

/** Which revision of the fleet files is in force, as the history and the branch tell; null where neither can be read. */
export interface SyncFacts {
  /** Of the last apply that did all it was to do. */
  readonly liveRevision: string | null;
  /** Of the last apply, where that is another one. */
  readonly attempted: { readonly revision: string | null; readonly result: string } | null;
  /** What the files are at. */
  readonly head: { readonly revision: string | null; readonly isDirty: boolean };
  /** Null where nothing is known of one. */
  readonly loop: LoopFacts | null;
}

export interface Notice {
  readonly text: string;
  readonly tone: "plain" | "good" | "bad";
  readonly untilMs: number;
}

/** All that a screen of the fleet shows. */
export interface TopState {
  readonly nowMs: number;
  readonly fleet: FleetState | null;
  readonly connection: Connection;
  readonly requests: readonly RequestSummary[];
  readonly sync: SyncFacts | null;
  /** The latest first. */
  readonly news: readonly NewsItem[];
  readonly samples: Samples;
  readonly focus: Pane;
  /** Only the focused pane is shown. */
  readonly isZoomed: boolean;
  readonly lists: Readonly<Record<Pane, PaneList>>;
  readonly filter: string;
  readonly pages: readonly Page[];
  /** Of the page that is on top, in lines. */
  readonly scroll: number;
  readonly prompt: Prompt | null;
  readonly notice: Notice | null;
}

/** A key as it was pressed: `name` of those without a character. */
export interface PressedKey {
  readonly name: string;
  readonly text: string;
  readonly isCtrl: boolean;
}

export type TopEvent =
  | { readonly kind: "fleet-told"; readonly event: FleetStateEvent }
  | { readonly kind: "stream-broken"; readonly problem: string; readonly retryInMs: number }
  | { readonly kind: "requests-read"; readonly requests: readonly RequestSummary[] }
  | { readonly kind: "sync-read"; readonly sync: SyncFacts | null }
  | { readonly kind: "text-read"; readonly of: TextAsked; readonly text: string }
  | { readonly kind: "text-refused"; readonly of: TextAsked; readonly problem: string }
  | { readonly kind: "change-taken"; readonly change: Change; readonly answer: string }
  | { readonly kind: "change-refused"; readonly change: Change; readonly problem: string }
  | { readonly kind: "key-pressed"; readonly key: PressedKey }
  /** Told each second. */
  | { readonly kind: "clock-ticked"; readonly nowMs: number };

export type TopEffect =
  | { readonly kind: "quit" }
  | { readonly kind: "read-text"; readonly of: TextAsked }
  | { readonly kind: "read-requests" }
  | { readonly kind: "carry-out"; readonly change: Change };

export interface TopStep {
  readonly state: TopState;
  readonly effects: readonly TopEffect[];
}

const UNSORTED: PaneList = { selected: null, sort: 0, isReversed: false };

export const initialTop = (nowMs: number): TopState => ({
  nowMs,
  fleet: null,
  connection: { kind: "connecting" },
  requests: [],
  sync: null,
  news: [],
  samples: { requestsPerSec: [], tokensPerSec: [], firstTokenMs: [], errorsPerMin: [] },
  focus: "models",
  isZoomed: false,
  lists: { neurons: UNSORTED, models: UNSORTED, requests: UNSORTED, events: UNSORTED },
  filter: "",
  pages: [],
  scroll: 0,
  prompt: null,
  notice: null,
});

/** "unload m on beast". */
export const changeText = (change: Change): string =>
  "model" in change
    ? `${change.kind} ${change.model} on ${change.neuron}`
    : `${change.kind} ${change.neuron}`;
