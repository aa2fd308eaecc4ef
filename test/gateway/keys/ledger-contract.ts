import { afterEach, describe, expect, test } from "vitest";
import { keyBlockSchema, type KeyBlock } from "../../../src/fleet/schema/fleet-schema.ts";
import { KeyRing, type KeyLimits } from "../../../src/gateway/keys/key-ring.ts";
import { HOUR_MS, type UsageLedger, type Verdict } from "../../../src/gateway/keys/usage-ledger.ts";
import { NO_USAGE } from "../../../src/protocol/headers/usage-header.ts";
import { ManualClock } from "../../support/manual-clock.ts";

export const HASH = `sha256:${"0".repeat(64)}`;
const keyOf = (id: string, fields: Readonly<Record<string, unknown>>): KeyBlock =>
  keyBlockSchema.parse({ id, hash: HASH, ...fields });
const ROLLING = { window: { kind: "rolling", seconds: 600 } };
export const KEYS = [
  keyOf("ci", { hard_cap: 1000 }),
  keyOf("roll", { hard_cap: 1000, ...ROLLING }),
  keyOf("busy", { requests_per_minute: 3, parallel_requests: 2 }),
];
export const limitsOf = (id: string, keys: readonly KeyBlock[] = KEYS): KeyLimits => {
  const principal = new KeyRing(keys, { allowAnonymous: false }).principals.find((one) => one.id === id);
  if (principal?.limits == null) throw new Error(`${id} is not limited`);
  return principal.limits;
};

let meters = 0;
export const newMeterId = (): string => {
  meters += 1;
  return `meter-${meters}`;
};

export const used = (keyId: string, tokens: number, nowMs: number) => ({
  meterId: newMeterId(),
  keyId,
  modelId: "org/a",
  usage: { ...NO_USAGE, promptTokens: tokens - 1, completionTokens: 1 },
  outcome: "answered" as const,
  nowMs,
});

export interface Asked {
  readonly keyId: string;
  readonly tokens: number;
  readonly nowMs: number;
}

export const openFor = async (ledger: UsageLedger, { keyId, tokens, nowMs }: Asked): Promise<Verdict> =>
  ledger.open({ meterId: newMeterId(), keyId, limits: limitsOf(keyId), tokens, nowMs });

export async function reserved(ledger: UsageLedger, asked: Asked) {
  const verdict = await openFor(ledger, asked);
  if (verdict.kind !== "granted") throw new Error(`refused: ${verdict.limit}`);
  return verdict.reservation;
}

export async function spend(ledger: UsageLedger, asked: Asked): Promise<void> {
  const reservation = await reserved(ledger, asked);
  const { keyId, tokens, nowMs } = asked;
  ledger.charge(reservation, { ...used(keyId, tokens, nowMs), meterId: reservation.meterId });
}

export interface LedgerBench {
  /** A ledger over the same store as the others of this test. */
  open(clock: ManualClock): Promise<UsageLedger>;
  /** One whose process dies by `crash`. */
  openDoomed(
    clock: ManualClock,
  ): Promise<{ readonly ledger: UsageLedger; readonly crash: () => Promise<void> }>;
  /** So much time passes that the dead count as gone. */
  lapse(clock: ManualClock): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const spentOf = async (ledger: UsageLedger, keyId: string, nowMs: number) =>
  (await ledger.standing(keyId, limitsOf(keyId), nowMs)).spentTokens;

const spanAt = (nowMs: number) => ({ fromMs: nowMs - HOUR_MS, toMs: nowMs + HOUR_MS });

/** What every ledger has to keep to. */
export function describeLedger(store: string, newBench: () => Promise<LedgerBench>): void {
  describe(`the ledger ${store}`, () => {
    const benches: LedgerBench[] = [];
    const ledgers: UsageLedger[] = [];
    afterEach(async () => {
      for (const ledger of ledgers.splice(0)) await ledger.close();
      for (const bench of benches.splice(0)) await bench[Symbol.asyncDispose]();
    });
    const benchFor = async (): Promise<LedgerBench> => {
      const bench = await newBench();
      benches.push(bench);
      return bench;
    };
    const openOn = async (bench: LedgerBench, clock: ManualClock): Promise<UsageLedger> => {
      const ledger = await bench.open(clock);
      ledgers.push(ledger);
      return ledger;
    };

    test("what was spent outlives the process, in both kinds of window", async () => {
      const bench = await benchFor();
      const clock = new ManualClock();
      const nowMs = clock.nowMs();
      const before = await bench.open(clock);
      await spend(before, { keyId: "ci", tokens: 700, nowMs });
      await spend(before, { keyId: "roll", tokens: 700, nowMs });
      await before.close();
      const after = await openOn(bench, clock);
      expect(await openFor(after, { keyId: "ci", tokens: 400, nowMs })).toMatchObject({
        kind: "refused",
        limit: "tokens",
        retryAfterMs: null,
      });
      const rolling = await openFor(after, { keyId: "roll", tokens: 400, nowMs });
      expect(rolling).toMatchObject({ kind: "refused", limit: "tokens" });
      const waitMs = rolling.kind === "refused" ? (rolling.retryAfterMs ?? 0) : 0;
      expect(waitMs).toBeGreaterThanOrEqual(600_000);
      expect(await openFor(after, { keyId: "roll", tokens: 400, nowMs: nowMs + waitMs })).toMatchObject({
        kind: "granted",
      });
    });

    test("without a close, what was counted is kept a moment later", async () => {
      const bench = await benchFor();
      const clock = new ManualClock();
      const ledger = await openOn(bench, clock);
      await spend(ledger, { keyId: "ci", tokens: 700, nowMs: clock.nowMs() });
      ledger.charge(null, used("free", 10, clock.nowMs()));
      await clock.advance(100);
      const other = await openOn(bench, clock);
      await expect
        .poll(() => other.usage(spanAt(clock.nowMs())))
        .toMatchObject([
          { keyId: "ci", modelId: "org/a", requests: 1, promptTokens: 699 },
          { keyId: "free", modelId: "org/a", requests: 1, promptTokens: 9 },
        ]);
    });

    test("a key that is declared later, or by another window, brings along what it has spent", async () => {
      const clock = new ManualClock();
      const ledger = await openOn(await benchFor(), clock);
      ledger.charge(null, used("late", 300, clock.nowMs()));
      await spend(ledger, { keyId: "ci", tokens: 700, nowMs: clock.nowMs() });
      await ledger.flush();
      const changed = [keyOf("late", { hard_cap: 1000 }), keyOf("ci", { hard_cap: 1000, ...ROLLING })];
      ledger.declare(changed);
      const spent = async (keyId: string, keys: readonly KeyBlock[], nowMs: number) =>
        (await ledger.standing(keyId, limitsOf(keyId, keys), nowMs)).spentTokens;
      expect(await spent("late", changed, clock.nowMs())).toBe(300);
      expect(await spent("ci", changed, clock.nowMs())).toBe(700);
      expect(await spent("ci", changed, clock.nowMs() + HOUR_MS)).toBe(0);
      // And back: what has left the window counts again.
      ledger.declare(KEYS);
      expect(await spent("ci", KEYS, clock.nowMs() + HOUR_MS)).toBe(700);
    });

    test("usage is added up by hour, key and model, and told by outcome", async () => {
      const clock = new ManualClock();
      const ledger = await openOn(await benchFor(), clock);
      const first = Math.floor(clock.nowMs() / HOUR_MS) * HOUR_MS;
      ledger.charge(null, used("ci", 10, first));
      ledger.charge(null, { ...used("ci", 10, first + 1), outcome: "cut" });
      await ledger.flush();
      ledger.charge(null, { ...used("ci", 10, first + 2), outcome: "failed" });
      ledger.charge(null, used("ci", 10, first + HOUR_MS));
      const rows = await ledger.usage({ fromMs: first, toMs: first + 2 * HOUR_MS });
      expect(
        rows.map(({ hourMs, requests, cut, failed, promptTokens, completionTokens }) => [
          hourMs - first,
          requests,
          cut,
          failed,
          promptTokens,
          completionTokens,
        ]),
      ).toEqual([
        [0, 3, 1, 1, 27, 3],
        [HOUR_MS, 1, 0, 0, 9, 1],
      ]);
      expect(await ledger.usage({ fromMs: first + HOUR_MS, toMs: first + 2 * HOUR_MS })).toHaveLength(1);
    });

    test("requests at a time and a minute are limited, and a reservation is given back once", async () => {
      const clock = new ManualClock();
      const ledger = await openOn(await benchFor(), clock);
      const ask = (laterMs: number) =>
        openFor(ledger, { keyId: "busy", tokens: 10, nowMs: clock.nowMs() + laterMs });
      const first = await reserved(ledger, { keyId: "busy", tokens: 10, nowMs: clock.nowMs() });
      expect(await ask(1)).toMatchObject({ kind: "granted" });
      expect(await ask(2)).toMatchObject({ kind: "refused", limit: "parallel-requests", retryAfterMs: 1000 });
      ledger.charge(first, { ...used("busy", 10, clock.nowMs() + 3), meterId: first.meterId });
      expect(await ask(4)).toMatchObject({ kind: "granted" });
      expect(await ask(5)).toMatchObject({
        kind: "refused",
        limit: "requests-per-minute",
        retryAfterMs: 60_000 - 5,
        standing: { requestsInLastMinute: 3, parallelRequests: 2, reservedTokens: 20, spentTokens: 10 },
      });
    });

    test("what a process had under way when it was killed is charged by what was told last, once", async () => {
      const bench = await benchFor();
      const clock = new ManualClock();
      const { ledger: doomed, crash } = await bench.openDoomed(clock);
      const nowMs = clock.nowMs();
      const reservation = await reserved(doomed, { keyId: "ci", tokens: 900, nowMs });
      const usage = { ...NO_USAGE, promptTokens: 20, completionTokens: 30 };
      const anonymous = { meterId: newMeterId(), keyId: "free", modelId: "org/a", usage };
      doomed.noteUnderWay([{ ...anonymous, meterId: reservation.meterId, keyId: "ci" }, anonymous]);
      await doomed.flush();
      await crash();
      const other = await openOn(bench, clock);
      await bench.lapse(clock);
      await expect
        .poll(async () => {
          other.noteUnderWay([]);
          return await other.usage(spanAt(nowMs));
        })
        .toMatchObject([
          { keyId: "ci", requests: 1, cut: 1, promptTokens: 20, completionTokens: 30 },
          { keyId: "free", requests: 1, cut: 1, promptTokens: 20, completionTokens: 30 },
        ]);
      // Nothing is reserved any more, and the cap knows of it.
      expect(await spentOf(other, "ci", clock.nowMs())).toBe(50);
      expect(await openFor(other, { keyId: "ci", tokens: 950, nowMs: clock.nowMs() })).toMatchObject({
        kind: "granted",
      });
    });

    test("a request that ended in good order is charged once, though it was told of before", async () => {
      const bench = await benchFor();
      const clock = new ManualClock();
      const { ledger: doomed, crash } = await bench.openDoomed(clock);
      const nowMs = clock.nowMs();
      const ended = used("free", 100, nowMs);
      doomed.noteUnderWay([{ ...ended, usage: { ...NO_USAGE, promptTokens: 99 } }]);
      doomed.charge(null, ended);
      await doomed.flush();
      await crash();
      const other = await openOn(bench, clock);
      await bench.lapse(clock);
      other.noteUnderWay([]);
      await other.flush();
      expect(await other.usage(spanAt(nowMs))).toMatchObject([
        { keyId: "free", requests: 1, cut: 0, promptTokens: 99, completionTokens: 1 },
      ]);
    });
  });
}
