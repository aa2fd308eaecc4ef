/**
 * The places that requests of one worker have at copies: what the owner has told of all workers, and what this one has
 * done since that the owner had not read yet when it said so. Keys are those of copies.
 */
export class LocalPlaces {
  /** Requests at each copy, all workers'. */
  readonly counts = new Map<string, number>();
  #told: ReadonlyMap<string, number> = new Map();
  #unread: Unread[] = [];
  #now: Unread = nothingYet(0);

  /** A request of this worker took a place by itself, or was given one. */
  taken(key: string): void {
    this.#change(key, 1);
    this.#now.taken.set(key, (this.#now.taken.get(key) ?? 0) + 1);
  }

  freed(key: string): void {
    this.#change(key, -1);
  }

  /** What happened so far leaves in this batch. */
  sent(batch: number): void {
    if (this.#now.change.size === 0) return;
    this.#unread.push({ ...this.#now, batch });
    this.#now = nothingYet(0);
  }

  /** The owner's word: `told` where it has changed, with all that it had read up to this batch. */
  heard(batch: number, told: ReadonlyMap<string, number> | undefined): void {
    const before = this.#unread.length;
    this.#unread = this.#unread.filter((unread) => unread.batch > batch);
    if (told === undefined && this.#unread.length === before) return;
    this.#told = told ?? this.#told;
    this.counts.clear();
    for (const [key, count] of this.#told) this.counts.set(key, count);
    for (const { change } of [...this.#unread, this.#now]) {
      for (const [key, by] of change) this.#add(key, by);
    }
  }

  /** Places that this worker took of which the owner did not know when it spoke last. */
  unknownAt(key: string): number {
    let sum = this.#now.taken.get(key) ?? 0;
    for (const { taken } of this.#unread) sum += taken.get(key) ?? 0;
    return sum;
  }

  #change(key: string, by: number): void {
    this.#now.change.set(key, (this.#now.change.get(key) ?? 0) + by);
    this.#add(key, by);
  }

  #add(key: string, by: number): void {
    const count = Math.max(0, (this.counts.get(key) ?? 0) + by);
    if (count === 0) this.counts.delete(key);
    else this.counts.set(key, count);
  }
}

interface Unread {
  readonly batch: number;
  readonly change: Map<string, number>;
  readonly taken: Map<string, number>;
}

const nothingYet = (batch: number): Unread => ({ batch, change: new Map(), taken: new Map() });

/**
 * Whether a worker may take a place without asking: while all workers together, each of them on its own, could fill no
 * more than half of what is free. Where copies have few places that is never, and the owner gives out each of them; where
 * they have many, nobody waits for its word.
 */
export const mayTake = (at: {
  /** Free places as the worker counts them. */
  readonly free: number;
  /** Of its own that the owner does not know of. */
  readonly unknown: number;
  readonly workers: number;
}): boolean => at.unknown < Math.floor((at.free + at.unknown) / (2 * at.workers));
