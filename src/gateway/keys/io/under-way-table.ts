import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { NO_USAGE } from "../../../protocol/headers/usage-header.ts";
import type { UnderWay } from "../usage-ledger.ts";

/** A process that says nothing for so long is gone, where it cannot be looked for. */
const GONE_AFTER_MS = 10_000;
/** How long is remembered that a request was charged by another process: should its own come back, and end it. */
const REMEMBERED_MS = 86_400_000;

const SCHEMA = `
  create table if not exists under_way (
    meter_id text primary key, owner text not null, key_id text not null, model_id text not null,
    prompt integer not null, completion integer not null, charged_ms integer
  ) strict, without rowid;
  create table if not exists owners (owner text primary key, told_ms integer not null) strict, without rowid;
`;

export interface OwningProcess {
  readonly pid: number;
  readonly startedAtMs: number;
}

const THIS_PROCESS: OwningProcess = {
  pid: process.pid,
  startedAtMs: Math.round(performance.timeOrigin),
};

/** One that its own process does not end. */
export interface Orphan extends UnderWay {
  /** When it was charged, if it was. */
  readonly chargedMs: number | null;
}

/**
 * What the requests under way in each process have cost so far. Who finds rows of a process that is gone charges them;
 * the rows stay for a day, so that a process that only seemed to be gone does not have them charged again.
 */
export class UnderWayTable {
  readonly #owner: string;
  readonly #database: DatabaseSync;
  readonly #note: StatementSync;
  readonly #noteOwner: StatementSync;
  readonly #take: StatementSync;
  /** What this process has told, by id: rows that have not changed are not written again. */
  readonly #told = new Map<string, number>();

  constructor(database: DatabaseSync, owner: OwningProcess = THIS_PROCESS) {
    database.exec(SCHEMA);
    this.#database = database;
    this.#owner = [hostname(), owner.pid, owner.startedAtMs, randomBytes(6).toString("hex")].join(" ");
    this.#note = database.prepare(
      `insert into under_way values (?, ?, ?, ?, ?, ?, null) on conflict do update set
         model_id = excluded.model_id, prompt = excluded.prompt, completion = excluded.completion
       where charged_ms is null`,
    );
    this.#noteOwner = database.prepare("insert or replace into owners values (?, ?)");
    this.#take = database.prepare("delete from under_way where meter_id = ? returning *");
  }

  note(requests: readonly UnderWay[], nowMs: number): void {
    this.#noteOwner.run(this.#owner, nowMs);
    for (const { meterId, keyId, modelId, usage } of requests) {
      const { promptTokens, completionTokens } = usage;
      if (this.#told.get(meterId) === promptTokens + completionTokens) continue;
      this.#told.set(meterId, promptTokens + completionTokens);
      this.#note.run(meterId, this.#owner, keyId, modelId, promptTokens, completionTokens);
    }
  }

  /** Takes out a request of this process that has ended; what was charged for it by somebody else, to be given back. */
  end(meterId: string): Orphan | null {
    if (!this.#told.has(meterId)) return null;
    const row = this.#take.get(meterId);
    const orphan = row === undefined ? null : orphanOf(row);
    return orphan?.chargedMs == null ? null : orphan;
  }

  /** Once their end is written for good. */
  forget(meterIds: readonly string[]): void {
    for (const meterId of meterIds) this.#told.delete(meterId);
  }

  /** Requests of processes that are gone, marked as charged. */
  takeOrphans(nowMs: number): readonly Orphan[] {
    const owners = this.#database.prepare("select owner, told_ms from owners where owner <> ?");
    const gone = owners
      .all(this.#owner)
      .map((row) => ({ owner: String(row["owner"]), toldMs: Number(row["told_ms"]) }))
      .filter(({ owner, toldMs }) => isGone(owner) || toldMs + GONE_AFTER_MS < nowMs);
    const take = this.#database.prepare(
      "update under_way set charged_ms = ? where owner = ? and charged_ms is null returning *",
    );
    const orphans = gone.flatMap(({ owner }) => take.all(nowMs, owner).map(orphanOf));
    for (const { owner } of gone) this.#database.prepare("delete from owners where owner = ?").run(owner);
    this.#database.prepare("delete from under_way where charged_ms < ?").run(nowMs - REMEMBERED_MS);
    return orphans;
  }

  /** This process ends in good order: nothing is under way any more. */
  leave(): void {
    this.#database.prepare("delete from owners where owner = ?").run(this.#owner);
  }
}

/** A process of this machine whose number is free, or has become this one's. Of another machine nothing can be told. */
function isGone(owner: string): boolean {
  const [host, pid, startedAtMs] = owner.split(" ");
  if (host !== hostname()) return false;
  if (Number(pid) === THIS_PROCESS.pid) return Number(startedAtMs) !== THIS_PROCESS.startedAtMs;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (thrown) {
    return thrown instanceof Error && "code" in thrown && thrown.code === "ESRCH";
  }
}

const orphanOf = (row: Record<string, unknown>): Orphan => ({
  meterId: String(row["meter_id"]),
  keyId: String(row["key_id"]),
  modelId: String(row["model_id"]),
  usage: {
    ...NO_USAGE,
    promptTokens: Number(row["prompt"]),
    completionTokens: Number(row["completion"]),
  },
  chargedMs: row["charged_ms"] === null ? null : Number(row["charged_ms"]),
});
