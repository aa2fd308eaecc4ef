/** The format of GGUF files, as far as tests write them. Only integer arithmetic and exactly rounded float operations. */
const ALIGNMENT_BYTES = 32;
const GGUF_VERSION = 3;
const VALUE_TYPE = { uint32: 4, int32: 5, float32: 6, bool: 7, string: 8, array: 9 } as const;
export const TENSOR_TYPE = { f32: 0, f16: 1 } as const;

/** mulberry32: a full-period 32-bit generator; returns values in [0, 1). */
function createPrng(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Values around 0 from a seed, the same on every machine. */
export function createNoise(seed: number): (count: number, scale: number) => Float32Array {
  const random = createPrng(seed);
  return (count, scale) =>
    Float32Array.from(
      { length: count },
      () => (random() + random() + random() + random() - 2) * 1.732 * scale,
    );
}

export interface Tensor {
  readonly name: string;
  /** Fastest-moving dimension first, as GGUF stores it. */
  readonly dimensions: readonly number[];
  readonly values: Float32Array;
  readonly type: keyof typeof TENSOR_TYPE;
}

export type MetadataValue =
  | number
  | string
  | boolean
  | { readonly uint32: number }
  | { readonly strings: readonly string[] }
  | { readonly floats: readonly number[] }
  | { readonly ints: readonly number[] };

/** Growing little-endian byte buffer. */
class ByteWriter {
  #bytes = new Uint8Array(65_536);
  #view = new DataView(this.#bytes.buffer);
  length = 0;

  #reserve(byteCount: number): number {
    const at = this.length;
    this.length += byteCount;
    if (this.length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }

  uint8(value: number): void {
    const at = this.#reserve(1);
    this.#view.setUint8(at, value);
  }
  uint16(value: number): void {
    const at = this.#reserve(2);
    this.#view.setUint16(at, value, true);
  }
  uint32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setUint32(at, value, true);
  }
  uint64(value: number): void {
    const at = this.#reserve(8);
    this.#view.setBigUint64(at, BigInt(value), true);
  }
  float32(value: number): void {
    const at = this.#reserve(4);
    this.#view.setFloat32(at, value, true);
  }
  text(value: string): void {
    const encoded = new TextEncoder().encode(value);
    this.uint64(encoded.length);
    const at = this.#reserve(encoded.length);
    this.#bytes.set(encoded, at);
  }
  align(boundary: number): void {
    this.#reserve((boundary - (this.length % boundary)) % boundary);
  }
  toBytes(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }
}

/** Nearest half-precision bits; the weights are small and normal, so subnormals flush to zero. */
function toHalfBits(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0;
  const sign = (bits >>> 16) & 0x8000;
  const exponent = ((bits >>> 23) & 0xff) - 127 + 15;
  if (exponent <= 0) return sign;
  const rounded = ((exponent << 10) | ((bits >>> 13) & 0x3ff)) + ((bits >>> 12) & 1);
  return sign | Math.min(rounded, 0x7bff);
}

function writeMetadataValue(writer: ByteWriter, value: MetadataValue): void {
  if (typeof value === "string") {
    writer.uint32(VALUE_TYPE.string);
    writer.text(value);
  } else if (typeof value === "boolean") {
    writer.uint32(VALUE_TYPE.bool);
    writer.uint8(value ? 1 : 0);
  } else if (typeof value === "number") {
    writer.uint32(VALUE_TYPE.float32);
    writer.float32(value);
  } else if ("uint32" in value) {
    writer.uint32(VALUE_TYPE.uint32);
    writer.uint32(value.uint32);
  } else if ("strings" in value) {
    writeArrayHeader(writer, VALUE_TYPE.string, value.strings.length);
    for (const item of value.strings) writer.text(item);
  } else if ("floats" in value) {
    writeArrayHeader(writer, VALUE_TYPE.float32, value.floats.length);
    for (const item of value.floats) writer.float32(item);
  } else {
    writeArrayHeader(writer, VALUE_TYPE.int32, value.ints.length);
    for (const item of value.ints) writer.uint32(item);
  }
}

function writeArrayHeader(writer: ByteWriter, itemType: number, length: number): void {
  writer.uint32(VALUE_TYPE.array);
  writer.uint32(itemType);
  writer.uint64(length);
}

const tensorBytes = (tensor: Tensor): number => tensor.values.length * (tensor.type === "f16" ? 2 : 4);
const padded = (byteCount: number): number => Math.ceil(byteCount / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;

export function writeGguf(
  metadata: Readonly<Record<string, MetadataValue>>,
  tensors: readonly Tensor[],
): Uint8Array {
  const entries = Object.entries(metadata);
  const writer = new ByteWriter();
  for (const character of "GGUF") writer.uint8(character.charCodeAt(0));
  writer.uint32(GGUF_VERSION);
  writer.uint64(tensors.length);
  writer.uint64(entries.length);
  for (const [key, value] of entries) {
    writer.text(key);
    writeMetadataValue(writer, value);
  }
  let dataOffset = 0;
  for (const tensor of tensors) {
    writer.text(tensor.name);
    writer.uint32(tensor.dimensions.length);
    for (const dimension of tensor.dimensions) writer.uint64(dimension);
    writer.uint32(TENSOR_TYPE[tensor.type]);
    writer.uint64(dataOffset);
    dataOffset += padded(tensorBytes(tensor));
  }
  writer.align(ALIGNMENT_BYTES);
  for (const tensor of tensors) {
    if (tensor.type === "f16") for (const value of tensor.values) writer.uint16(toHalfBits(value));
    else for (const value of tensor.values) writer.float32(value);
    writer.align(ALIGNMENT_BYTES);
  }
  return writer.toBytes();
}
