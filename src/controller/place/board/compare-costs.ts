/** Compares lists of costs place by place; below 0: the left one is cheaper. What the right one does not name costs 0. */
export function compareCosts(left: readonly number[], right: readonly number[]): number {
  for (const [position, cost] of left.entries()) {
    const difference = cost - (right[position] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
