/** Bounds that only say "an integer that a double can hold" are noise in an editor's hints. */
export function withoutSafeIntegers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSafeIntegers);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => typeof inner !== "number" || Math.abs(inner) !== Number.MAX_SAFE_INTEGER)
      .map(([key, inner]) => [key, withoutSafeIntegers(inner)]),
  );
}
