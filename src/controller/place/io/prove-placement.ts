import type { Board } from "../board/board.ts";
import { compareCosts } from "../board/compare-costs.ts";
import { choicesOf, neighbourhoods, wholeFleet } from "../prove/neighbourhoods.ts";
import { searchPlacement } from "../best-placement.ts";
import {
  PlacementProgramme,
  type Programme,
  type ProgrammeSolution,
  type Scope,
} from "../prove/integer-programme.ts";
import { replayedBoard } from "../search/replay.ts";
import { suggestedBoard, suggestionOf } from "../search/suggestion.ts";
import { tiersOf } from "../board/tiers.ts";
import type { PlacementHint, SuggestedCopy } from "../board/placement.ts";
import type { SolveLimits } from "./solve-programme.ts";
import type { PlacementProblem } from "../board/problem.ts";

/** Whoever solves programmes, in a thread of its own. */
export type SolveProgramme = (programme: Programme, limits: SolveLimits) => Promise<ProgrammeSolution>;

export interface ProveOptions {
  readonly solve: SolveProgramme;
  /** Told what is being done, for people who wait. */
  readonly onProgress?: ((message: string) => void) | undefined;
}

/** A fleet with more choices than this is improved part by part, and not proved. */
const CHOICES_AT_MOST = 15_000;
const WHOLE: SolveLimits = { nodes: 20_000, secs: 60 };
const PART: SolveLimits = { nodes: 500, secs: 10 };
const ROUNDS = 3;
const PARTS_PER_ROUND = 8;

/**
 * What a solver knows better than the search: a placement at least as good, and for fleets that are small enough what
 * no placement can beat. The limits are counts of nodes; only a machine so slow that the net of seconds catches it first
 * gets another answer.
 */
export async function provePlacement(
  problem: PlacementProblem,
  { solve, onProgress = () => undefined }: ProveOptions,
): Promise<PlacementHint> {
  const { board, gap } = searchPlacement(problem, { prove: true });
  if (gap.kind === "optimal") return {};
  const choices = choicesOf(problem);
  if (choices > CHOICES_AT_MOST) return { suggestion: copiesOn(await improved(board, solve, onProgress)) };
  onProgress(`proving the placement: ${problem.applicants.length} copies, ${choices} choices`);
  const whole = new PlacementProgramme(board, wholeFleet(problem));
  const solution = await solve(whole.programme, WHOLE);
  const isWhole = solution.proved.length === whole.programme.objectives.length;
  const proof = isWhole ? { tiers: solution.proved, copies: problem.applicants.length } : undefined;
  return { suggestion: whole.suggestion(solution), proof };
}

/** Part by part; every round draws other neurons. */
async function improved(
  start: Board,
  solve: SolveProgramme,
  onProgress: (message: string) => void,
): Promise<Board> {
  let board = start;
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const scope of neighbourhoods(board, { most: PARTS_PER_ROUND, round })) {
      const without = board.places.filter((place) => place === undefined).length;
      onProgress(
        `improving the placement: round ${round + 1} of ${ROUNDS}, ${without} copies without a place`,
      );
      board = await improvedWithin(board, scope, solve);
    }
  }
  return board;
}

async function improvedWithin(board: Board, scope: Scope, solve: SolveProgramme): Promise<Board> {
  const part = new PlacementProgramme(board, scope);
  const solution = await solve(part.programme, PART);
  if (solution.columns === null) return board;
  const found = replayedBoard(suggestedBoard(board.problem, part.suggestion(solution)));
  return compareCosts(tiersOf(found), tiersOf(board)) < 0 ? found : board;
}

const copiesOn = (board: Board): SuggestedCopy[] =>
  suggestionOf(
    board,
    [...board.places.entries()].flatMap(([applicant, place]) =>
      place === undefined ? [] : [{ applicant, ...place }],
    ),
  );
