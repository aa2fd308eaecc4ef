import type { LoopStatus } from "../../protocol/findings/loop-status.ts";
import { shortRevision } from "../overview/model-rows.ts";
import type { NewsItem } from "./fleet-news.ts";
import type { Span } from "./frame-look.ts";

/** What is known of the loop by which the fleet follows its branch. */
export type LoopFacts =
  | {
      readonly kind: "ready" | "working" | "waiting" | "stalled";
      /** As conditions name it: "Succeeded", "Drifted", "UntrustedCommit". */
      readonly reason: string;
      readonly message: string;
      /** What it looked at last. */
      readonly revision: string | null;
    }
  /** Nobody may change the fleet by a loop now: it is suspended, or outside of its windows. */
  | {
      readonly kind: "held";
      readonly reason: string;
      readonly message: string;
      readonly untilMs: number | null;
    }
  | { readonly kind: "silent"; readonly message: string };

export function loopFactsOf({ conditions, last_round: round }: LoopStatus): LoopFacts {
  const { Ready: ready, Reconciling: reconciling, Stalled: stalled } = conditions;
  const revision = round?.commit ?? null;
  if (stalled.status === "True") return { ...said(stalled), kind: "stalled", revision };
  if (ready.status === "True" && reconciling.status !== "True")
    return { ...said(ready), kind: "ready", revision };
  return { ...said(ready), kind: reconciling.status === "True" ? "working" : "waiting", revision };
}

const said = ({ reason, message }: LoopStatus["conditions"]["Ready"]) => ({ reason, message });

const STYLES = {
  ready: "green",
  working: "cyan",
  waiting: "yellow",
  stalled: "red",
  held: "yellow",
  silent: "red",
} as const;

const WORDS: Readonly<Record<string, string>> = { Suspended: "suspended", OutsideWindow: "outside window" };

/** "loop stalled: UntrustedCommit at b2c3d4e". */
export function loopSpan(loop: LoopFacts, live: string | null): Span {
  return { text: `  loop ${loopText(loop, live)}`, style: STYLES[loop.kind] };
}

function loopText(loop: LoopFacts, live: string | null): string {
  if (loop.kind === "silent") return "does not answer";
  if (loop.kind === "held") {
    const until = loop.untilMs === null ? "" : ` until ${new Date(loop.untilMs).toISOString().slice(11, 16)}`;
    return `${WORDS[loop.reason] ?? loop.reason}${until}`;
  }
  if (loop.kind === "ready") return "ready";
  const at = loop.revision === null || loop.revision === live ? "" : ` at ${shortRevision(loop.revision)}`;
  return `${loop.kind}: ${loop.reason}${at}`;
}

const TONES = {
  ready: "good",
  working: "plain",
  waiting: "warn",
  stalled: "bad",
  held: "warn",
  silent: "bad",
} as const;

/** What has become of it since it was looked at last; nothing where it is as it was, or was never looked at. */
export function loopNews(
  before: LoopFacts | null,
  after: LoopFacts | null,
): readonly Omit<NewsItem, "atMs">[] {
  if (after === null) {
    return before?.kind === "held"
      ? [{ tone: "good", about: "loop", text: "may change the fleet again" }]
      : [];
  }
  if (before === null && after.kind === "ready") return [];
  if (before !== null && stateOf(before) === stateOf(after)) return [];
  const reason = after.kind === "silent" ? "silent" : after.reason;
  return [{ tone: TONES[after.kind], about: "loop", text: `${reason}: ${after.message}` }];
}

const stateOf = (loop: LoopFacts): string =>
  loop.kind === "silent" ? loop.kind : `${loop.kind} ${loop.reason}`;
