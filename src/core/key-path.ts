/** Where a value stands in a document: strings for keys, numbers for elements of a list. */
export type KeyPath = readonly (string | number)[];

/** `models.quantization`: the path as it reads without the numbers of blocks. */
export const namesInPath = (path: KeyPath): string =>
  path.filter((step) => typeof step === "string").join(".");
