import loadHighs, { type Highs } from "highs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startHighsSolver, type HighsSolver } from "../../../src/controller/place/io/highs-solver.ts";
import { provePlacement, type SolveProgramme } from "../../../src/controller/place/io/prove-placement.ts";
import { solveProgramme } from "../../../src/controller/place/io/solve-programme.ts";
import { compareCosts } from "../../../src/controller/place/board/compare-costs.ts";
import { wholeFleet } from "../../../src/controller/place/prove/neighbourhoods.ts";
import { searchPlacement } from "../../../src/controller/place/best-placement.ts";
import { placementProblem } from "../../../src/controller/place/board/build-problem.ts";
import type { PlacementProblem } from "../../../src/controller/place/board/problem.ts";
import { PlacementProgramme } from "../../../src/controller/place/prove/integer-programme.ts";
import { runStrategy, STRATEGIES, type Strategy } from "../../../src/controller/place/search/strategies.ts";
import { tiersOf } from "../../../src/controller/place/board/tiers.ts";
import { generatedFleet, placementWorld, type FleetSketch } from "../../support/fleet/fleet-generator.ts";
import { smallFleet } from "../../support/fleet/small-fleets.ts";

const LIMITS = { nodes: 10_000, secs: 20 };

const problemOf = (sketch: FleetSketch): PlacementProblem => placementProblem(placementWorld(sketch));

/** Full enough that the search alone cannot say whether its placement is the best. */
const crowded = (neurons: number, seed: number): PlacementProblem =>
  problemOf(generatedFleet({ neurons, models: neurons * 10, load: 1.05, seed }));

const neverAsked: SolveProgramme = () => Promise.reject(new Error("asked"));

describe("placement as a programme for HiGHS", () => {
  let highs: Highs;
  let solver: HighsSolver;

  beforeAll(async () => {
    highs = await (loadHighs as unknown as typeof loadHighs.default)();
    solver = await startHighsSolver();
  });
  afterAll(() => solver.close());

  test("the solver finds nothing better than the search on small fleets, and nothing worse", () => {
    let hard = 0;
    for (let seed = 1; seed <= 120; seed += 1) {
      const problem = problemOf(smallFleet(seed));
      const { board } = searchPlacement(problem, { prove: true });
      const { programme } = new PlacementProgramme(board, wholeFleet(problem));
      const { proved } = solveProgramme(highs, programme, LIMITS);
      expect(proved, `seed ${seed}`).toEqual(tiersOf(board));
      if (proved.some((tier) => tier > 0)) hard += 1;
    }
    expect(hard).toBeGreaterThan(40);
  });

  test("what the solver has in place of a poor placement is as good as what the search finds", () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const problem = problemOf(smallFleet(seed));
      const poor = runStrategy(problem, STRATEGIES.at(-1) as Strategy);
      const programme = new PlacementProgramme(poor, wholeFleet(problem));
      const suggestion = programme.suggestion(solveProgramme(highs, programme.programme, LIMITS));
      const { board } = searchPlacement(problem, { prove: true });
      const taken = searchPlacement(problem, { prove: true, suggestion });
      expect(compareCosts(tiersOf(taken.board), tiersOf(board)), `seed ${seed}`).toBeLessThanOrEqual(0);
    }
  });

  test("a fleet of which the bound only says how far it may be from the best is proved", async () => {
    const problem = crowded(3, 2);
    const own = searchPlacement(problem, { prove: true });
    expect(own.gap.kind).toBe("within");
    const hint = await provePlacement(problem, { solve: solver.solve });
    const proved = searchPlacement(problem, { prove: true, ...hint });
    expect(proved.gap).toMatchObject({ kind: "optimal", engine: "highs", percent: 0 });
    expect(tiersOf(proved.board)).toEqual(tiersOf(own.board));
  });

  test("a better placement is found where there is one", async () => {
    const problem = crowded(4, 4);
    const own = searchPlacement(problem, { prove: true });
    const hint = await provePlacement(problem, { solve: solver.solve });
    const found = searchPlacement(problem, { prove: true, ...hint });
    expect(compareCosts(tiersOf(found.board), tiersOf(own.board))).toBeLessThan(0);
    expect(found.gap).toMatchObject({ kind: "optimal", engine: "highs" });
  });

  test("a proof for another fleet proves nothing", async () => {
    const problem = crowded(3, 2);
    const { proof } = await provePlacement(problem, { solve: solver.solve });
    const other = crowded(4, 4);
    expect(searchPlacement(other, { prove: true, proof }).gap.engine).not.toBe("highs");
  });

  test("a fleet that is placed in full is not sent to the solver", async () => {
    const problem = problemOf(generatedFleet({ neurons: 5, models: 20, load: 0.5, seed: 1 }));
    expect(await provePlacement(problem, { solve: neverAsked })).toEqual({});
  });

  test("a solver that breaks down says so, and keeps nobody waiting", async () => {
    const broken = await startHighsSolver();
    const nonsense = { columns: [7], values: [1], lower: 0, upper: 1 };
    const programme = { binaries: 1, upper: [1], rows: [nonsense], objectives: [], start: null };
    await expect(broken.solve(programme, LIMITS)).rejects.toMatchObject({ code: "internal_error" });
    await expect(broken.solve(programme, LIMITS)).rejects.toMatchObject({ code: "internal_error" });
    await broken.close();
  });

  test("a large fleet is improved part by part, never for the worse", async () => {
    const problem = crowded(60, 2);
    const own = searchPlacement(problem, { prove: true });
    const messages: string[] = [];
    const hint = await provePlacement(problem, {
      solve: (programme) => Promise.resolve(solveProgramme(highs, programme, { nodes: 50, secs: 5 })),
      onProgress: (message) => messages.push(message),
    });
    const found = searchPlacement(problem, { prove: true, ...hint });
    expect(hint.proof).toBeUndefined();
    expect(compareCosts(tiersOf(found.board), tiersOf(own.board))).toBeLessThanOrEqual(0);
    expect(messages[0]).toContain("round 1 of 3");
  }, 180_000);
});
