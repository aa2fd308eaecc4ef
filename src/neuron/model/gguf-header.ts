import type { ModelShape } from "./estimate-footprint.ts";

/** Value types of GGUF metadata, as numbered in the file. */
const STRING_TYPE = 8;
const ARRAY_TYPE = 9;
const FIXED_SIZES: Readonly<Record<number, number>> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};

const MAGIC = "GGUF";
const MAGIC_BYTES = new TextEncoder().encode(MAGIC);
const MAX_ENTRIES = 4096;
const MAX_KEPT_ARRAY = 1024;

export const hasGgufMagic = (prefix: Uint8Array): boolean =>
  MAGIC_BYTES.every((byte, at) => prefix[at] === byte);

/**
 * The shape of a model from the first bytes of its file. Files put these few numbers before the long vocabulary,
 * so a prefix of some dozens of KiB is enough; whatever the prefix cuts off is simply not known.
 * Returns null when the numbers that an estimate needs are not there.
 */
export function readModelShape(prefix: Uint8Array): ModelShape | null {
  if (!hasGgufMagic(prefix)) return null;
  const metadata = readMetadata(prefix);
  const architecture = metadata.get("general.architecture");
  if (typeof architecture !== "string") return null;
  const figure = (name: string): number | undefined => {
    const value = metadata.get(`${architecture}.${name}`);
    return typeof value === "number" && value > 0 ? value : undefined;
  };
  const layers = figure("block_count");
  const embedding = figure("embedding_length");
  const heads = figure("attention.head_count");
  const trainedContext = figure("context_length");
  if (layers === undefined || embedding === undefined || heads === undefined || trainedContext === undefined)
    return null;
  const headLength = embedding / heads;
  return {
    layers,
    kvHeads: figure("attention.head_count_kv") ?? heads,
    keyLength: figure("attention.key_length") ?? headLength,
    valueLength: figure("attention.value_length") ?? headLength,
    trainedContext,
  };
}

type MetadataValue = string | number;

/** Stops, without a complaint, at the first entry that the prefix does not hold whole. */
function readMetadata(prefix: Uint8Array): ReadonlyMap<string, MetadataValue> {
  const reader = new PrefixReader(prefix);
  const metadata = new Map<string, MetadataValue>();
  reader.skip(MAGIC.length + 4 + 8);
  const declared = reader.unsigned64();
  const entries = Math.min(declared ?? 0, MAX_ENTRIES);
  for (let entry = 0; entry < entries; entry += 1) {
    const key = reader.text();
    const type = reader.unsigned32();
    if (key === null || type === null) break;
    const value = reader.value(type);
    if (value === null) break;
    if (value !== undefined) metadata.set(key, value);
  }
  return metadata;
}

/** Reads little-endian values; `null` means "past the end", `undefined` "read and of no interest". */
class PrefixReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  skip(length: number): boolean {
    if (length < 0 || this.#at + length > this.#bytes.length) {
      this.#at = this.#bytes.length;
      return false;
    }
    this.#at += length;
    return true;
  }

  unsigned32(): number | null {
    const at = this.#at;
    return this.skip(4) ? this.#view.getUint32(at, true) : null;
  }

  unsigned64(): number | null {
    const at = this.#at;
    return this.skip(8) ? Number(this.#view.getBigUint64(at, true)) : null;
  }

  text(): string | null {
    const length = this.unsigned64();
    if (length === null) return null;
    const at = this.#at;
    return this.skip(length) ? new TextDecoder().decode(this.#bytes.subarray(at, at + length)) : null;
  }

  value(type: number): MetadataValue | undefined | null {
    if (type === STRING_TYPE) return this.text();
    if (type === ARRAY_TYPE) return this.#array();
    return this.#fixed(type);
  }

  #fixed(type: number): number | undefined | null {
    const size = FIXED_SIZES[type];
    const at = this.#at;
    if (size === undefined || !this.skip(size)) return null;
    switch (type) {
      case 2:
        return this.#view.getUint16(at, true);
      case 4:
        return this.#view.getUint32(at, true);
      case 5:
        return this.#view.getInt32(at, true);
      case 10:
        return Number(this.#view.getBigUint64(at, true));
      case 11:
        return Number(this.#view.getBigInt64(at, true));
      default:
        return undefined;
    }
  }

  /** Some architectures give a figure per layer: the largest one bounds the estimate. Other arrays are skipped. */
  #array(): number | undefined | null {
    const elementType = this.unsigned32();
    const count = this.unsigned64();
    if (elementType === null || count === null) return null;
    const size = FIXED_SIZES[elementType];
    if (size !== undefined && count > MAX_KEPT_ARRAY) return this.skip(size * count) ? undefined : null;
    let largest: number | undefined;
    for (let element = 0; element < count; element += 1) {
      const value = this.value(elementType);
      if (value === null) return null;
      if (typeof value === "number") largest = Math.max(largest ?? value, value);
    }
    return largest;
  }
}
