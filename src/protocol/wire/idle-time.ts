import type { AnswerHeaders } from "./answer-head.ts";

/** What is told of no connection's end. */
const DEFAULT_IDLE_MS = 4000;
const MOST_IDLE_MS = 60_000;
/** The other side must not end the connection while a request is on its way. */
const MARGIN_MS = 1000;

/** How long a connection may lie idle and be used again, by what its other side says of it (`Keep-Alive: timeout=5`). */
export function idleTimeMs(headers: AnswerHeaders): number {
  const told = headers["keep-alive"];
  const [, secs] = typeof told === "string" ? (/timeout=(\d{1,6})/.exec(told) ?? []) : [];
  if (secs === undefined) return DEFAULT_IDLE_MS;
  return Math.min(Math.max(Number(secs) * 1000 - MARGIN_MS, 0), MOST_IDLE_MS);
}
