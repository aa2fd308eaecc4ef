/**
 * Maps that are never changed: a new one with one entry more or less, at a cost that does not grow with their size. To copy a
 * Map costs as much as it has entries, which a gateway of a thousand copies would pay several times for each request.
 *
 * Small ones are two lists, which are copied faster than a Map. Larger ones are cut by a hash of the key into parts of about
 * eight entries, of which one is copied; the order of entries is then by part.
 */
class PartedMap<Value> implements ReadonlyMap<string, Value> {
  readonly size: number;
  readonly #parts: readonly (ReadonlyMap<string, Value> | undefined)[];

  private constructor(parts: readonly (ReadonlyMap<string, Value> | undefined)[], size: number) {
    this.#parts = parts;
    this.size = size;
  }

  /** With room for twice as many. */
  static of<Value>(entries: ReadonlyMap<string, Value>): PartedMap<Value> {
    const count = 2 ** Math.ceil(Math.log2(Math.max(1, entries.size / (PART_SIZE / 2))));
    const parts = Array.from({ length: count }, (): Map<string, Value> | undefined => undefined);
    for (const [key, value] of entries) {
      const at = hashOf(key) & (count - 1);
      (parts[at] ??= new Map()).set(key, value);
    }
    return new PartedMap(parts, entries.size);
  }

  with(key: string, value: Value): PartedMap<Value> {
    const { at, part } = this.#partOf(key);
    const next = new Map(part).set(key, value);
    const grown = new PartedMap(this.#parts.with(at, next), this.size + next.size - (part?.size ?? 0));
    return grown.size > this.#parts.length * PART_SIZE ? PartedMap.of(grown) : grown;
  }

  without(key: string): PartedMap<Value> {
    const { at, part } = this.#partOf(key);
    if (part?.has(key) !== true) return this;
    const next = new Map(part);
    next.delete(key);
    return new PartedMap(this.#parts.with(at, next), this.size - 1);
  }

  #partOf(key: string) {
    const at = hashOf(key) & (this.#parts.length - 1);
    return { at, part: this.#parts[at] };
  }

  get(key: string): Value | undefined {
    return this.#partOf(key).part?.get(key);
  }

  has(key: string): boolean {
    return this.#partOf(key).part?.has(key) === true;
  }

  forEach(visit: (value: Value, key: string, map: ReadonlyMap<string, Value>) => void): void {
    for (const [key, value] of this) visit(value, key, this);
  }

  *entries(): MapIterator<[string, Value]> {
    for (const part of this.#parts) if (part !== undefined) yield* part;
    return undefined;
  }

  *keys(): MapIterator<string> {
    for (const part of this.#parts) if (part !== undefined) yield* part.keys();
    return undefined;
  }

  *values(): MapIterator<Value> {
    for (const part of this.#parts) if (part !== undefined) yield* part.values();
    return undefined;
  }

  [Symbol.iterator](): MapIterator<[string, Value]> {
    return this.entries();
  }
}

/** So few entries that a key is found sooner by looking at each. */
class ListedMap<Value> implements ReadonlyMap<string, Value> {
  readonly #keys: readonly string[];
  readonly #values: readonly Value[];

  constructor(keys: readonly string[], values: readonly Value[]) {
    this.#keys = keys;
    this.#values = values;
  }

  get size(): number {
    return this.#keys.length;
  }

  with(key: string, value: Value): ListedMap<Value> {
    const at = this.#keys.indexOf(key);
    if (at < 0) return new ListedMap([...this.#keys, key], [...this.#values, value]);
    const values = this.#values.slice();
    values[at] = value;
    return new ListedMap(this.#keys, values);
  }

  without(key: string): ListedMap<Value> {
    const at = this.#keys.indexOf(key);
    return at < 0 ? this : new ListedMap(this.#keys.toSpliced(at, 1), this.#values.toSpliced(at, 1));
  }

  get(key: string): Value | undefined {
    const at = this.#keys.indexOf(key);
    return at < 0 ? undefined : this.#values[at];
  }

  has(key: string): boolean {
    return this.#keys.includes(key);
  }

  forEach(visit: (value: Value, key: string, map: ReadonlyMap<string, Value>) => void): void {
    for (const [key, value] of this) visit(value, key, this);
  }

  *entries(): MapIterator<[string, Value]> {
    // What is at the same place belongs together, whatever the values may be.
    for (const [at, key] of this.#keys.entries()) yield [key, this.#values[at] as Value];
    return undefined;
  }

  *keys(): MapIterator<string> {
    yield* this.#keys;
    return undefined;
  }

  *values(): MapIterator<Value> {
    yield* this.#values;
    return undefined;
  }

  [Symbol.iterator](): MapIterator<[string, Value]> {
    return this.entries();
  }
}

/** Entries of a part, about; twice as many are not worth cutting. */
const PART_SIZE = 8;

/** FNV-1a. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at += 1) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  return hash ^ (hash >>> 15);
}

/** The map with this entry; the one that was given stays as it is. */
export function withEntry<Value>(
  map: ReadonlyMap<string, Value>,
  key: string,
  value: Value,
): ReadonlyMap<string, Value> {
  const own = ownMap(map);
  const isFull = own instanceof ListedMap && own.size >= 2 * PART_SIZE && !own.has(key);
  return (isFull ? PartedMap.of(own) : own).with(key, value);
}

/** The map without this key, itself where it has it not. */
export function withoutEntry<Value>(
  map: ReadonlyMap<string, Value>,
  key: string,
): ReadonlyMap<string, Value> {
  return map.has(key) ? ownMap(map).without(key) : map;
}

function ownMap<Value>(map: ReadonlyMap<string, Value>): ListedMap<Value> | PartedMap<Value> {
  if (map instanceof ListedMap) return map as ListedMap<Value>;
  if (map instanceof PartedMap) return map as PartedMap<Value>;
  return map.size <= 2 * PART_SIZE ? new ListedMap([...map.keys()], [...map.values()]) : PartedMap.of(map);
}

/** As it can be sent to another process. */
export const plainMap = <Value>(map: ReadonlyMap<string, Value>): ReadonlyMap<string, Value> =>
  map instanceof Map ? map : new Map(map);
