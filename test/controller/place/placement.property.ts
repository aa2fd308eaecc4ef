import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareCosts } from "../../../src/controller/place/board/compare-costs.ts";
import { gapOf } from "../../../src/controller/place/prove/gap.ts";
import { searchPlacement } from "../../../src/controller/place/best-placement.ts";
import { placementProblem } from "../../../src/controller/place/board/build-problem.ts";
import { runStrategy, STRATEGIES } from "../../../src/controller/place/search/strategies.ts";
import { TIER, TIERS_PER_CLASS, tiersOf } from "../../../src/controller/place/board/tiers.ts";
import type { Placement } from "../../../src/controller/place/board/placement.ts";
import { placeModels } from "../../../src/controller/place/place-models.ts";
import { once } from "../../support/once.ts";
import { bestByBruteForce } from "../../support/fleet/brute-force-placement.ts";
import {
  afterPlacement,
  generatedFleet,
  placementWorld,
  type FleetSketch,
  type PlacementWorld,
} from "../../support/fleet/fleet-generator.ts";
import { smallFleet } from "../../support/fleet/small-fleets.ts";

const seeds = fc.integer({ min: 1, max: 2 ** 31 });
const small = seeds.map(smallFleet);

/** Fleets of some twenty devices, from half full to over-full. */
const medium = fc
  .record({
    seed: seeds,
    load: fc.constantFrom(0.5, 0.8, 0.95, 1.1),
    neurons: fc.integer({ min: 3, max: 10 }),
  })
  .map(({ seed, load, neurons }) => generatedFleet({ neurons, models: neurons * 6, load, seed }));

const placed = once((sketch: FleetSketch): Placement => placeModels(placementWorld(sketch)));

const bestOnce = once(bestByBruteForce);

/** Lost, without, missing and moved, class by class: what brute force counts. */
function figuresOf(sketch: FleetSketch): number[] {
  const { board } = searchPlacement(placementProblem(placementWorld(sketch)), { prove: true });
  const tiers = tiersOf(board);
  return Array.from({ length: tiers.length / TIERS_PER_CLASS }, (_, rank) =>
    [TIER.lost, TIER.without, TIER.missing, TIER.moved].map(
      (tier) => tiers[rank * TIERS_PER_CLASS + tier] ?? 0,
    ),
  ).flat();
}

const withoutMoves = (figures: readonly number[]): number[] =>
  figures.filter((_, position) => position % 4 !== 3);

/** MiB in use on every device once the placement is carried out; guests do not occur here. */
function usedMib(placement: Placement): ReadonlyMap<string, number> {
  const used = new Map<string, number>();
  for (const { neuron, devices, deviceMib } of placement.assignments) {
    for (const [position, device] of devices.entries()) {
      const key = `${neuron} ${device}`;
      used.set(key, (used.get(key) ?? 0) + (deviceMib[position] ?? 0));
    }
  }
  return used;
}

function expectWithinBudget(sketch: FleetSketch, placement: Placement): void {
  const used = usedMib(placement);
  for (const { name, devices } of sketch.neurons)
    for (const [device, total] of devices.entries())
      expect(used.get(`${name} ${device}`) ?? 0, `${name} ${device}`).toBeLessThanOrEqual(total);
}

const shuffle = <Item>(items: readonly Item[], keys: readonly number[]): Item[] =>
  items
    .map((item, index) => ({ item, key: keys[index % keys.length] ?? 0 }))
    .toSorted((left, right) => left.key - right.key)
    .map(({ item }) => item);

/** All that a placement says, and why. */
const bytesOf = (placement: Placement): string =>
  JSON.stringify([placement, placement.assignments.map(placement.explain)]);

describe("laws of placement", () => {
  test("no device is over its budget", () => {
    let arrivals = 0;
    fc.assert(
      fc.property(fc.oneof(small, medium), (sketch) => {
        const placement = placed(sketch);
        arrivals += placement.arrivals.length;
        expectWithinBudget(sketch, placement);
      }),
      { numRuns: 150 },
    );
    expect(arrivals).toBeGreaterThan(150);
  });

  test("the same inputs give the same bytes, in whatever order they come", () => {
    const keys = fc.array(fc.nat(), { minLength: 5, maxLength: 9 });
    fc.assert(
      fc.property(fc.oneof(small, medium), keys, (sketch, order) => {
        const world = placementWorld(sketch);
        const turned: PlacementWorld = {
          ...world,
          fleet: {
            ...world.fleet,
            neurons: shuffle(world.fleet.neurons, order),
            models: shuffle(world.fleet.models, order),
          },
          observed: { ...world.observed, neurons: shuffle(world.observed.neurons, order) },
          desired: new Map(shuffle([...world.desired], order)),
          copies: shuffle(world.copies, order),
        };
        expect(bytesOf(placeModels(turned))).toBe(bytesOf(placeModels(world)));
      }),
      { numRuns: 100 },
    );
  });

  test("carried out, there is nothing left to do", () => {
    fc.assert(
      fc.property(fc.oneof(small, medium), (sketch) => {
        const again = placed(afterPlacement(sketch, placed(sketch)));
        expect(again.arrivals.map(({ modelId }) => modelId)).toEqual([]);
        expect(again.displaced).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });

  test("a model that is added moves others only for somebody who arrives, and none when it finds no place", () => {
    let moves = 0;
    fc.assert(
      fc.property(small, fc.constantFrom(300, 900, 1500), (sketch, mib) => {
        const settled = afterPlacement(sketch, placed(sketch));
        const unplacedBefore = placed(settled).explanations.length;
        const added = { id: "added", mib, replicas: 1, priority: 200 };
        const placement = placed({ ...settled, models: [...settled.models, added] });
        const arriving = new Set(placement.arrivals.map(({ modelId }) => modelId));
        moves += placement.displaced.length;
        for (const { inFavourOf } of placement.displaced) expect(arriving).toContain(inFavourOf);
        if (unplacedBefore > 0 || arriving.has("added")) return;
        expect(placement.arrivals).toEqual([]);
        expect(placement.displaced).toEqual([]);
      }),
      { numRuns: 300 },
    );
    expect(moves).toBeGreaterThan(0);
  });

  test("a model that fits as things stand moves nobody", () => {
    fc.assert(
      fc.property(small, (sketch) => {
        const settled = afterPlacement(sketch, placed(sketch));
        const roomy = { ...settled, neurons: [...settled.neurons, { name: "spare", devices: [4000] }] };
        const before = placed(roomy);
        if (before.arrivals.length > 0) return;
        const placement = placed({
          ...roomy,
          models: [...roomy.models, { id: "added", mib: 4000, replicas: 1, priority: 300 }],
        });
        expect(placement.arrivals.map(({ modelId, neuron }) => [modelId, neuron])).toEqual([
          ["added", "spare"],
        ]);
        expect(placement.displaced).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  test("removing a neuron never invents capacity", () => {
    fc.assert(
      fc.property(small, fc.nat(), (sketch, choice) => {
        const gone = sketch.neurons[choice % sketch.neurons.length]?.name;
        const models = sketch.models.map((model) => ({ ...model, pins: [], protect: false }));
        const whole = { neurons: sketch.neurons.map(({ name, devices }) => ({ name, devices })), models };
        const rest = { ...whole, neurons: whole.neurons.filter(({ name }) => name !== gone) };
        expect(compareCosts(figuresOf(rest), figuresOf(whole))).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 200 },
    );
  });
});

describe("how good it is", () => {
  test("never worse than brute force on small fleets", () => {
    let equal = 0;
    let hard = 0;
    const runs = 250;
    fc.assert(
      fc.property(small, (sketch) => {
        const best = bestOnce(sketch);
        const found = figuresOf(sketch);
        if (best.some((figure) => figure > 0)) hard += 1;
        if (compareCosts(found, best) === 0) equal += 1;
        expect(compareCosts(found, best), `${found.join()} against ${best.join()}`).toBeLessThanOrEqual(0);
      }),
      { numRuns: runs },
    );
    expect(equal).toBeGreaterThanOrEqual(runs * 0.99);
    expect(hard, "instances in which something has to give").toBeGreaterThan(runs / 4);
  });

  test("the heuristics alone are seldom worse, and what the bound calls optimal is", () => {
    let equal = 0;
    const runs = 200;
    fc.assert(
      fc.property(small, (sketch) => {
        const best = bestOnce(sketch);
        const problem = placementProblem(placementWorld(sketch));
        const costs = STRATEGIES.map((strategy) => {
          const board = runStrategy(problem, strategy);
          const tiers = tiersOf(board);
          const figures = best.map((_, position) => {
            const tier = [TIER.lost, TIER.without, TIER.missing, TIER.moved][position % 4] ?? 0;
            return tiers[Math.floor(position / 4) * TIERS_PER_CLASS + tier] ?? 0;
          });
          const isCalledOptimal = gapOf(board, { prove: true }).kind === "optimal";
          const isWorse = compareCosts(withoutMoves(figures), withoutMoves(best)) > 0;
          expect(isCalledOptimal && isWorse, strategy.name).toBe(false);
          return figures;
        });
        if (costs.some((figures) => compareCosts(figures, best) <= 0)) equal += 1;
      }),
      { numRuns: runs },
    );
    expect(equal).toBeGreaterThanOrEqual(runs * 0.95);
  });

  test("the bound is never below what was placed", () => {
    let bounded = 0;
    fc.assert(
      fc.property(medium, (sketch) => {
        const problem = placementProblem(placementWorld(sketch));
        for (const strategy of STRATEGIES) {
          const gap = gapOf(runStrategy(problem, strategy), { prove: true });
          if (gap.kind === "within") bounded += 1;
          expect(gap.bound ?? 0).toBeGreaterThanOrEqual(gap.placed);
          expect(gap.percent).toBeGreaterThanOrEqual(0);
        }
      }),
      { numRuns: 60 },
    );
    expect(bounded).toBeGreaterThan(20);
  });
});
