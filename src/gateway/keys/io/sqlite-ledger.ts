import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Clock } from "../../../core/clock.ts";
import { CortexError } from "../../../core/errors.ts";
import type { Logger } from "../../../platform/logger.ts";
import type { KeyBlock } from "../../../fleet/schema/fleet-schema.ts";
import { KeyAccounts, longestWindowMs, type Spent } from "../key-accounts.ts";
import type { KeyLimits } from "../key-ring.ts";
import { PendingUsage } from "../pending-usage.ts";
import { UnderWayTable, type Orphan, type OwningProcess } from "./under-way-table.ts";
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

export interface SqliteLedgerOptions {
  /** The file; made with its directory, for the user of this process alone. */
  readonly path: string;
  /** Whose spending is taken over. */
  readonly keys: readonly KeyBlock[];
  /** Another process than this one, in tests. */
  readonly owner?: OwningProcess;
}

/** How long usage may be in memory alone: what a crash of the gateway costs at most. */
const WRITE_AFTER_MS = 100;
/** Another process that writes at the same moment is waited for. */
const BUSY_TIMEOUT_MS = 5000;
/** What is spent is kept in slices of this length, until it has left every window. */
const SLICE_MS = 10_000;

const SCHEMA = `
  create table if not exists usage (
    hour_ms integer not null, key_id text not null, model_id text not null,
    requests integer not null, cut integer not null, failed integer not null,
    prompt integer not null, completion integer not null, cached integer not null, reasoning integer not null,
    primary key (hour_ms, key_id, model_id)
  ) strict, without rowid;
  create table if not exists spent (
    key_id text not null, slice_ms integer not null, tokens integer not null,
    primary key (key_id, slice_ms)
  ) strict, without rowid;
  pragma user_version = 1;
`;

const ADD_USAGE = `
  insert into usage values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  on conflict do update set requests = requests + excluded.requests, cut = cut + excluded.cut,
    failed = failed + excluded.failed, prompt = prompt + excluded.prompt,
    completion = completion + excluded.completion, cached = cached + excluded.cached,
    reasoning = reasoning + excluded.reasoning`;

const ADD_SPENT = `
  insert into spent values (?, ?, ?) on conflict do update set tokens = tokens + excluded.tokens`;

/** Half a millisecond of writing. */
const NOTED_AT_ONCE = 100;
const NOTE_PAUSE_MS = 5;

/**
 * The ledger of one gateway: accounts in memory, kept in a file. No request waits for the disk: what was counted is
 * written together, 100 ms later at the latest.
 */
export class SqliteLedger implements UsageLedger {
  readonly #database: DatabaseSync;
  readonly #accounts = new KeyAccounts();
  readonly #deps: { readonly clock: Clock; readonly logger: Logger };
  readonly #addUsage: StatementSync;
  readonly #addSpent: StatementSync;
  #longestWindowMs = 0;
  /** The window by which each key's spending is counted now. */
  readonly #windows = new Map<string, string>();
  #pending = new PendingUsage(() => SLICE_MS);
  /** Ended since the last write. */
  #ended: string[] = [];
  readonly #underWay: UnderWayTable;
  #cancelWrite: (() => void) | null = null;
  /** What is under way and not noted yet, by id. */
  #toNote = new Map<string, UnderWay>();
  #cancelNote: (() => void) | null = null;

  constructor(options: SqliteLedgerOptions, deps: { readonly clock: Clock; readonly logger: Logger }) {
    this.#deps = deps;
    this.#database = openDatabase(options.path);
    this.#addUsage = this.#database.prepare(ADD_USAGE);
    this.#addSpent = this.#database.prepare(ADD_SPENT);
    this.#underWay = new UnderWayTable(this.#database, options.owner);
    this.#chargeOrphans();
    this.declare(options.keys);
  }

  declare(keys: readonly KeyBlock[]): void {
    this.#longestWindowMs = longestWindowMs(keys);
    const changed = keys.filter((key) => this.#windows.get(key.id) !== JSON.stringify(key.window));
    if (changed.length === 0) return;
    this.#writeOrReport();
    for (const key of changed) {
      this.#windows.set(key.id, JSON.stringify(key.window));
      this.#accounts.restore(key.id, this.#spentBy(key));
    }
  }

  open(opening: Opening): Verdict {
    return this.#accounts.open(opening);
  }

  charge(reservation: Reservation | null, used: CountedRequest): void {
    this.#accounts.charge(reservation, used);
    // Noted after its end, it would be charged once more when this process is gone.
    this.#toNote.delete(used.meterId);
    this.#pending.add(used);
    this.#ended.push(used.meterId);
    this.#cancelWrite ??= this.#deps.clock.alarm(WRITE_AFTER_MS, () => {
      this.#cancelWrite = null;
      this.#writeOrReport();
    });
  }

  noteUnderWay(requests: readonly UnderWay[]): void {
    for (const request of requests) this.#toNote.set(request.meterId, request);
    if (this.#cancelNote === null) this.#noteSome();
    for (const orphan of this.#chargeOrphans()) this.#accounts.charge(null, orphan);
  }

  /** A part of them now and the rest in a moment: streams go on in between. */
  #noteSome(): void {
    const some: UnderWay[] = [];
    for (const [meterId, request] of this.#toNote) {
      this.#toNote.delete(meterId);
      if (some.push(request) === NOTED_AT_ONCE) break;
    }
    this.#try("what is under way could not be written", () => {
      if (some.length > 0) this.#underWay.note(some, this.#deps.clock.nowMs());
    });
    this.#cancelNote =
      this.#toNote.size === 0
        ? null
        : this.#deps.clock.alarm(NOTE_PAUSE_MS, () => {
            this.#noteSome();
          });
  }

  standing(keyId: string, limits: KeyLimits, nowMs: number): Standing {
    return this.#accounts.standing(keyId, limits, nowMs);
  }

  usage({ fromMs, toMs }: { readonly fromMs: number; readonly toMs: number }): Promise<readonly UsageRow[]> {
    this.#writeOrReport();
    const rows = this.#database
      .prepare("select * from usage where hour_ms >= ? and hour_ms < ? order by hour_ms, key_id, model_id")
      .all(Math.floor(fromMs / HOUR_MS) * HOUR_MS, toMs);
    return Promise.resolve(rows.map(usageRow));
  }

  flush(): Promise<void> {
    this.#writeOrReport();
    return Promise.resolve();
  }

  close(): Promise<void> {
    if (this.#database.isOpen) {
      this.#cancelWrite?.();
      this.#cancelWrite = null;
      this.#cancelNote?.();
      this.#cancelNote = null;
      this.#writeOrReport();
      this.#try("the ledger could not be left in good order", () => {
        this.#underWay.leave();
      });
      this.#database.close();
    }
    return Promise.resolve();
  }

  /** What could not be written is kept and tried again with the next request. */
  #writeOrReport(): void {
    if (this.#pending.isEmpty) return;
    this.#try("usage could not be written; it is kept in memory", () => {
      for (const meterId of this.#ended) this.#giveBack(this.#underWay.end(meterId));
      this.#write(this.#pending);
      const left = this.#deps.clock.nowMs() - this.#longestWindowMs - 2 * SLICE_MS;
      this.#database.prepare("delete from spent where slice_ms < ?").run(left);
      return () => {
        this.#underWay.forget(this.#ended);
        this.#pending = new PendingUsage(() => SLICE_MS);
        this.#ended = [];
      };
    });
  }

  #write({ usage, spent }: Pick<PendingUsage, "usage" | "spent">): void {
    for (const row of usage) {
      const { hourMs, keyId, modelId, requests, cut, failed } = row;
      const tokens = [row.promptTokens, row.completionTokens, row.cachedTokens, row.reasoningTokens];
      this.#addUsage.run(hourMs, keyId, modelId, requests, cut, failed, ...tokens);
    }
    for (const { keyId, sliceMs, tokens } of spent) this.#addSpent.run(keyId, sliceMs, tokens);
  }

  /** Charges what processes that are gone have left under way, as the cut answers that they are. */
  #chargeOrphans(): readonly CountedRequest[] {
    let charged: readonly CountedRequest[] = [];
    this.#try("requests of a gateway that is gone could not be charged", () => {
      const nowMs = this.#deps.clock.nowMs();
      const counted = this.#underWay
        .takeOrphans(nowMs)
        .map((orphan): CountedRequest => ({ ...orphan, outcome: "cut", nowMs }));
      this.#write(pendingOf(counted));
      return () => {
        charged = counted;
        if (counted.length === 0) return;
        this.#deps.logger.warn(
          { requests: counted.length },
          "charged what a gateway that is gone had under way",
        );
      };
    });
    return charged;
  }

  /** What this process seemed to be gone for: it ends its request itself after all. */
  #giveBack(orphan: Orphan | null): void {
    if (orphan?.chargedMs == null) return;
    const { usage, spent } = pendingOf([{ ...orphan, outcome: "cut", nowMs: orphan.chargedMs }]);
    this.#write({
      usage: usage.map((row) => ({
        ...row,
        requests: -row.requests,
        cut: -row.cut,
        promptTokens: -row.promptTokens,
        completionTokens: -row.completionTokens,
      })),
      spent: spent.map((slice) => ({ ...slice, tokens: -slice.tokens })),
    });
  }

  /** A disk that refuses costs no answer. All of `work` or nothing of it is done, and what it returns only with it. */
  #try(failure: string, work: () => (() => void) | void): void {
    if (!this.#database.isOpen) return;
    try {
      this.#database.exec("begin immediate");
      const done = work();
      this.#database.exec("commit");
      done?.();
    } catch (thrown) {
      if (this.#database.isTransaction) this.#database.exec("rollback");
      this.#deps.logger.error({ err: thrown }, failure);
    }
  }

  #spentBy(key: KeyBlock): Spent[] {
    if (key.window.kind === "balance") {
      const sum = this.#database.prepare(
        "select sum(prompt + completion) as tokens from usage where key_id = ?",
      );
      const tokens = Number(sum.get(key.id)?.["tokens"] ?? 0);
      return tokens === 0 ? [] : [{ atMs: 0, tokens }];
    }
    const rows = this.#database.prepare(
      "select slice_ms, tokens from spent where key_id = ? order by slice_ms",
    );
    // At the end of its slice: what is spent must not leave the window early.
    return rows
      .all(key.id)
      .map((row) => ({ atMs: Number(row["slice_ms"]) + SLICE_MS, tokens: Number(row["tokens"]) }));
  }
}

function pendingOf(requests: readonly CountedRequest[]): PendingUsage {
  const pending = new PendingUsage(() => SLICE_MS);
  for (const request of requests) pending.add(request);
  return pending;
}

/** A ledger without a file. */
export const IN_MEMORY = ":memory:";

function openDatabase(path: string): DatabaseSync {
  try {
    if (path !== IN_MEMORY) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    if (path !== IN_MEMORY) chmodSync(path, 0o600);
    database.exec("pragma journal_mode = wal; pragma synchronous = normal");
    database.exec(SCHEMA);
    return database;
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new CortexError("ledger_unusable", `the usage ledger ${path} cannot be opened: ${why}`, {
      cause: thrown,
    });
  }
}

const usageRow = (row: Record<string, unknown>): UsageRow => ({
  hourMs: Number(row["hour_ms"]),
  keyId: String(row["key_id"]),
  modelId: String(row["model_id"]),
  requests: Number(row["requests"]),
  cut: Number(row["cut"]),
  failed: Number(row["failed"]),
  promptTokens: Number(row["prompt"]),
  completionTokens: Number(row["completion"]),
  cachedTokens: Number(row["cached"]),
  reasoningTokens: Number(row["reasoning"]),
});
