import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RedisLedger } from "../../../src/gateway/keys/io/redis-ledger.ts";
import { HOUR_MS } from "../../../src/gateway/keys/usage-ledger.ts";
import { NO_USAGE } from "../../../src/protocol/headers/usage-header.ts";
import { systemClock } from "../../../src/platform/system-clock.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { findRedisServer } from "../../support/redis/find-redis-server.ts";
import { RedisServer } from "../../support/redis/redis-server.ts";
import {
  describeLedger,
  KEYS,
  openFor,
  reserved,
  spend,
  used,
  limitsOf,
  type LedgerBench,
} from "./ledger-contract.ts";

const found = await findRedisServer();
const path = found.kind === "found" ? found.path : "";
const why = found.kind === "found" ? "" : ` (left out: ${found.reason})`;

/** The manual clock of a test says when something was spent; connections live by the real one. */
const timesOf = (clock: ManualClock) => ({
  nowMs: () => clock.nowMs(),
  monotonicMs: () => systemClock.monotonicMs(),
  sleep: (durationMs: number, signal?: AbortSignal) => systemClock.sleep(durationMs, signal),
  alarm: (durationMs: number, ring: () => void) => systemClock.alarm(durationMs, ring),
});

const LEASE_MS = 300;
let fleets = 0;
const freshFleet = (): string => {
  fleets += 1;
  return `fleet-${fleets}`;
};
const spanAt = (nowMs: number) => ({ fromMs: nowMs - HOUR_MS, toMs: nowMs + HOUR_MS });

describe.skipIf(found.kind === "missing")(`with a real server${why}`, () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await RedisServer.start(path);
  });
  afterAll(async () => {
    await server.stop();
  });

  const connect = (
    clock: ManualClock,
    options: { readonly fleetName: string; readonly url?: string; readonly onLog?: (line: string) => void },
  ): Promise<RedisLedger> => {
    const { fleetName, url = server.url, onLog = () => undefined } = options;
    const logger = pino({ level: "info" }, { write: onLog });
    return RedisLedger.connect(
      { url, fleetName, keys: KEYS, leaseMs: LEASE_MS },
      { clock: timesOf(clock), logger },
    );
  };

  const redisBench = (): Promise<LedgerBench> => {
    const fleetName = freshFleet();
    return Promise.resolve({
      open: (clock) => connect(clock, { fleetName }),
      openDoomed: async (clock) => {
        const ledger = await connect(clock, { fleetName });
        return { ledger, crash: () => ledger.abandon() };
      },
      lapse: () => systemClock.sleep(LEASE_MS + 50),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  };

  describeLedger("in Redis", redisBench);

  test("two gateways share a cap: together they never reserve more, and each sees what the other spent", async () => {
    const clock = new ManualClock();
    const fleetName = freshFleet();
    const gateways = [await connect(clock, { fleetName }), await connect(clock, { fleetName })];
    const nowMs = clock.nowMs();
    const verdicts = await Promise.all(
      Array.from({ length: 40 }, (_, index) => {
        const gateway = gateways[index % 2];
        if (gateway === undefined) throw new Error("two gateways");
        return openFor(gateway, { keyId: "ci", tokens: 100, nowMs });
      }),
    );
    expect(verdicts.filter(({ kind }) => kind === "granted")).toHaveLength(10);
    for (const gateway of gateways) await gateway.close();
    expect(verdicts.find(({ kind }) => kind === "refused")).toMatchObject({
      limit: "tokens",
      retryAfterMs: 1000,
      standing: { reservedTokens: 1000 },
    });
  });

  test("what was counted while Redis was away is there when it is back, and limited requests are refused meanwhile", async () => {
    const own = await RedisServer.start(path);
    const clock = new ManualClock();
    const lines: string[] = [];
    const ledger = await connect(clock, {
      fleetName: freshFleet(),
      url: own.url,
      onLog: (line) => lines.push(line),
    });
    const nowMs = clock.nowMs();
    const open = await reserved(ledger, { keyId: "ci", tokens: 300, nowMs });
    await own.stop();
    await expect(openFor(ledger, { keyId: "ci", tokens: 10, nowMs })).rejects.toMatchObject({
      code: "ledger_unavailable",
    });
    ledger.charge(open, { ...used("ci", 200, nowMs), meterId: open.meterId });
    for (let count = 0; count < 20; count += 1) ledger.charge(null, used("free", 10, nowMs));
    await ledger.flush();
    await own.run();
    await expect
      .poll(() => ledger.usage(spanAt(nowMs)).catch(() => []))
      .toMatchObject([
        { keyId: "ci", requests: 1, promptTokens: 199 },
        { keyId: "free", requests: 20, promptTokens: 180 },
      ]);
    await spend(ledger, { keyId: "ci", tokens: 700, nowMs });
    expect(await openFor(ledger, { keyId: "ci", tokens: 101, nowMs })).toMatchObject({ kind: "refused" });
    await ledger.close();
    await own.stop();
    // One word each for the outage and its end, not one for each try.
    expect(lines.filter((line) => line.includes("cannot be reached"))).toHaveLength(1);
    expect(lines.filter((line) => line.includes("is back"))).toHaveLength(1);
  });

  test("a server that hangs refuses limited requests within seconds; what it did of them later is given back", async () => {
    const own = await RedisServer.start(path);
    const clock = new ManualClock();
    const ledger = await connect(clock, { fleetName: freshFleet(), url: own.url });
    const nowMs = clock.nowMs();
    own.signal("SIGSTOP");
    await expect(openFor(ledger, { keyId: "ci", tokens: 900, nowMs })).rejects.toMatchObject({
      code: "ledger_unavailable",
      retryAfterSecs: 2,
    });
    own.signal("SIGCONT");
    await expect
      .poll(async () => {
        await ledger.flush();
        return openFor(ledger, { keyId: "ci", tokens: 900, nowMs }).catch(() => null);
      })
      .toMatchObject({ kind: "granted" });
    await ledger.close();
    await own.stop();
  });

  test("a gateway that only seemed to be gone ends its request itself, and it is charged once", async () => {
    const clock = new ManualClock();
    const fleetName = freshFleet();
    const [asleep, other] = [await connect(clock, { fleetName }), await connect(clock, { fleetName })];
    const nowMs = clock.nowMs();
    const open = await reserved(asleep, { keyId: "ci", tokens: 300, nowMs });
    const ended = { ...used("ci", 100, nowMs), meterId: open.meterId };
    asleep.noteUnderWay([{ ...ended, usage: { ...NO_USAGE, promptTokens: 60 } }]);
    await systemClock.sleep(LEASE_MS + 50);
    await expect
      .poll(async () => {
        other.noteUnderWay([]);
        return await other.usage(spanAt(nowMs));
      })
      .toMatchObject([{ keyId: "ci", requests: 1, cut: 1, promptTokens: 60 }]);
    asleep.charge(open, ended);
    await asleep.flush();
    expect(await other.usage(spanAt(nowMs))).toMatchObject([
      { keyId: "ci", requests: 1, cut: 0, promptTokens: 99, completionTokens: 1 },
    ]);
    expect((await other.standing("ci", limitsOf("ci"), nowMs)).spentTokens).toBe(100);
    await asleep.close();
    await other.close();
  });

  test("a server of a cluster is refused by name, with what to use instead", async () => {
    const cluster = await RedisServer.startOfCluster(path);
    const clock = new ManualClock();
    const refused = await connect(clock, { fleetName: freshFleet(), url: cluster.url }).catch(
      (thrown: unknown) => thrown,
    );
    await cluster.stop();
    expect(refused).toMatchObject({
      code: "ledger_unusable",
      message: `the ledger ${cluster.url} belongs to a Redis Cluster`,
      next: expect.stringContaining("name one server") as unknown,
    });
  });

  test("a wrong password is said at once, without the password; a server that is not there is waited for", async () => {
    const own = await RedisServer.start(path, "swordfish");
    const clock = new ManualClock();
    const wrong = own.url.replace("swordfish", "guppy-1234");
    const refused = await connect(clock, { fleetName: freshFleet(), url: wrong }).catch(
      (thrown: unknown) => thrown,
    );
    expect(refused).toMatchObject({ code: "ledger_unusable" });
    expect(String(refused)).toMatch(/redis:\/\/127\.0\.0\.1:\d+\/0 refuses: .*(WRONGPASS|invalid)/);
    expect(String(refused)).not.toContain("guppy");
    await own.stop();
    const lines: string[] = [];
    const late = await connect(clock, {
      fleetName: freshFleet(),
      url: own.url,
      onLog: (line) => lines.push(line),
    });
    expect(lines.join("")).toContain("cannot be reached");
    expect(lines.join("")).not.toContain("swordfish");
    await own.run();
    await expect
      .poll(() => openFor(late, { keyId: "ci", tokens: 1, nowMs: clock.nowMs() }).catch(() => null))
      .toMatchObject({ kind: "granted" });
    await late.close();
    await own.stop();
  });
});
