import type { KeyBlock } from "../../fleet/schema/fleet-schema.ts";
import type { KeyLimits } from "./key-ring.ts";
import type { CountedRequest, LimitKind, Opening, Reservation, Standing, Verdict } from "./usage-ledger.ts";

/**
 * What each key has spent and has under way, in memory: the ledger of one gateway, without its file.
 *
 * The law: spent and reserved tokens together never pass the cap, in any window, so that requests side by side cannot
 * overdraw it. What is spent leaves a rolling window in steps (`stepOf`), and late rather than early. A request that
 * turns out dearer than its reservation is counted in full; the next ones pay for it.
 */
export class KeyAccounts {
  readonly #accounts = new Map<string, Account>();
  readonly #open = new Map<string, Reservation>();

  /** Spent before, in place of what is known: of a rolling window in pieces, else one piece. What is open stays open. */
  restore(keyId: string, spent: readonly Spent[]): void {
    const account = this.#account(keyId);
    account.spent.splice(0, Infinity, ...spent.map(({ atMs, tokens }) => ({ atMs, tokens })));
    account.spent.sort((one, other) => one.atMs - other.atMs);
    account.spentInAll = spent.reduce((sum, { tokens }) => sum + tokens, 0);
  }

  open({ meterId, keyId, limits, tokens, nowMs }: Opening): Verdict {
    const account = this.#account(keyId);
    forget(account, limits, nowMs);
    const refused = refusal(account, limits, { tokens, nowMs });
    if (refused !== null) return { kind: "refused", ...refused, standing: standingOf(account) };
    const reservation = { meterId, keyId, tokens };
    this.#open.set(meterId, reservation);
    account.reserved += tokens;
    account.parallel += 1;
    if (limits.requestsPerMinute !== null) account.startedAtMs.push(nowMs);
    return { kind: "granted", reservation };
  }

  charge(reservation: Reservation | null, { keyId, usage, nowMs }: CountedRequest): void {
    const account = this.#account(keyId);
    if (reservation !== null && this.#open.delete(reservation.meterId)) {
      account.reserved -= reservation.tokens;
      account.parallel -= 1;
    }
    const tokens = usage.promptTokens + usage.completionTokens;
    if (tokens === 0) return;
    account.spentInAll += tokens;
    const last = account.spent.at(-1);
    if (last !== undefined && nowMs - last.atMs < account.stepMs) last.tokens += tokens;
    else account.spent.push({ atMs: nowMs, tokens });
  }

  standing(keyId: string, limits: KeyLimits, nowMs: number): Standing {
    const account = this.#account(keyId);
    forget(account, limits, nowMs);
    return standingOf(account);
  }

  #account(keyId: string): Account {
    const known = this.#accounts.get(keyId);
    if (known !== undefined) return known;
    const account: Account = {
      spent: [],
      spentInAll: 0,
      reserved: 0,
      parallel: 0,
      startedAtMs: [],
      stepMs: Infinity,
    };
    this.#accounts.set(keyId, account);
    return account;
  }
}

/** What is known of a key where its account is kept elsewhere. */
export interface AccountSeen {
  /** Oldest first. */
  readonly spent: readonly Spent[];
  readonly reserved: number;
  readonly parallel: number;
  /** Of the requests of the last minute, oldest first. */
  readonly startedAtMs: readonly number[];
}

/** The verdict of that account; null: nothing stands in the way. */
export function refusalBy(
  seen: AccountSeen,
  { limits, tokens, nowMs }: Omit<Opening, "meterId">,
): Refusal | null {
  const account: Account = {
    ...seen,
    spent: seen.spent.map((piece) => ({ ...piece })),
    startedAtMs: [...seen.startedAtMs],
    spentInAll: seen.spent.reduce((sum, piece) => sum + piece.tokens, 0),
    stepMs: Infinity,
  };
  return refusal(account, limits, { tokens, nowMs });
}

export interface Spent {
  readonly atMs: number;
  readonly tokens: number;
}

interface Account {
  /** Oldest first; what falls into one step is one piece. */
  readonly spent: { readonly atMs: number; tokens: number }[];
  spentInAll: number;
  reserved: number;
  parallel: number;
  readonly startedAtMs: number[];
  /** Width of a piece: for ever, where no window rolls. */
  stepMs: number;
}

const MINUTE_MS = 60_000;
const STEPS_PER_WINDOW = 256;

/** A window of an hour is kept in pieces of 14 s: exact enough, and small however busy the key is. */
export const stepOf = (windowMs: number): number => Math.max(1000, Math.ceil(windowMs / STEPS_PER_WINDOW));

/** With the step that spending leaves it late by. */
export const longestWindowMs = (keys: readonly Pick<KeyBlock, "window">[]): number =>
  Math.max(0, ...keys.map(({ window }) => (window.kind === "rolling" ? withStep(window.seconds * 1000) : 0)));

const withStep = (windowMs: number): number => windowMs + stepOf(windowMs);

/** Drops what has left the windows. */
function forget(account: Account, limits: KeyLimits, nowMs: number): void {
  const windowMs = limits.tokens?.windowMs ?? null;
  account.stepMs = windowMs === null ? Infinity : stepOf(windowMs);
  if (windowMs !== null) {
    const gone = account.spent.findIndex(({ atMs }) => leavesAtMs(atMs, windowMs) > nowMs);
    for (const { tokens } of account.spent.splice(0, gone === -1 ? account.spent.length : gone)) {
      account.spentInAll -= tokens;
    }
  }
  const recent = account.startedAtMs.findIndex((atMs) => atMs + MINUTE_MS > nowMs);
  account.startedAtMs.splice(0, recent === -1 ? account.startedAtMs.length : recent);
}

/** The last token of a piece was spent up to a step after its first. */
const leavesAtMs = (atMs: number, windowMs: number): number => atMs + stepOf(windowMs) + windowMs;

const standingOf = (account: Account): Standing => ({
  spentTokens: account.spentInAll,
  reservedTokens: account.reserved,
  requestsInLastMinute: account.startedAtMs.length,
  parallelRequests: account.parallel,
});

export interface Refusal {
  readonly limit: LimitKind;
  readonly retryAfterMs: number | null;
}

function refusal(
  account: Account,
  limits: KeyLimits,
  asked: { readonly tokens: number; readonly nowMs: number },
): Refusal | null {
  const { requestsPerMinute, parallelRequests, tokens } = limits;
  if (requestsPerMinute !== null && account.startedAtMs.length >= requestsPerMinute) {
    const frees = account.startedAtMs[account.startedAtMs.length - requestsPerMinute] ?? asked.nowMs;
    return { limit: "requests-per-minute", retryAfterMs: frees + MINUTE_MS - asked.nowMs };
  }
  if (parallelRequests !== null && account.parallel >= parallelRequests) {
    return { limit: "parallel-requests", retryAfterMs: 1000 };
  }
  if (tokens === null) return null;
  const missing = account.spentInAll + account.reserved + asked.tokens - tokens.hardCap;
  if (missing <= 0) return null;
  return { limit: "tokens", retryAfterMs: untilFreed(account, { ...tokens, missing, ...asked }) };
}

/** How long until enough of the window has rolled on. Null: spending alone does not stand in the way for a time only. */
function untilFreed(
  account: Account,
  need: {
    readonly hardCap: number;
    readonly windowMs: number | null;
    readonly missing: number;
    readonly tokens: number;
    readonly nowMs: number;
  },
): number | null {
  const { hardCap, windowMs, missing, tokens, nowMs } = need;
  if (windowMs === null) return account.reserved >= missing ? 1000 : null;
  if (tokens > hardCap) return null;
  let freed = 0;
  for (const piece of account.spent) {
    freed += piece.tokens;
    if (freed >= missing) return Math.max(1, leavesAtMs(piece.atMs, windowMs) - nowMs);
  }
  // Only together with what requests under way give back.
  return 1000;
}
