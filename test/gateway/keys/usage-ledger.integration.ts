import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, describe, expect, test } from "vitest";
import { SqliteLedger } from "../../../src/gateway/keys/io/sqlite-ledger.ts";
import { HOUR_MS, type UsageLedger } from "../../../src/gateway/keys/usage-ledger.ts";
import { present } from "../../../src/core/present.ts";
import { NO_USAGE } from "../../../src/protocol/headers/usage-header.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { describeLedger, KEYS, newMeterId, used, type LedgerBench } from "./ledger-contract.ts";

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

const logger = pino({ level: "silent" });
/** Larger than any process number. */
const OF_NOBODY = { pid: 2 ** 30, startedAtMs: 1 };

const ledgerAt = (path: string, clock: ManualClock, owner = {}): SqliteLedger =>
  new SqliteLedger({ path, keys: KEYS, ...owner }, { clock, logger });

async function sqliteBench(): Promise<LedgerBench> {
  const path = await freshPath();
  return {
    open: (clock) => Promise.resolve(ledgerAt(path, clock)),
    // A killed process closes nothing: what it had in memory is gone with it.
    openDoomed: (clock) =>
      Promise.resolve({
        ledger: ledgerAt(path, clock, { owner: OF_NOBODY }),
        crash: () => Promise.resolve(),
      }),
    lapse: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

describeLedger("in a file", sqliteBench);

describe("the ledger in a file, by itself", () => {
  test("the file is for its user alone, and a file that is none is named", async () => {
    const path = await freshPath();
    ledgers.push(ledgerAt(path, new ManualClock()));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const broken = join(path, "..", "broken.sqlite");
    await writeFile(broken, "not a database, and long enough to be looked at ".repeat(40));
    expect(() => ledgerAt(broken, new ManualClock())).toThrow(
      /usage ledger .*broken\.sqlite cannot be opened/,
    );
  });

  test("a process that only seemed to be gone ends its request itself, and it is charged once", async () => {
    const path = await freshPath();
    const clock = new ManualClock();
    const asleep = ledgerAt(path, clock);
    const other = ledgerAt(path, clock);
    ledgers.push(asleep, other);
    const ended = used("ci", 100, clock.nowMs());
    asleep.noteUnderWay([{ ...ended, usage: { ...NO_USAGE, promptTokens: 60 } }]);
    await clock.advance(5000);
    other.noteUnderWay([]);
    const span = { fromMs: clock.nowMs() - HOUR_MS, toMs: clock.nowMs() + HOUR_MS };
    expect(await other.usage(span)).toEqual([]);
    await clock.advance(6000);
    other.noteUnderWay([]);
    expect(await other.usage(span)).toMatchObject([{ keyId: "ci", cut: 1, promptTokens: 60 }]);
    asleep.charge(null, ended);
    await asleep.flush();
    expect(await other.usage(span)).toMatchObject([
      { keyId: "ci", requests: 1, cut: 0, promptTokens: 99, completionTokens: 1 },
    ]);
  });

  test("many under way are noted part by part, and none after its end", async () => {
    const path = await freshPath();
    const clock = new ManualClock();
    const doomed = ledgerAt(path, clock, { owner: OF_NOBODY });
    const requests = Array.from({ length: 250 }, () => used("ci", 10, clock.nowMs()));
    const underWay = requests.map(({ meterId }) => ({ ...used("ci", 10, clock.nowMs()), meterId }));
    doomed.noteUnderWay(underWay);
    const last = present(requests.at(-1), "the last of them");
    doomed.charge(null, last);
    await doomed.flush();
    for (let pause = 0; pause < 5; pause += 1) await clock.advance(5);
    ledgers.push(doomed);
    const next = ledgerAt(path, clock);
    ledgers.push(next);
    const span = { fromMs: clock.nowMs() - HOUR_MS, toMs: clock.nowMs() + HOUR_MS };
    expect(await next.usage(span)).toMatchObject([{ keyId: "ci", requests: 250, cut: 249 }]);
  });

  test("a process that tells every second is never taken for gone", async () => {
    const path = await freshPath();
    const clock = new ManualClock();
    const [one, other] = [ledgerAt(path, clock), ledgerAt(path, clock)];
    ledgers.push(one, other);
    const request = { ...used("ci", 100, clock.nowMs()), meterId: newMeterId() };
    for (let second = 0; second < 30; second += 1) {
      one.noteUnderWay([request]);
      other.noteUnderWay([]);
      await clock.advance(1000);
    }
    const span = { fromMs: clock.nowMs() - HOUR_MS, toMs: clock.nowMs() + HOUR_MS };
    expect(await other.usage(span)).toEqual([]);
  });
});
