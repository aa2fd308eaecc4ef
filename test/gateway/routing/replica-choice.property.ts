import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  chooseReplica,
  LOAD_FACTOR,
  loadBounds,
  type ReplicaOffer,
} from "../../../src/gateway/routing/replica-choice.ts";

const speed = fc.constantFrom(1, 3, 10, 40);
const load = fc.nat({ max: 60 });
const offers = fc
  .uniqueArray(fc.constantFrom("a", "b", "c", "d", "e", "f", "g"), { minLength: 1, maxLength: 7 })
  .chain((names) =>
    fc.tuple(...names.map((neuron) => fc.record({ neuron: fc.constant(neuron), load, speed }))),
  );
const affinity = fc.string({ maxLength: 12 });

const idle = (...neurons: readonly string[]): ReplicaOffer[] =>
  neurons.map((neuron) => ({ neuron, load: 0, speed: 1 }));
const homeOf = (key: string, replicas: readonly ReplicaOffer[]) => chooseReplica(replicas, key)?.neuron;
const KEYS = Array.from({ length: 2000 }, (_, at) => `conversation ${at}`);

describe("a conversation", () => {
  test("goes nowhere where more than its factor of a share is under way already", () => {
    fc.assert(
      fc.property(offers, affinity, (replicas, key) => {
        const chosen = chooseReplica(replicas, key);
        const total = replicas.reduce((sum, replica) => sum + replica.load, 1);
        const speeds = replicas.reduce((sum, replica) => sum + replica.speed, 0);
        const share = (total * (chosen?.speed ?? 0)) / speeds;
        // A whole request is the least that can be given; one copy has nothing to choose.
        const bound = Math.max(1, Math.ceil(LOAD_FACTOR * share));
        expect(replicas.length === 1 || (chosen?.load ?? Infinity) + 1 <= bound).toBe(true);
      }),
    );
  });

  test("always has somewhere to go: the bounds have room for one more than there is", () => {
    fc.assert(
      fc.property(offers, (replicas) => {
        const bounds = [...loadBounds(replicas).values()].reduce((sum, bound) => sum + bound, 0);
        expect(bounds).toBeGreaterThan(replicas.reduce((sum, replica) => sum + replica.load, 0));
      }),
    );
  });

  test("is at home at the same copy for every gateway, in whatever order it knows them", () => {
    fc.assert(
      fc.property(offers, affinity, fc.nat(), (replicas, key, turn) => {
        const at = turn % replicas.length;
        const otherOrder = [...replicas.slice(at), ...replicas.slice(0, at)];
        expect(homeOf(key, otherOrder)).toBe(homeOf(key, replicas));
      }),
    );
  });

  test("stays when a copy comes or goes, but for those that this one takes or had", () => {
    const few = idle("a", "b", "c");
    const more = idle("a", "b", "c", "d");
    const moved = KEYS.filter((key) => homeOf(key, few) !== homeOf(key, more));
    expect(new Set(moved.map((key) => homeOf(key, more)))).toEqual(new Set(["d"]));
    expect(moved.length / KEYS.length).toBeGreaterThan(0.2);
    expect(moved.length / KEYS.length).toBeLessThan(0.3);
  });

  test("is at home at a fast copy as much more often as that is faster", () => {
    const replicas = [
      { neuron: "fast", load: 0, speed: 30 },
      { neuron: "slow", load: 0, speed: 10 },
    ];
    const atFast = KEYS.filter((key) => homeOf(key, replicas) === "fast").length;
    expect(atFast / KEYS.length).toBeGreaterThan(0.7);
    expect(atFast / KEYS.length).toBeLessThan(0.8);
  });
});

/** Answers that each copy has given, while so many requests are always under way, over some time. */
function answersOf(speeds: readonly number[], underWay: number): number[] {
  const copies = speeds.map((copySpeed, at) => ({
    neuron: `n${at}`,
    speed: copySpeed,
    load: 0,
    work: 0,
    done: 0,
  }));
  const enter = () => {
    const chosen = chooseReplica(copies, null);
    if (chosen !== undefined) chosen.load += 1;
  };
  for (let i = 0; i < underWay; i += 1) enter();
  for (let step = 0; step < 4000; step += 1) {
    for (const copy of copies) {
      if (copy.load > 0) copy.work += copy.speed / 100;
      while (copy.work >= 1 && copy.load > 0) {
        copy.work -= 1;
        copy.load -= 1;
        copy.done += 1;
        enter();
      }
    }
  }
  return copies.map(({ done }) => done);
}

test("without a conversation each copy gets as much as it is fast", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 2, maxLength: 4 }),
      fc.integer({ min: 1, max: 3 }),
      (speeds, depth) => {
        const sum = speeds.reduce((total, copySpeed) => total + copySpeed, 0);
        // Enough that even the slowest has something of its own to do.
        const underWay = Math.ceil((depth * 2 * sum) / Math.min(...speeds));
        const done = answersOf(speeds, underWay);
        const all = done.reduce((total, count) => total + count, 0);
        for (const [at, count] of done.entries()) {
          const share = (speeds[at] ?? 0) / sum;
          expect(Math.abs(count / all - share)).toBeLessThan(0.05);
        }
      },
    ),
    { numRuns: 100 },
  );
});

test("a copy that is idle and slow is left alone as long as a fast one is sooner done with two", () => {
  const replicas = [
    { neuron: "slow", load: 0, speed: 1 },
    { neuron: "fast", load: 8, speed: 10 },
  ];
  expect(chooseReplica(replicas, null)?.neuron).toBe("fast");
  expect(
    chooseReplica(
      [
        { neuron: "slow", load: 0, speed: 1 },
        { neuron: "fast", load: 10, speed: 10 },
      ],
      null,
    )?.neuron,
  ).toBe("slow");
});
