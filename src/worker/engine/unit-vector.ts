/** The vector at length 1, so that a dot product is a cosine; a zero vector has no direction and stays. */
export function unitVector(vector: readonly number[]): readonly number[] {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return length === 0 ? vector : vector.map((value) => value / length);
}
