/** Makes a switch over a union exhaustive at compile time; throws if data from outside got past its schema. */
export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
