/** How many cases a law that costs much is tried on: few where every change waits for it, many in `npm run fuzz`. */
export const runsOf = ({ ci, fuzz }: { readonly ci: number; readonly fuzz: number }): number =>
  process.env["CORTEX_TEST_SEED"] === "random" ? fuzz : ci;
