import fc from "fast-check";
import { expect, test } from "vitest";
import {
  afterAnswer,
  afterDeath,
  NO_SUSPECTS,
  standingOf,
  type Suspects,
} from "../../../src/protocol/openai/suspects.ts";

// A world in which one request may end its worker whenever it runs. Requests come in any mixture and are sent again
// and again; suspects are run one at a time, as the neuron does it.

const name = fc.integer({ min: 0, max: 9 }).map(String);
const world = fc.record({
  culprit: fc.option(name),
  /** What is in flight at once, turn by turn. */
  turns: fc.array(fc.uniqueArray(name, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 20 }),
  ownDoing: fc.boolean(),
});

/** Those that run side by side: not the condemned, and one suspect only. */
function admitted(suspects: Suspects, names: readonly string[], atMs: number): readonly string[] {
  let oneSuspect = false;
  return names.filter((name) => {
    const { kind } = standingOf(suspects, name, atMs);
    if (kind !== "suspect") return kind === "unsuspected";
    const first = !oneSuspect;
    oneSuspect = true;
    return first;
  });
}

test("a bystander is never condemned, and a culprit ends two workers at most", () => {
  fc.assert(
    fc.property(world, ({ culprit, turns, ownDoing }) => {
      let suspects = NO_SUSPECTS;
      let deaths = 0;
      for (const [atMs, names] of turns.entries()) {
        const running = admitted(suspects, names, atMs);
        if (culprit !== null && running.includes(culprit)) {
          deaths += 1;
          const inFlight = running.map((key) => ({ key, deathsElsewhere: 0 }));
          suspects = afterDeath(suspects, { inFlight, ownDoing, atMs });
        } else for (const key of running) suspects = afterAnswer(suspects, key);
        const condemned = names.filter((key) => standingOf(suspects, key, atMs).kind === "condemned");
        expect(condemned.filter((key) => key !== culprit)).toEqual([]);
      }
      expect(deaths).toBeLessThanOrEqual(2);
    }),
  );
});

test("what a chance has condemned is tried again after an hour", () => {
  const suspects = afterDeath(NO_SUSPECTS, {
    inFlight: [{ key: "a", deathsElsewhere: 0 }],
    ownDoing: true,
    atMs: 0,
  });
  expect(standingOf(suspects, "a", 3_599_000)).toEqual({ kind: "condemned", forMs: 1000 });
  expect(standingOf(suspects, "a", 3_600_000)).toEqual({ kind: "unsuspected" });
});

test("who was killed by somebody else's signal is a suspect, though alone", () => {
  const death = { inFlight: [{ key: "a", deathsElsewhere: 0 }], ownDoing: false, atMs: 0 };
  const once = afterDeath(NO_SUSPECTS, death);
  expect(standingOf(once, "a", 0)).toEqual({ kind: "suspect", deaths: 1 });
  expect(standingOf(afterDeath(once, death), "a", 0).kind).toBe("condemned");
  const elsewhere = { ...death, inFlight: [{ key: "a", deathsElsewhere: 1 }] };
  expect(standingOf(afterDeath(NO_SUSPECTS, elsewhere), "a", 0).kind).toBe("condemned");
});
