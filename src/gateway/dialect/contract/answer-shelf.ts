/** An answer as it is kept, with what it was an answer to. */
export interface KeptAnswer {
  readonly id: string;
  /** The answer that this one goes on from. */
  readonly previousId: string | null;
  /** What was said in this turn: the request's items, then the answer's. */
  readonly items: readonly unknown[];
}

/** The shelf as one client sees it: of others there is nothing. */
export interface AnswerMemory {
  /** All turns up to an answer, in order; null where one of them is not kept any more, or never was. */
  conversation(answerId: string): readonly unknown[] | null;
  /** One item by its own id. */
  item(itemId: string): unknown;
  keep(answer: KeptAnswer): void;
}

export interface ShelfLimits {
  readonly mostBytes: number;
  /** Of one owner: nobody's conversations push out those of all others. */
  readonly mostBytesOfOne: number;
  /** Since an answer was last asked for. */
  readonly ttlMs: number;
}

interface Entry {
  readonly owner: string;
  readonly answer: KeptAnswer;
  readonly bytes: number;
  usedAtMs: number;
}

/**
 * Answers that clients go on from by their id, in memory, within bounds: what was not used for longest goes first.
 * A turn holds only what was said in it, so that a conversation takes as much as it is long.
 */
export class AnswerShelf {
  readonly #limits: ShelfLimits;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  readonly #bytesOf = new Map<string, number>();
  #bytes = 0;

  constructor(limits: ShelfLimits) {
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#bytes;
  }

  memoryOf(owner: string, nowMs: () => number): AnswerMemory {
    return {
      conversation: (answerId) => this.#conversation(owner, answerId, nowMs()),
      item: (itemId) => this.#item(owner, itemId, nowMs()),
      keep: (answer) => {
        this.#keep(owner, answer, nowMs());
      },
    };
  }

  /** All turns up to an answer, in order, or the one that has the item of that id; null where none is kept. */
  turns(owner: string, id: string, nowMs: number): readonly KeptAnswer[] | null {
    const turns = this.#turns(owner, id, nowMs);
    if (turns !== null) return turns.map(({ answer }) => answer);
    const holder = this.#holderOf(owner, id, nowMs);
    return holder === undefined ? null : [holder.answer];
  }

  #conversation(owner: string, answerId: string, nowMs: number): readonly unknown[] | null {
    return this.#turns(owner, answerId, nowMs)?.flatMap(({ answer }) => answer.items) ?? null;
  }

  #turns(owner: string, answerId: string, nowMs: number): readonly Entry[] | null {
    const turns: Entry[] = [];
    let id: string | null = answerId;
    while (id !== null) {
      const entry = this.#found(owner, id, nowMs);
      if (entry === null) return null;
      turns.unshift(entry);
      id = entry.answer.previousId;
    }
    // The oldest turn first: without it the others are worth nothing, so it must not go before them.
    for (const entry of turns.toReversed()) this.#touch(entry, nowMs);
    return turns;
  }

  #found(owner: string, id: string, nowMs: number): Entry | null {
    const entry = this.#entries.get(id);
    if (entry?.owner !== owner) return null;
    if (nowMs - entry.usedAtMs <= this.#limits.ttlMs) return entry;
    this.#remove(entry);
    return null;
  }

  #item(owner: string, itemId: string, nowMs: number): unknown {
    return this.#holderOf(owner, itemId, nowMs)?.answer.items.find((one) => idOf(one) === itemId);
  }

  /** The latest answer that has the item. */
  #holderOf(owner: string, itemId: string, nowMs: number): Entry | undefined {
    const entries = [...this.#entries.values()].filter((entry) => entry.owner === owner).toReversed();
    return entries.find(
      ({ answer }) =>
        answer.items.some((one) => idOf(one) === itemId) && this.#found(owner, answer.id, nowMs) !== null,
    );
  }

  #keep(owner: string, answer: KeptAnswer, nowMs: number): void {
    const bytes = Buffer.byteLength(JSON.stringify(answer.items));
    const { mostBytes, mostBytesOfOne, ttlMs } = this.#limits;
    if (bytes > Math.min(mostBytes, mostBytesOfOne)) return;
    const before = this.#entries.get(answer.id);
    // Ids are made here and come once; one that comes again takes the place of its own only.
    if (before !== undefined && before.owner !== owner) return;
    if (before !== undefined) this.#remove(before);
    const entry = { owner, answer, bytes, usedAtMs: nowMs };
    this.#entries.set(answer.id, entry);
    this.#count(owner, bytes);
    for (const other of this.#entries.values()) {
      const isOld = nowMs - other.usedAtMs > ttlMs;
      const isTooMuch = this.#bytes > mostBytes;
      const isTooMuchOfOne = other.owner === owner && (this.#bytesOf.get(owner) ?? 0) > mostBytesOfOne;
      if (other !== entry && (isOld || isTooMuch || isTooMuchOfOne)) this.#remove(other);
    }
  }

  #touch(entry: Entry, nowMs: number): void {
    entry.usedAtMs = nowMs;
    this.#entries.delete(entry.answer.id);
    this.#entries.set(entry.answer.id, entry);
  }

  #remove({ owner, answer, bytes }: Entry): void {
    if (this.#entries.delete(answer.id)) this.#count(owner, -bytes);
  }

  #count(owner: string, bytes: number): void {
    this.#bytes += bytes;
    const left = (this.#bytesOf.get(owner) ?? 0) + bytes;
    if (left === 0) this.#bytesOf.delete(owner);
    else this.#bytesOf.set(owner, left);
  }
}

const idOf = (item: unknown): unknown =>
  typeof item === "object" && item !== null && "id" in item ? item.id : undefined;
