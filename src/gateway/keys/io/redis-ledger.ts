import { randomBytes } from "node:crypto";
import { z } from "zod";
import type { Clock } from "../../../core/clock.ts";
import { toCortexError } from "../../../core/errors.ts";
import { compareText } from "../../../core/order.ts";
import type { KeyBlock } from "../../../fleet/schema/fleet-schema.ts";
import type { Logger } from "../../../platform/logger.ts";
import { longestWindowMs, stepOf } from "../key-accounts.ts";
import type { KeyLimits } from "../key-ring.ts";
import { PendingUsage } from "../pending-usage.ts";
import { COUNTERS, standingOf, usageRows, verdictOf } from "../redis-account.ts";
import { CHARGE_SCRIPT, LEAVE_SCRIPT, OPEN_SCRIPT, TELL_SCRIPT } from "../redis-scripts.ts";
import {
  HOUR_MS,
  type CountedRequest,
  type Opening,
  type Reservation,
  type Standing,
  type UnderWay,
  type UsageLedger,
  type UsageRow,
  type Verdict,
} from "../usage-ledger.ts";
import { connectRedis, type RedisConnection } from "./redis-connection.ts";

export interface RedisLedgerOptions {
  readonly url: string;
  /** Fleets share a Redis without seeing each other. */
  readonly fleetName: string;
  readonly keys: readonly KeyBlock[];
  /** A gateway that has not said for so long that it lives is gone. */
  readonly leaseMs?: number;
}

interface LedgerDeps {
  readonly clock: Clock;
  readonly logger: Logger;
}

const LEASE_MS = 10_000;
/** How long usage of unlimited keys may be in memory alone; limited ones are charged at once. */
const WRITE_AFTER_MS = 100;
const SLICE_MS = 10_000;
const CLOSE_WITHIN_MS = 3000;

interface Ended {
  readonly meter: string;
  readonly key: string;
}

interface Batch {
  readonly id: string;
  readonly json: string;
  readonly nowMs: number;
}

/**
 * The ledger of several gateways. Every request of a limited key asks Redis, in one step there, so that gateways
 * cannot spend the same tokens; where Redis does not answer such a request is refused. Nothing else waits for it: what
 * was counted is kept in memory until it can be sent, and counts once however often it is.
 */
export class RedisLedger implements UsageLedger {
  readonly #redis: RedisConnection;
  readonly #prefix: string;
  readonly #gateway = randomBytes(9).toString("base64url");
  readonly #deps: LedgerDeps;
  readonly #leaseMs: number;
  #longestWindowMs = 0;
  readonly #widths = new Map<string, number>();
  #pending = this.#newPending();
  #ended: Ended[] = [];
  readonly #sending = new Map<Batch, Promise<void>>();
  /** Sent, and not known to have come. */
  #unsure: Batch[] = [];
  #isBehind = false;
  #batches = 0;
  readonly #told = new Map<string, number>();
  #telling: Promise<void> = Promise.resolve();
  #cancelWrite: (() => void) | null = null;
  #closed = false;

  private constructor(
    options: RedisLedgerOptions,
    connection: { readonly redis: RedisConnection; readonly deps: LedgerDeps },
  ) {
    this.#redis = connection.redis;
    this.#deps = connection.deps;
    this.#prefix = `cortex:{${options.fleetName}}:`;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
    this.declare(options.keys);
  }

  /** Rejects with `ledger_unusable` where Redis is there and refuses. */
  static async connect(options: RedisLedgerOptions, deps: LedgerDeps): Promise<RedisLedger> {
    let ledger: RedisLedger | null = null;
    const onReady = () => {
      ledger?.noteUnderWay([]);
      void ledger?.flush();
    };
    const redis = await connectRedis(options.url, { ...deps, onReady });
    ledger = new RedisLedger(options, { redis, deps });
    onReady();
    return ledger;
  }

  declare(keys: readonly KeyBlock[]): void {
    this.#longestWindowMs = longestWindowMs(keys);
    this.#widths.clear();
    for (const { id, window } of keys) {
      if (window.kind === "rolling") this.#widths.set(id, stepOf(window.seconds * 1000));
    }
  }

  async open(opening: Opening): Promise<Verdict> {
    const { meterId, keyId } = opening;
    try {
      return verdictOf(await this.#ask(opening), opening);
    } catch (thrown) {
      // It may have been let in there for all that is known here.
      this.#ended.push({ meter: meterId, key: keyId });
      throw thrown;
    }
  }

  charge(reservation: Reservation | null, used: CountedRequest): void {
    const { meterId, keyId } = used;
    this.#pending.add(used);
    const isKnownThere = this.#told.delete(meterId) || reservation !== null;
    if (isKnownThere) this.#ended.push({ meter: meterId, key: keyId });
    if (reservation !== null) void this.flush();
    else {
      this.#cancelWrite ??= this.#deps.clock.alarm(WRITE_AFTER_MS, () => {
        void this.flush();
      });
    }
  }

  noteUnderWay(requests: readonly UnderWay[]): void {
    if (this.#closed) return;
    const entries: Record<string, unknown> = {};
    for (const { meterId, keyId, modelId, usage } of requests) {
      const { promptTokens: prompt, completionTokens: completion } = usage;
      if (this.#told.get(meterId) === prompt + completion) continue;
      this.#told.set(meterId, prompt + completion);
      entries[meterId] = this.#entry(keyId, { model: modelId, prompt, completion });
    }
    this.#telling = this.#tell(entries);
    if (this.#unsure.length > 0) void this.flush();
  }

  async standing(keyId: string, limits: KeyLimits, nowMs: number): Promise<Standing> {
    return standingOf(await this.#ask({ meterId: "", keyId, limits, tokens: 0, nowMs }));
  }

  async usage({
    fromMs,
    toMs,
  }: {
    readonly fromMs: number;
    readonly toMs: number;
  }): Promise<readonly UsageRow[]> {
    await this.flush();
    const from = String(Math.floor(fromMs / HOUR_MS) * HOUR_MS);
    const range = ["ZRANGEBYSCORE", `${this.#prefix}hours`, from, `(${toMs}`];
    const hours = z.array(z.string()).parse(await this.#redis.command(range));
    const rows: UsageRow[] = [];
    for (const hour of hours) {
      const counters = countersSchema.parse(
        await this.#redis.command(["HGETALL", `${this.#prefix}usage:${hour}`]),
      );
      rows.push(...usageRows(Number(hour), counters));
    }
    return rows.toSorted(
      (one, other) =>
        one.hourMs - other.hourMs ||
        compareText(one.keyId, other.keyId) ||
        compareText(one.modelId, other.modelId),
    );
  }

  async flush(): Promise<void> {
    this.#cancelWrite?.();
    this.#cancelWrite = null;
    const again = this.#unsure;
    this.#unsure = [];
    for (const batch of again) this.#send(batch);
    // While Redis is away it goes on growing instead.
    if (again.length === 0) this.#sendPending();
    await Promise.all([this.#telling, ...this.#sending.values()]);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const left = (async () => {
      await this.flush();
      await this.#redis.run({
        text: LEAVE_SCRIPT,
        keys: [`${this.#prefix}gateways`, this.#under],
        arguments: [this.#gateway],
      });
    })().catch((thrown: unknown) => {
      this.#deps.logger.error({ err: thrown }, "the ledger could not be left in good order");
    });
    const { promise: overdue, resolve } = Promise.withResolvers<null>();
    const cancel = this.#deps.clock.alarm(CLOSE_WITHIN_MS, () => {
      resolve(null);
    });
    await Promise.race([left, overdue]);
    cancel();
    if (this.#unsure.length > 0 || !this.#pending.isEmpty) {
      this.#deps.logger.error({ batches: this.#unsure.length }, "usage is lost: the ledger did not take it");
    }
    await this.#redis.close();
  }

  /** Lets go of the connection and says nothing: as a process that is killed does. */
  async abandon(): Promise<void> {
    this.#closed = true;
    this.#cancelWrite?.();
    await this.#redis.close();
  }

  get #under(): string {
    return `${this.#prefix}under:${this.#gateway}`;
  }

  #newPending(): PendingUsage {
    return new PendingUsage((keyId) => this.#widthOf(keyId));
  }

  #widthOf(keyId: string): number {
    return this.#widths.get(keyId) ?? SLICE_MS;
  }

  #entry(
    keyId: string,
    cost: { readonly model: string; readonly prompt: number; readonly completion: number },
  ): object {
    return { key: keyId, width: this.#widthOf(keyId), ...cost };
  }

  #ask({ meterId, keyId, limits, tokens, nowMs }: Opening): Promise<unknown> {
    const { requestsPerMinute, parallelRequests, tokens: budget } = limits;
    const figures = [tokens, nowMs, requestsPerMinute, parallelRequests, budget?.hardCap, budget?.windowMs];
    const entry = this.#entry(keyId, { model: "", prompt: 0, completion: 0 });
    return this.#redis.run({
      text: OPEN_SCRIPT,
      keys: [`key:${keyId}`, `begun:${keyId}`, `open:${keyId}`]
        .map((name) => this.#prefix + name)
        .concat(this.#under),
      arguments: [meterId, ...figures.map((figure) => String(figure ?? -1)), JSON.stringify(entry)],
    });
  }

  #sendPending(): void {
    if (this.#pending.isEmpty && this.#ended.length === 0) return;
    this.#batches += 1;
    this.#send({
      id: `${this.#gateway}.${this.#batches}`,
      json: JSON.stringify({ ...batchOf(this.#pending), ended: this.#ended }),
      nowMs: this.#deps.clock.nowMs(),
    });
    this.#pending = this.#newPending();
    this.#ended = [];
  }

  /** At once, beside others: what this gateway asks next comes behind it on the same connection. */
  #send(batch: Batch): void {
    const sent = this.#deliver(batch).finally(() => this.#sending.delete(batch));
    this.#sending.set(batch, sent);
  }

  async #deliver(batch: Batch): Promise<void> {
    try {
      await this.#redis.run({
        text: CHARGE_SCRIPT,
        keys: [`${this.#prefix}batch:${batch.id}`, this.#under],
        arguments: [this.#prefix, batch.json, String(batch.nowMs), String(this.#longestWindowMs)],
      });
      this.#isBehind = false;
    } catch (thrown) {
      this.#unsure.push(batch);
      if (this.#isBehind) return;
      this.#isBehind = true;
      this.#deps.logger.warn(
        { err: toCortexError(thrown).cause },
        "usage could not be sent; it is kept in memory",
      );
    }
  }

  async #tell(entries: Readonly<Record<string, unknown>>): Promise<void> {
    const { clock, logger } = this.#deps;
    const nowMs = clock.nowMs();
    const hourMs = Math.floor(nowMs / HOUR_MS) * HOUR_MS;
    const figures = [nowMs, this.#longestWindowMs, this.#leaseMs, hourMs].map(String);
    try {
      const charged = await this.#redis.run({
        text: TELL_SCRIPT,
        keys: [`${this.#prefix}gateways`, this.#under],
        arguments: [this.#prefix, this.#gateway, JSON.stringify(entries), ...figures],
      });
      if (Number(charged) > 0)
        logger.warn({ requests: charged }, "charged what a gateway that is gone had under way");
    } catch {
      // Told anew with the next look; that the ledger is away is in the log.
      for (const meterId of Object.keys(entries)) if (this.#told.has(meterId)) this.#told.set(meterId, -1);
    }
  }
}

const batchOf = ({ usage, spent }: PendingUsage) => ({
  rows: usage.map((row) => ({
    hour: row.hourMs,
    key: row.keyId,
    model: row.modelId,
    counts: Object.fromEntries(Object.entries(COUNTERS).map(([name, field]) => [name, row[field]])),
  })),
  spent: spent.map((slice) => ({
    key: slice.keyId,
    start: slice.sliceMs,
    width: slice.widthMs,
    tokens: slice.tokens,
  })),
});

const countersSchema = z.preprocess(
  (value) => (value instanceof Map ? (Object.fromEntries(value) as unknown) : value),
  z.record(z.string(), z.string()),
);
