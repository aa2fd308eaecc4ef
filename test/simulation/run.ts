import { parseArgs } from "node:util";
import fc from "fast-check";
import { randomWorld } from "../controller/random-worlds.ts";
import { changeFleet, killAtEachChange, type CourseFigures } from "./courses.ts";

/**
 * node test/simulation/run.ts --worlds 1000 --seed 1: so many random fleets and changes, then so many with an applier that is
 * killed at each of its changes. The first thing that is not as it should be ends it, with what repeats it.
 */
const { values } = parseArgs({
  options: { worlds: { type: "string", default: "1000" }, seed: { type: "string", default: "1" } },
});
const settings = { numRuns: Number(values.worlds), seed: Number(values.seed) };

const course = fc.nat(1_000_000);
await report("random fleets and changes", async (note) =>
  fc.assert(
    fc.asyncProperty(randomWorld, randomWorld, course, async (world, other, dice) =>
      note(await changeFleet(world, other, dice)),
    ),
    settings,
  ),
);
await report("an applier killed at each change", async (note) =>
  fc.assert(
    fc.asyncProperty(randomWorld, course, async (world, dice) => note(await killAtEachChange(world, dice))),
    settings,
  ),
);

async function report(
  name: string,
  run: (note: (figures: CourseFigures) => void) => Promise<void>,
): Promise<void> {
  const beganMs = performance.now();
  let [changes, requests, kills] = [0, 0, 0];
  await run((figures) => {
    changes += figures.changes;
    requests += figures.requests;
    kills += figures.kills;
  });
  const secs = ((performance.now() - beganMs) / 1000).toFixed(0);
  const killed = kills === 0 ? "" : `, ${kills} kills`;
  process.stdout.write(
    `${name}: ${settings.numRuns} worlds of seed ${settings.seed}, ${changes} changes${killed}, ${requests} requests meanwhile: ` +
      `0 steps other than planned, 0 plans left, 0 devices over capacity, 0 requests cut (${secs} s)\n`,
  );
}
