import { boundYoungGeneration, youngGenerationBytes } from "../../src/platform/young-generation.ts";
import { MIB_BYTES } from "../../src/core/quantities.ts";
import { ManualClock } from "./manual-clock.ts";

/*
 * A process of its own, since how a heap grows is one setting for all of a process: makes objects of which many survive,
 * with a quarter of a second after each MiB, and tells how much room the young ones had at most.
 * `node surviving-objects.ts MOST_MIB`
 */

const ROUNDS = 60;
const PER_ROUND = 25_000;
const ROUNDS_KEPT = 4;

const clock = new ManualClock();
const bound = boundYoungGeneration(Number(process.argv[2]), clock);
const kept: object[][] = [];
let most = 0;

async function makeMany(): Promise<void> {
  for (let round = 0; round < ROUNDS; round += 1) {
    kept.push(Array.from({ length: PER_ROUND }, (_, at) => ({ at })));
    if (kept.length > ROUNDS_KEPT) kept.shift();
    await clock.advance(250);
    most = Math.max(most, youngGenerationBytes());
  }
}

await makeMany();
bound.close();
console.log(JSON.stringify({ mostMib: most / MIB_BYTES }));
