import { describe, expect, test } from "vitest";
import type { Assignment, Placement } from "../../../../src/controller/place/board/placement.ts";
import { placeModels } from "../../../../src/controller/place/place-models.ts";
import {
  afterPlacement,
  generatedFleet,
  placementWorld,
  type FleetSketch,
} from "../../../support/fleet/fleet-generator.ts";

/** Without what is told of copies that have no place. */
const placed = (sketch: FleetSketch): Placement => placeModels(placementWorld(sketch, { explain: false }));

/** Full enough that copies stay, move, and give way; with a model on demand to be spared. */
function crowded(seed: number): FleetSketch {
  const sketch = generatedFleet({ neurons: 6, models: 30, load: 0.9, seed });
  const { neurons } = afterPlacement(sketch, placed(sketch));
  return {
    neurons: neurons.map((neuron, number) => (number === 0 ? { ...neuron, drain: true } : neuron)),
    models: [...sketch.models, { id: "asked", mib: 6000, replicas: 0 }],
  };
}

const whys = (placement: Placement, assignments: readonly Assignment[]): ReadonlyMap<string, string> =>
  new Map(
    assignments.map((copy) => [`${copy.modelId}/${copy.ordinal}`, JSON.stringify(placement.explain(copy))]),
  );

describe("an assignment", () => {
  test("is plain data: it comes through a clone and through JSON as it was", () => {
    const { assignments } = placed(crowded(1));
    expect(assignments.length).toBeGreaterThan(20);
    expect(structuredClone(assignments)).toEqual(assignments);
    expect(JSON.parse(JSON.stringify(assignments))).toEqual(assignments);
  });

  test("is explained by what it says, whoever has taken it through JSON meanwhile", () => {
    const placement = placed(crowded(2));
    const read = JSON.parse(JSON.stringify(placement.assignments)) as Assignment[];
    expect(whys(placement, read)).toEqual(whys(placement, placement.assignments));
  });
});

describe("reasons", () => {
  test(
    "are the same in whatever order they are read, and when they are read again",
    { timeout: 60_000 },
    () => {
      let compared = 0;
      for (let seed = 1; seed <= 5; seed += 1) {
        const sketch = crowded(seed);
        const placement = placed(sketch);
        const first = whys(placement, placement.assignments);
        expect(whys(placement, placement.assignments)).toEqual(first);
        const other = placed(sketch);
        const backwards = whys(other, other.assignments.toReversed());
        expect(new Map([...backwards].toReversed()), `seed ${seed}`).toEqual(first);
        compared += [...first.values()].filter((why) => !why.includes('"stays"')).length;
      }
      expect(compared).toBeGreaterThan(10);
    },
  );

  test("are not made up for a copy that the placement has elsewhere, or nowhere", () => {
    const placement = placed({
      neurons: [{ name: "a", devices: [8000] }],
      models: [{ id: "x", mib: 1000, replicas: 1 }],
    });
    const [copy] = placement.assignments as [Assignment];
    for (const wrong of [{ neuron: "b" }, { ordinal: 1 }, { modelId: "y" }])
      expect(() => placement.explain({ ...copy, ...wrong })).toThrow(/is not placed on/);
  });
});
