import type { PlacementHint } from "../board/placement.ts";
import type { PlacementProblem } from "../board/problem.ts";
import { startHighsSolver } from "./highs-solver.ts";
import { provePlacement } from "./prove-placement.ts";

/** What HiGHS knows better than the search; its thread lives as long as the question. */
export async function askSolver(
  problem: PlacementProblem,
  onProgress: (progress: string) => void,
): Promise<PlacementHint> {
  const solver = await startHighsSolver();
  try {
    return await provePlacement(problem, { solve: solver.solve, onProgress });
  } finally {
    await solver.close();
  }
}
