/**
 * Maps that are never changed: a new one with one entry more or less, at a cost that does not grow with their size. To copy a
 * Map costs as much as it has entries, which a gateway of a thousand copies would pay several times for each request.
 *
 * Small ones are plain Maps, copied. Larger ones are cut by a hash of the key into parts of about eight entries, of which
 * one is copied; the order of entries is then by part.
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

/** Entries of a part, about; a plain map of twice as many is not worth cutting. */
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
  if (map instanceof PartedMap) return (map as PartedMap<Value>).with(key, value);
  return map.size < 2 * PART_SIZE ? new Map(map).set(key, value) : PartedMap.of(map).with(key, value);
}

/** The map without this key, itself where it has it not. */
export function withoutEntry<Value>(
  map: ReadonlyMap<string, Value>,
  key: string,
): ReadonlyMap<string, Value> {
  if (!map.has(key)) return map;
  if (map instanceof PartedMap) return (map as PartedMap<Value>).without(key);
  if (map.size >= 2 * PART_SIZE) return PartedMap.of(map).without(key);
  const next = new Map(map);
  next.delete(key);
  return next;
}

/** As it can be sent to another process. */
export const plainMap = <Value>(map: ReadonlyMap<string, Value>): ReadonlyMap<string, Value> =>
  map instanceof Map ? map : new Map(map);
