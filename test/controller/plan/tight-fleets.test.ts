import { describe, expect, test } from "vitest";
import type { PlanDocument } from "../../../src/protocol/plan-document.ts";
import { verifyPlan } from "../../../src/controller/verify/verify-plan.ts";
import { placementWorld, seededRandom, type ModelSketch } from "../../support/fleet/fleet-generator.ts";
import { afterPlan, plan, quickPlan, rowsOf } from "../observed-fleet-builders.ts";

const wide = { replicas: 1, width: 2 } as const;
const DEVICES = [24_576, 24_576];

/** What the plan, and after it the second one, leave without a place; and the rows of the second. */
function twice({ fleet, observed }: ReturnType<typeof placementWorld>) {
  const first = plan(fleet, observed);
  const second = plan(fleet, afterPlan(observed, first));
  return { first, second, unplaced: [missing(first), missing(second)], rowsLeft: rowsOf(second) };
}

const missing = ({ unplaced }: PlanDocument): string[] => unplaced.map(({ model_id }) => model_id);

describe("one neuron of 2 x 24 GB that is nearly full", () => {
  /*
   * Renewed where they stand, the two spread models would split evenly and leave no device with room for the large one.
   * Once the plan left it out, and the second one placed it by taking both down, at no price that the first had named.
   */
  const world = placementWorld({
    neurons: [
      {
        name: "a",
        devices: DEVICES,
        loaded: [
          { id: "renewed-1", devices: [0, 1], mib: [5549, 5550], current: false },
          { id: "renewed-2", devices: [0, 1], mib: [5782, 5783], current: false },
          { id: "stays", devices: [0, 1], mib: [2927, 2927] },
        ],
      },
    ],
    models: [
      { id: "large", mib: 14_496, replicas: 1 },
      { id: "new", mib: 5291, ...wide },
      { id: "renewed-1", mib: 11_099, ...wide },
      { id: "renewed-2", mib: 11_565, ...wide },
      { id: "stays", mib: 5854, ...wide },
    ],
  });

  test("five models, 48,305 of 49,152 MB: the first plan places all of them, and the second has nothing to do", () => {
    const { first, unplaced, rowsLeft } = twice(world);
    const total = first.assignments
      .flatMap(({ device_vram_mb: shares }) => shares)
      .reduce((sum, mib) => sum + mib, 0);
    expect(total).toBe(48_305);
    expect(unplaced).toEqual([[], []]);
    expect(first.assignments.map(({ model_id, status }) => `${model_id} ${status}`)).toEqual([
      "large new",
      "new new",
      "renewed-1 renewed",
      "renewed-2 renewed",
      "stays kept",
    ]);
    expect(rowsLeft).toEqual([]);
    expect(verifyPlan(first).findings).toEqual([]);
  });
});

/** Two to six models that together take nearly all of one neuron, most of them on two devices, some loaded already. */
function nearlyFull(seed: number): ReturnType<typeof placementWorld> {
  const random = seededRandom(seed);
  const count = 2 + Math.floor(random() * 5);
  const weights = Array.from({ length: count }, () => 0.2 + random());
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const models = weights.map((weight, number): ModelSketch => ({
    id: `m${number}`,
    mib: Math.floor((weight / sum) * 49_152 * (0.93 + 0.06 * random())),
    replicas: 1,
    width: random() < 0.8 ? 2 : 1,
  }));
  const loaded = models
    .filter(({ width }) => width === 2 && random() < 0.5)
    .map(({ id, mib = 0 }) => ({
      id,
      devices: [0, 1],
      mib: [Math.floor(mib / 2), Math.ceil(mib / 2)],
      current: random() < 0.5,
    }));
  return placementWorld({ neurons: [{ name: "a", devices: DEVICES, loaded }], models });
}

describe("fleets with min_devices = 2 that are nearly full", () => {
  test("what the second plan can place, the first one places", () => {
    let placed = 0;
    for (let seed = 0; seed < 120; seed += 1) {
      const { fleet, observed } = nearlyFull(seed);
      const first = quickPlan(fleet, observed);
      const second = quickPlan(fleet, afterPlan(observed, first));
      expect([rowsOf(second), missing(second)], `seed ${seed}`).toEqual([[], missing(first)]);
      expect(verifyPlan(first).findings, `seed ${seed}`).toEqual([]);
      placed += first.assignments.length;
    }
    expect(placed).toBeGreaterThan(200);
  });
});
