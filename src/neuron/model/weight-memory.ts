import type { TensorInfo } from "./gguf-head.ts";
import { tensorType } from "./tensor-types.ts";

/**
 * How llama.cpp lays weights out for a processor, beside the file that it maps. A weight that is packed for the
 * processor's matrix instructions is a copy: the mapped file counts too, as far as it reaches.
 */
export type CpuPacking = "none" | "avx2" | "avx512" | "amx" | "neon";

/** Where the weights of a model go. */
export type WeightPlace = { readonly kind: "gpu" } | { readonly kind: "cpu"; readonly packing: CpuPacking };

/** One file of a model: parts are mapped each on their own. */
export type FilePart = readonly TensorInfo[];

/** Elements of one row that a packing handles at once, by type, and what it adds to each of a row's blocks. */
interface PackedType {
  readonly rowsMultiple: number;
  readonly elementsMultiple: number;
  readonly extraBytesPerBlock: number;
}

const packed = (rowsMultiple: number, elementsMultiple: number, extraBytesPerBlock = 0): PackedType => ({
  rowsMultiple,
  elementsMultiple,
  extraBytesPerBlock,
});

const AVX2 = { Q4_0: packed(8, 32), Q4_K: packed(8, 256), IQ4_NL: packed(8, 32), MXFP4: packed(8, 32) };
/** ggml-cpu's `ggml_repack_get_optimal_repack_type` and its AMX buffer type. */
const PACKED: Readonly<Record<CpuPacking, Readonly<Record<string, PackedType>>>> = {
  none: {},
  avx2: AVX2,
  avx512: { ...AVX2, Q2_K: packed(8, 256) },
  amx: {
    Q4_0: packed(32, 64),
    Q4_1: packed(32, 64),
    Q8_0: packed(32, 64, 4),
    Q4_K: packed(32, 256, 4),
    Q5_K: packed(32, 256, 4),
    Q6_K: packed(32, 256),
    IQ4_XS: packed(32, 256, 2),
    F16: packed(32, 16),
  },
  neon: {
    Q4_0: packed(4, 32),
    Q8_0: packed(4, 32),
    IQ4_NL: packed(4, 32),
    MXFP4: packed(4, 32),
    Q4_K: packed(8, 256),
    Q5_K: packed(8, 256),
    Q6_K: packed(8, 256),
  },
};

/** Read row by row, never multiplied whole: stays in main memory even when the rest is on a GPU. */
const INPUT_TENSORS = new Set(["token_embd.weight", "per_layer_token_embd.weight"]);
const EMBEDDING = "token_embd.weight";
const OUTPUT = "output.weight";

/** Bytes of the weights in their place; null where a type is not known. */
export function weightBytes(parts: readonly FilePart[], place: WeightPlace): number | null {
  const all = parts.flat();
  if (all.some((tensor) => tensorType(tensor.type) === undefined)) return null;
  // A model without an output matrix uses its embeddings again, as a second tensor.
  const embedding = all.find(({ name }) => name === EMBEDDING);
  const again = embedding !== undefined && !all.some(({ name }) => name === OUTPUT) ? [embedding] : [];
  if (place.kind === "gpu") {
    const onDevice = all.filter(({ name }) => !INPUT_TENSORS.has(name));
    return sum([...onDevice, ...again].map(bytesOf));
  }
  const { packing } = place;
  const packedBytes = sum(
    [...all.filter(({ name }) => !INPUT_TENSORS.has(name)), ...again].map((tensor) =>
      packedBytesOf(tensor, packing),
    ),
  );
  return packedBytes + sum(parts.map((part) => mappedBytes(part, packing)));
}

const sum = (figures: readonly number[]): number => figures.reduce((total, figure) => total + figure, 0);

const elementsOf = ({ dimensions }: TensorInfo): number =>
  dimensions.reduce((product, length) => product * length, 1);

function bytesOf(tensor: TensorInfo): number {
  const type = tensorType(tensor.type);
  return type === undefined ? 0 : (elementsOf(tensor) / type.blockElements) * type.blockBytes;
}

/** 0 for a tensor that stays as it is in the file. */
function packedBytesOf(tensor: TensorInfo, packing: CpuPacking): number {
  const type = tensorType(tensor.type);
  const rule = type === undefined ? undefined : PACKED[packing][type.name];
  const [rowElements = 1, rows = 1, experts = 1] = tensor.dimensions;
  if (type === undefined || rule === undefined || tensor.dimensions.length < 2) return 0;
  if (rows % rule.rowsMultiple !== 0 || rowElements % rule.elementsMultiple !== 0) return 0;
  // Matrices of experts are multiplied by another operation, which AMX does not have.
  if (packing === "amx" && experts > 1) return 0;
  return bytesOf(tensor) + (elementsOf(tensor) / type.blockElements) * rule.extraBytesPerBlock;
}

/** From the first to the last tensor that is used where it lies in the file: all that lies between is mapped too. */
function mappedBytes(part: FilePart, packing: CpuPacking): number {
  const inPlace = part.filter(
    (tensor) => INPUT_TENSORS.has(tensor.name) || packedBytesOf(tensor, packing) === 0,
  );
  if (inPlace.length === 0) return 0;
  const first = Math.min(...inPlace.map(({ offset }) => offset));
  return Math.max(...inPlace.map((tensor) => tensor.offset + bytesOf(tensor))) - first;
}
