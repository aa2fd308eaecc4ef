import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { keyBlockSchema } from "../../../src/fleet/schema/fleet-schema.ts";
import { IN_MEMORY, SqliteLedger } from "../../../src/gateway/keys/io/sqlite-ledger.ts";
import { KeyRing, type KeyLimits } from "../../../src/gateway/keys/key-ring.ts";
import { HOUR_MS, type UsageLedger } from "../../../src/gateway/keys/usage-ledger.ts";
import { NO_USAGE } from "../../../src/protocol/headers/usage-header.ts";
import { ManualClock } from "../../support/manual-clock.ts";

const HASH = `sha256:${"0".repeat(64)}`;
const KEYS = [
  keyBlockSchema.parse({ id: "ci", hash: HASH, hard_cap: 1000 }),
  keyBlockSchema.parse({
    id: "roll",
    hash: HASH,
    hard_cap: 1000,
    window: { kind: "rolling", seconds: 600 },
  }),
];
const [CI, ROLL] = new KeyRing(KEYS, { allowAnonymous: false }).principals.map(({ limits }) => limits);
if (CI == null || ROLL == null) throw new Error("both keys are limited");

const directories: string[] = [];
const ledgers: UsageLedger[] = [];
afterEach(async () => {
  for (const ledger of ledgers.splice(0)) await ledger.close();
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true });
});

async function freshPath(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "cortex-ledger-"));
  directories.push(directory);
  return join(directory, "below", "usage.sqlite");
}

function openLedger(path: string, clock: ManualClock): SqliteLedger {
  const ledger = new SqliteLedger({ path, keys: KEYS }, { clock, logger: pino({ level: "silent" }) });
  ledgers.push(ledger);
  return ledger;
}

const used = (keyId: string, tokens: number, nowMs: number) =>
  ({
    keyId,
    modelId: "org/a",
    usage: { ...NO_USAGE, promptTokens: tokens - 1, completionTokens: 1 },
    outcome: "answered",
    nowMs,
  }) as const;

async function spend(
  ledger: UsageLedger,
  nowMs: number,
  { keyId, tokens }: { readonly keyId: string; readonly tokens: number },
): Promise<void> {
  const limits = keyId === "ci" ? CI : ROLL;
  if (limits == null) throw new Error("limited");
  const verdict = await ledger.open({ keyId, limits, tokens, nowMs });
  if (verdict.kind !== "granted") throw new Error(`refused: ${verdict.limit}`);
  ledger.charge(verdict.reservation, used(keyId, tokens, nowMs));
}

describe("the ledger of one gateway", () => {
  test("what was spent outlives the process, in both kinds of window", async () => {
    const path = await freshPath();
    const clock = new ManualClock();
    const before = openLedger(path, clock);
    await spend(before, clock.nowMs(), { keyId: "ci", tokens: 700 });
    await spend(before, clock.nowMs(), { keyId: "roll", tokens: 700 });
    await before.close();
    const after = openLedger(path, clock);
    const asked = { tokens: 400, nowMs: clock.nowMs() };
    expect(after.open({ keyId: "ci", limits: CI, ...asked })).toMatchObject({
      kind: "refused",
      limit: "tokens",
      retryAfterMs: null,
    });
    const rolling = after.open({ keyId: "roll", limits: ROLL, ...asked });
    expect(rolling).toMatchObject({ kind: "refused", limit: "tokens" });
    const waitMs = rolling.kind === "refused" ? (rolling.retryAfterMs ?? 0) : 0;
    expect(waitMs).toBeGreaterThanOrEqual(600_000);
    const later = clock.nowMs() + waitMs;
    expect(after.open({ keyId: "roll", limits: ROLL, tokens: 400, nowMs: later })).toMatchObject({
      kind: "granted",
    });
  });

  test("without a close, what was counted is written a moment later", async () => {
    const path = await freshPath();
    const clock = new ManualClock();
    const ledger = openLedger(path, clock);
    await spend(ledger, clock.nowMs(), { keyId: "ci", tokens: 700 });
    await clock.advance(100);
    const other = openLedger(path, clock);
    const span = { fromMs: clock.nowMs() - HOUR_MS, toMs: clock.nowMs() + HOUR_MS };
    expect(await other.usage(span)).toMatchObject([
      { keyId: "ci", modelId: "org/a", requests: 1, promptTokens: 699 },
    ]);
  });

  test("a key that is declared later, or by another window, brings along what it has spent", async () => {
    const path = await freshPath();
    const clock = new ManualClock();
    const ledger = openLedger(path, clock);
    ledger.charge(null, used("late", 300, clock.nowMs()));
    await spend(ledger, clock.nowMs(), { keyId: "ci", tokens: 700 });
    const late = keyBlockSchema.parse({ id: "late", hash: HASH, hard_cap: 1000 });
    const rolling = { ...KEYS[0], window: { kind: "rolling", seconds: 600 } };
    ledger.declare([late, keyBlockSchema.parse(rolling)]);
    const spent = (keyId: string, limits: KeyLimits, nowMs: number) =>
      ledger.standing(keyId, limits, nowMs).spentTokens;
    expect(spent("late", CI, clock.nowMs())).toBe(300);
    expect(spent("ci", ROLL, clock.nowMs())).toBe(700);
    expect(spent("ci", ROLL, clock.nowMs() + HOUR_MS)).toBe(0);
    // And back: what has left the window counts again.
    ledger.declare(KEYS);
    expect(spent("ci", CI, clock.nowMs() + HOUR_MS)).toBe(700);
  });

  test("usage is added up by hour, key and model, and told by outcome", async () => {
    const clock = new ManualClock();
    const ledger = openLedger(IN_MEMORY, clock);
    const first = clock.nowMs();
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

  test("the file is for its user alone, and a file that is none is named", async () => {
    const path = await freshPath();
    openLedger(path, new ManualClock());
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const broken = join(path, "..", "broken.sqlite");
    await writeFile(broken, "not a database, and long enough to be looked at ".repeat(40));
    expect(() => openLedger(broken, new ManualClock())).toThrow(
      /usage ledger .*broken\.sqlite cannot be opened/,
    );
  });
});
