import fc from "fast-check";
import { expect, test } from "vitest";
import { NO_USAGE } from "../../../src/protocol/headers/usage-header.ts";
import { KeyAccounts, stepOf } from "../../../src/gateway/keys/key-accounts.ts";
import type { KeyLimits } from "../../../src/gateway/keys/key-ring.ts";
import type { Reservation } from "../../../src/gateway/keys/usage-ledger.ts";

let meters = 0;
const newMeterId = (): string => {
  meters += 1;
  return String(meters);
};

const WINDOW_MS = 60_000;
const MINUTE_MS = 60_000;
const CAP = 1000;

const limitsOf = (windowMs: number | null): KeyLimits => ({
  requestsPerMinute: 12,
  parallelRequests: 5,
  tokens: { hardCap: CAP, windowMs },
});

type Move =
  | { readonly kind: "open"; readonly tokens: number }
  /** Ends the `which`-th request under way with this part of what it reserved. */
  | { readonly kind: "end"; readonly which: number; readonly part: number }
  | { readonly kind: "wait"; readonly ms: number };

const move: fc.Arbitrary<Move> = fc.oneof(
  fc.record({ kind: fc.constant("open" as const), tokens: fc.integer({ min: 1, max: 400 }) }),
  fc.record({
    kind: fc.constant("end" as const),
    which: fc.nat(5),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 30_000 }) }),
);

/** Plays the moves beside a plain list of what was spent and begun; the laws that a move broke. */
function broken(moves: readonly Move[], windowMs: number | null): string[] {
  const limits = limitsOf(windowMs);
  const accounts = new KeyAccounts();
  const laws: string[] = [];
  const spent: { readonly atMs: number; readonly tokens: number }[] = [];
  const begun: number[] = [];
  let underWay: Reservation[] = [];
  let nowMs = 1_000_000;
  const spentSince = (sinceMs: number) =>
    spent.reduce((sum, { atMs, tokens }) => sum + (atMs > sinceMs ? tokens : 0), 0);
  const begunLately = () => begun.filter((atMs) => atMs > nowMs - MINUTE_MS).length;
  const reserved = () => underWay.reduce((sum, { tokens }) => sum + tokens, 0);
  const law = (holds: boolean, name: string) => {
    if (!holds) laws.push(name);
  };
  const open = (tokens: number) => {
    const verdict = accounts.open({ meterId: newMeterId(), keyId: "ci", limits, tokens, nowMs });
    const windowBegan = windowMs === null ? -1 : nowMs - windowMs;
    if (verdict.kind === "granted") {
      underWay.push(verdict.reservation);
      begun.push(nowMs);
      law(spentSince(windowBegan) + reserved() <= CAP, "over the cap");
      law(underWay.length <= 5, "too many at a time");
      law(begunLately() <= 12, "too many a minute");
      return;
    }
    // What is spent leaves a window up to two steps late.
    const atMost = spentSince(windowMs === null ? -1 : windowBegan - 2 * stepOf(windowMs));
    const full = atMost + reserved() + tokens > CAP;
    law(full || underWay.length >= 5 || begunLately() >= 12, "refused for nothing");
    law(verdict.retryAfterMs === null || verdict.retryAfterMs > 0, "try again at once");
    const forGood = windowMs === null && verdict.limit === "tokens" && reserved() === 0;
    law(!forGood || verdict.retryAfterMs === null, "waiting for what never comes");
  };
  const end = (which: number, part: number) => {
    const ended = underWay[which];
    if (ended === undefined) return;
    underWay = underWay.filter((one) => one !== ended);
    const completionTokens = Math.floor(ended.tokens * part);
    spent.push({ atMs: nowMs, tokens: completionTokens });
    accounts.charge(ended, answered(completionTokens, nowMs));
  };
  for (const step of moves) {
    if (step.kind === "wait") nowMs += step.ms;
    else if (step.kind === "end") end(step.which, step.part);
    else open(step.tokens);
  }
  return laws;
}

const answered = (completionTokens: number, nowMs: number) =>
  ({
    meterId: "",
    keyId: "ci",
    modelId: "m",
    usage: { ...NO_USAGE, completionTokens },
    outcome: "answered",
    nowMs,
  }) as const;

test.each([{ windowMs: null }, { windowMs: WINDOW_MS }])(
  "spent and reserved never pass a limit, and nobody is refused for nothing (window $windowMs)",
  ({ windowMs }) => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 120 }), (moves) => {
        expect(broken(moves, windowMs)).toEqual([]);
      }),
      { numRuns: 500 },
    );
  },
);

test("with nothing under way, a request that waits as long as it was told is served", () => {
  const request = fc.record({ tokens: fc.integer({ min: 1, max: 400 }), waitMs: fc.nat(20_000) });
  fc.assert(
    fc.property(fc.array(request, { minLength: 1, maxLength: 40 }), (requests) => {
      const limits = { ...limitsOf(WINDOW_MS), parallelRequests: null };
      const accounts = new KeyAccounts();
      let nowMs = 0;
      const verdicts = requests.map(({ tokens, waitMs }) => {
        nowMs += waitMs;
        let verdict = accounts.open({ meterId: newMeterId(), keyId: "ci", limits, tokens, nowMs });
        // Two limits may stand in the way, one behind the other.
        for (let round = 0; verdict.kind === "refused" && round < 2; round += 1) {
          nowMs += verdict.retryAfterMs ?? 0;
          verdict = accounts.open({ meterId: newMeterId(), keyId: "ci", limits, tokens, nowMs });
        }
        if (verdict.kind === "granted") accounts.charge(verdict.reservation, answered(tokens, nowMs));
        return verdict.kind;
      });
      expect(verdicts.filter((kind) => kind === "refused")).toEqual([]);
    }),
  );
});

test("a reservation is charged once, and what it did not use is free again", () => {
  const accounts = new KeyAccounts();
  const limits = limitsOf(null);
  const verdict = accounts.open({ meterId: newMeterId(), keyId: "ci", limits, tokens: 900, nowMs: 0 });
  if (verdict.kind !== "granted") throw new Error("refused");
  const charged = {
    meterId: "",
    keyId: "ci",
    modelId: "m",
    usage: { ...NO_USAGE, promptTokens: 40 },
    outcome: "answered",
    nowMs: 1,
  } as const;
  accounts.charge(verdict.reservation, charged);
  accounts.charge(verdict.reservation, { ...charged, usage: NO_USAGE });
  expect(accounts.standing("ci", limits, 1)).toEqual({
    spentTokens: 40,
    reservedTokens: 0,
    requestsInLastMinute: 1,
    parallelRequests: 0,
  });
});
