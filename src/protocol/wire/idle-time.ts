import type { AnswerHeaders } from "./answer-head.ts";

/** What is told of no connection's end. */
const DEFAULT_IDLE_MS = 4000;
const MOST_IDLE_MS = 60_000;
/** The other side must not end the connection while a request is on its way. */
const MARGIN_MS = 1000;

/** What was told last, since the same is told again each time. */
let lastTold = "";
let lastIdleMs = DEFAULT_IDLE_MS;

/** How long a connection may lie idle and be used again, by what its other side says of it (`Keep-Alive: timeout=5`). */
export function idleTimeMs(headers: AnswerHeaders): number {
  const told = headers["keep-alive"];
  if (typeof told !== "string") return DEFAULT_IDLE_MS;
  if (told !== lastTold) {
    lastIdleMs = toldIdleMs(told);
    lastTold = told;
  }
  return lastIdleMs;
}

function toldIdleMs(told: string): number {
  const secs = /timeout=(\d{1,6})/.exec(told)?.[1];
  if (secs === undefined) return DEFAULT_IDLE_MS;
  return Math.min(Math.max(Number(secs) * 1000 - MARGIN_MS, 0), MOST_IDLE_MS);
}
