import { Board } from "./board/board.ts";
import type { Style } from "./board/choice.ts";
import { compareCosts } from "./board/compare-costs.ts";
import { exactSearch } from "./prove/exact-search.ts";
import { gapOf, optimal } from "./prove/gap.ts";
import { runStrategy, STRATEGIES, type Strategy } from "./search/strategies.ts";
import { replayedBoard } from "./search/replay.ts";
import { costOf, tiersOf } from "./board/tiers.ts";
import { suggestedBoard } from "./search/suggestion.ts";
import type { PlacementGap, PlacementHint, SuggestedCopy } from "./board/placement.ts";
import type { PlacementProblem } from "./board/problem.ts";

export interface SearchResult {
  readonly board: Board;
  readonly style: Style;
  readonly gap: PlacementGap;
}

/** Fleets up to this size are searched to the end, as far as the number of nodes allows. */
const EXACT_APPLICANTS = 24;
const EXACT_DEVICES = 24;
const EXACT_NODES = 30_000;
/** When nobody asks for a proof, a short search still mends what the heuristics missed. */
const BRIEF_NODES = 2000;

/** Above this product of neurons and copies a fleet is large: the bound then decides whether to go on. */
const LARGE = 100_000;
const GOOD_ENOUGH_PERCENT = 0.5;
/** A large fleet that is fuller than this is packed from the start. */
const ROOMY = 0.8;

interface Candidate {
  readonly board: Board;
  readonly style: Style;
  readonly cost: readonly number[];
  readonly gap: PlacementGap;
}

/** Tries the strategies until one leaves nothing to wish for, and takes the best; small fleets are searched in full. */
export function searchPlacement(
  problem: PlacementProblem,
  options: { readonly prove: boolean } & PlacementHint,
): SearchResult {
  const found = ownSearch(problem, options);
  const { tiers, copies } = options.proof ?? { tiers: [], copies: -1 };
  const isProved = copies === problem.applicants.length && compareCosts(tiersOf(found.board), tiers) <= 0;
  return isProved ? { ...found, gap: provedGap(found.board, "highs") } : found;
}

function ownSearch(
  problem: PlacementProblem,
  options: { readonly prove: boolean } & PlacementHint,
): SearchResult {
  const isLarge = problem.neurons.length * problem.applicants.length > LARGE;
  const own = bestStrategy(problem, isLarge);
  const { board, style, cost, gap } =
    options.suggestion === undefined ? own : betterOf(own, suggested(problem, options.suggestion));
  if (isAllClear(cost) || isLarge) return { board, style, gap };
  if (problem.applicants.length > EXACT_APPLICANTS || problem.devices.length > EXACT_DEVICES)
    return { board, style, gap: gapOf(board, options) };
  const nodes = options.prove ? EXACT_NODES : BRIEF_NODES;
  const exact = exactSearch(problem, { nodes, incumbent: board });
  return {
    board: exact.board,
    style,
    gap: exact.isProved ? provedGap(exact.board, "exact search") : gapOf(exact.board, options),
  };
}

function suggested(problem: PlacementProblem, copies: readonly SuggestedCopy[]): Candidate {
  const board = replayedBoard(suggestedBoard(problem, copies));
  return { board, style: "tight", cost: costOf(board), gap: gapOf(board, { prove: true }) };
}

const betterOf = (own: Candidate, other: Candidate): Candidate =>
  compareCosts(other.cost, own.cost) < 0 ? other : own;

function bestStrategy(problem: PlacementProblem, isLarge: boolean): Candidate {
  let best: Candidate | undefined;
  for (const strategy of strategiesFor(problem, isLarge)) {
    const board = runStrategy(problem, strategy);
    const cost = costOf(board);
    if (best === undefined || compareCosts(cost, best.cost) < 0)
      best = { board, cost, style: strategy.style, gap: gapOf(board, { prove: isLarge }) };
    if (isAllClear(best.cost) || (isLarge && isGoodEnough(best.gap))) break;
  }
  if (best === undefined) throw new Error("no strategy ran");
  return best;
}

const isGoodEnough = ({ percent }: PlacementGap): boolean =>
  percent !== null && percent <= GOOD_ENOUGH_PERCENT;

/** All of them for most fleets. A large one is too slow for that, so what it lacks decides where to begin. */
function strategiesFor(problem: PlacementProblem, isLarge: boolean): readonly Strategy[] {
  if (!isLarge) return STRATEGIES;
  const board = new Board(problem);
  const { places, free } = board;
  const neededMib = places.reduce(
    (total, place, applicant) => (place === undefined ? total + board.modelOf(applicant).mib : total),
    0,
  );
  const load = neededMib / free.reduce((total, mib) => total + Math.max(0, mib), 1);
  if (load > 1) return STRATEGIES.slice(-2);
  return load > ROOMY ? STRATEGIES.slice(1) : STRATEGIES;
}

const provedGap = (board: Board, engine: string): PlacementGap =>
  optimal(board.places.filter((place) => place !== undefined).length, engine);

/** Everything placed, nothing moved, nobody evicted; room for models on demand is no reason to go on. */
const isAllClear = (cost: readonly number[]): boolean => cost.slice(0, -1).every((figure) => figure === 0);
