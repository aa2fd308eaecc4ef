/**
 * The first of many values, one for each key, while values change one at a time: a binary heap in which a value that was
 * replaced lies until it comes up. A thousand neurons are asked for their next change twelve thousand times.
 */
export class FirstOfMany<Key, Value> {
  readonly #compare: (left: Value, right: Value) => number;
  readonly #current = new Map<Key, Entry<Key, Value>>();
  readonly #heap: Entry<Key, Value>[] = [];

  constructor(compare: (left: Value, right: Value) => number) {
    this.#compare = compare;
  }

  /** The value of a key from now on; undefined: it has none. */
  set(key: Key, value: Value | undefined): void {
    if (value === undefined) {
      this.#current.delete(key);
      return;
    }
    const entry = { key, value };
    this.#current.set(key, entry);
    this.#rise(entry);
  }

  first(): Value | undefined {
    for (let [top] = this.#heap; top !== undefined; [top] = this.#heap) {
      if (this.#current.get(top.key) === top) return top.value;
      this.#dropTop();
    }
    return undefined;
  }

  #rise(entry: Entry<Key, Value>): void {
    let at = this.#heap.length;
    for (;;) {
      const above = (at - 1) >> 1;
      const parent = this.#heap[above];
      if (at === 0 || parent === undefined || this.#compare(parent.value, entry.value) <= 0) break;
      this.#heap[at] = parent;
      at = above;
    }
    this.#heap[at] = entry;
  }

  #dropTop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = this.#heap[2 * at + 1];
      const right = this.#heap[2 * at + 2];
      if (left === undefined) break;
      const isRight = right !== undefined && this.#compare(right.value, left.value) < 0;
      const least = isRight ? right : left;
      if (this.#compare(last.value, least.value) <= 0) break;
      this.#heap[at] = least;
      at = 2 * at + (isRight ? 2 : 1);
    }
    this.#heap[at] = last;
  }
}

interface Entry<Key, Value> {
  readonly key: Key;
  readonly value: Value;
}
