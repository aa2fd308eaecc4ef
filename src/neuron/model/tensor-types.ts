/** How a ggml tensor type lays its elements out. */
interface TensorType {
  readonly name: string;
  /** Elements that are stored together. */
  readonly blockElements: number;
  readonly blockBytes: number;
}

const plain = (name: string, bytes: number): TensorType => ({ name, blockElements: 1, blockBytes: bytes });
const small = (name: string, bytes: number): TensorType => ({ name, blockElements: 32, blockBytes: bytes });
const large = (name: string, bytes: number): TensorType => ({ name, blockElements: 256, blockBytes: bytes });

/** By ggml's own number, which is what files hold; a number that is not here is a type newer than this table. */
const TENSOR_TYPES: Readonly<Record<number, TensorType>> = {
  0: plain("F32", 4),
  1: plain("F16", 2),
  2: small("Q4_0", 18),
  3: small("Q4_1", 20),
  6: small("Q5_0", 22),
  7: small("Q5_1", 24),
  8: small("Q8_0", 34),
  10: large("Q2_K", 84),
  11: large("Q3_K", 110),
  12: large("Q4_K", 144),
  13: large("Q5_K", 176),
  14: large("Q6_K", 210),
  16: large("IQ2_XXS", 66),
  17: large("IQ2_XS", 74),
  18: large("IQ3_XXS", 98),
  19: large("IQ1_S", 50),
  20: small("IQ4_NL", 18),
  21: large("IQ3_S", 110),
  22: large("IQ2_S", 82),
  23: large("IQ4_XS", 136),
  24: plain("I8", 1),
  25: plain("I16", 2),
  26: plain("I32", 4),
  27: plain("I64", 8),
  28: plain("F64", 8),
  29: large("IQ1_M", 56),
  30: plain("BF16", 2),
  34: large("TQ1_0", 54),
  35: large("TQ2_0", 66),
  39: small("MXFP4", 17),
};

export const tensorType = (type: number): TensorType | undefined => TENSOR_TYPES[type];
