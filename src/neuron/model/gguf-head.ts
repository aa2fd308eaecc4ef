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
const MAX_TENSORS = 65_536;
const MAX_DIMENSIONS = 4;
/** Longer arrays are vocabularies; their length is all that is kept. */
const MAX_KEPT_ARRAY = 1024;

export const hasGgufMagic = (prefix: Uint8Array): boolean =>
  MAGIC_BYTES.every((byte, at) => prefix[at] === byte);

/** Numbers and texts as they are; of arrays the numbers, and nothing but the fact where they are not figures. */
export type MetadataValue = string | number | readonly number[];

/** A tensor as the file lists it. */
export interface TensorInfo {
  readonly name: string;
  /** Fastest-moving dimension first. */
  readonly dimensions: readonly number[];
  /** As numbered by ggml. */
  readonly type: number;
  /** From the beginning of the tensor data. */
  readonly offset: number;
}

export interface GgufHead {
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  /** Null when the prefix ends before the list does. */
  readonly tensors: readonly TensorInfo[] | null;
}

/**
 * What the first bytes of a file tell. Files put the few numbers of a model before the long vocabulary and the list of
 * tensors behind it, so some dozens of KiB tell the one and some MiB the other; what the prefix cuts off is not known.
 */
export function readGgufHead(prefix: Uint8Array): GgufHead | null {
  if (!hasGgufMagic(prefix)) return null;
  const reader = new PrefixReader(prefix);
  reader.skip(MAGIC.length + 4);
  const tensorCount = reader.unsigned64();
  const entryCount = reader.unsigned64();
  const metadata = new Map<string, MetadataValue>();
  const isWhole = readMetadata(reader, { count: entryCount ?? 0, into: metadata });
  return { metadata, tensors: isWhole ? readTensors(reader, tensorCount ?? 0) : null };
}

/** Stops, without a complaint, at the first entry that the prefix does not hold whole; true when there is none. */
function readMetadata(
  reader: PrefixReader,
  entries: { readonly count: number; readonly into: Map<string, MetadataValue> },
): boolean {
  if (entries.count > MAX_ENTRIES) return false;
  for (let entry = 0; entry < entries.count; entry += 1) {
    const key = reader.text();
    const type = reader.unsigned32();
    if (key === null || type === null) return false;
    const value = reader.value(type);
    if (value === null) return false;
    if (value !== undefined) entries.into.set(key, value);
  }
  return true;
}

function readTensors(reader: PrefixReader, count: number): readonly TensorInfo[] | null {
  if (count > MAX_TENSORS) return null;
  const tensors: TensorInfo[] = [];
  for (let at = 0; at < count; at += 1) {
    const name = reader.text();
    const rank = reader.unsigned32();
    if (name === null || rank === null || rank > MAX_DIMENSIONS) return null;
    const dimensions = Array.from({ length: rank }, () => reader.unsigned64() ?? 0);
    const type = reader.unsigned32();
    const offset = reader.unsigned64();
    if (type === null || offset === null) return null;
    tensors.push({ name, dimensions, type, offset });
  }
  return tensors;
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
      case 7:
        return this.#view.getUint8(at);
      case 10:
        return Number(this.#view.getBigUint64(at, true));
      case 11:
        return Number(this.#view.getBigInt64(at, true));
      default:
        return undefined;
    }
  }

  /** Some architectures give a figure per layer. Texts and long arrays are passed over. */
  #array(): readonly number[] | undefined | null {
    const elementType = this.unsigned32();
    const count = this.unsigned64();
    if (elementType === null || count === null) return null;
    const size = FIXED_SIZES[elementType];
    if (size !== undefined && count > MAX_KEPT_ARRAY) return this.skip(size * count) ? undefined : null;
    if (elementType === STRING_TYPE) return this.#passTexts(count);
    const figures: number[] = [];
    for (let element = 0; element < count; element += 1) {
      const value = this.value(elementType);
      if (value === null) return null;
      if (typeof value === "number") figures.push(value);
    }
    return figures.length === count ? figures : undefined;
  }

  #passTexts(count: number): undefined | null {
    for (let element = 0; element < count; element += 1) {
      const length = this.unsigned64();
      if (length === null || !this.skip(length)) return null;
    }
    return undefined;
  }
}
