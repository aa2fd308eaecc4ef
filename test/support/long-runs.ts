/**
 * How many cases a law that costs much is tried on: few where every change waits for it, many in `npm run fuzz`. Whoever
 * repeats the seed of a failure needs the count too, since the case that failed may be beyond the few.
 */
export const runsOf = ({ ci, fuzz }: { readonly ci: number; readonly fuzz: number }): number =>
  process.env["CORTEX_TEST_RUNS"] === "many" ? fuzz : ci;
