import { configureGlobal } from "fast-check";

// A change is judged by the same cases every time; the search for new ones is `npm run fuzz`, which draws a seed and
// runs longer. A failure prints its seed: CORTEX_TEST_SEED=<seed> repeats it, with `npm run fuzz` where that found it.
const wanted = process.env["CORTEX_TEST_SEED"] ?? "20261123";
if (wanted !== "random") configureGlobal({ seed: Number(wanted) });
