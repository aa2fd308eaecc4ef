/**
 * Decimal integers of a range as digit patterns, in the notation that GBNF and regular expressions share
 * (`[0-9]{3}`, `"1"` written as `[1]`). A range is cut into blocks in which all digits after a common prefix are
 * free, e.g. 37..512 = 37..39, 40..99, 100..499, 500..509, 510..512.
 */
export function integerRangePatterns(minimum: bigint, maximum: bigint): string[] {
  if (minimum > maximum) return [];
  if (maximum < 0n) return integerRangePatterns(-maximum, -minimum).map((pattern) => `[-]${pattern}`);
  if (minimum < 0n) {
    return [
      ...integerRangePatterns(1n, -minimum).map((pattern) => `[-]${pattern}`),
      ...integerRangePatterns(0n, maximum),
    ];
  }
  const patterns: string[] = [];
  let from = minimum;
  while (from <= maximum) {
    const to = blockEnd(from, maximum);
    patterns.push(blockPattern(from, to));
    from = to + 1n;
  }
  return patterns;
}

/** The largest end such that `from..end` differs in one digit position and is free in all after it. */
function blockEnd(from: bigint, maximum: bigint): bigint {
  let size = 1n;
  // Grow while the block stays aligned and inside the range; below `next` the digit to vary would not be there.
  for (let next = 10n; from >= next && from % next === 0n && from + next - 1n <= maximum; next *= 10n) {
    size = next;
  }
  const digit = (from / size) % 10n;
  let steps = 9n - digit;
  while (steps > 0n && from + (steps + 1n) * size - 1n > maximum) steps -= 1n;
  return from + (steps + 1n) * size - 1n;
}

function blockPattern(from: bigint, to: bigint): string {
  const low = String(from);
  const high = String(to);
  let pattern = "";
  let free = 0;
  for (let index = 0; index < low.length; index += 1) {
    const lowDigit = low.charAt(index);
    const highDigit = high.charAt(index);
    if (lowDigit === "0" && highDigit === "9" && pattern !== "") free += 1;
    else pattern += lowDigit === highDigit ? `[${lowDigit}]` : `[${lowDigit}-${highDigit}]`;
  }
  return free === 0 ? pattern : `${pattern}[0-9]{${free}}`;
}
