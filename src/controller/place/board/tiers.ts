import { OnDemandRoom } from "./on-demand-room.ts";
import type { Board } from "./board.ts";
import { present } from "../../../core/present.ts";
import { at, itemAt, type ApplicantNo } from "./numbers.ts";
import type { Home, Place, PlacementProblem } from "./problem.ts";

/*
 * What makes one placement better than another, as figures to be compared one after another; smaller is better. The
 * highest class comes first with all that concerns it, so no gain of a lower class is worth the move of a copy of a
 * higher one: this is "may displace: its own class or lower" in numbers.
 */
export const TIER = {
  /** Loaded copies that lost their place. */
  lost: 0,
  /** Models without any copy. */
  without: 1,
  /** Copies without a place. */
  missing: 2,
  /** Copies that keep old settings. */
  outdated: 3,
  /** Loaded copies that move. */
  moved: 4,
  /** Models on demand that leave, and what they held. */
  guests: 5,
  guestMib: 6,
} as const;

export const TIERS_PER_CLASS = Object.keys(TIER).length;

/** Where the tiers of each class begin in a list of costs. */
export const tierOffsets =
  ({ classes }: PlacementProblem): ((priority: number) => number) =>
  (priority) =>
    present(classes.get(priority), "the tiers of class", priority) * TIERS_PER_CLASS;

/** All tiers of all classes, then the models on demand that fit nowhere any more. */
export function costOf(board: Board): number[] {
  return [...tiersOf(board), new OnDemandRoom(board).missing()];
}

/** A cost of 0 in every tier of every class. */
export const noCost = (problem: PlacementProblem): number[] =>
  Array.from({ length: problem.classes.size * TIERS_PER_CLASS }, () => 0);

export function tiersOf(board: Board): number[] {
  const { problem } = board;
  const offsetOf = tierOffsets(problem);
  const cost = noCost(problem);
  const add = (priority: number, tier: number, amount: number): void => {
    const position = offsetOf(priority) + tier;
    cost[position] = (cost[position] as number) + amount;
  };
  for (const { applicants, priority } of problem.models) {
    let missing = 0;
    for (const applicant of applicants) {
      if (board.places[applicant] === undefined) missing += 1;
      const { home } = itemAt(problem.applicants, applicant);
      if (home === null) continue;
      const { tier, amount } = fateOf(board, applicant, home);
      if (amount > 0) add(priority, tier, amount);
    }
    if (missing === 0) continue;
    add(priority, TIER.missing, missing);
    if (missing === applicants.length) add(priority, TIER.without, 1);
  }
  for (const [guest, { priority, place }] of problem.guests.entries()) {
    if (at(board.evicted, guest) === 0) continue;
    add(priority, TIER.guests, 1);
    add(
      priority,
      TIER.guestMib,
      place.mib.reduce((total, mib) => total + mib, 0),
    );
  }
  return cost;
}

/** What has become of a copy that was loaded. */
function fateOf(
  board: Board,
  applicant: ApplicantNo,
  home: Home,
): { readonly tier: number; readonly amount: number } {
  const place = board.places[applicant];
  if (place === undefined) return { tier: TIER.lost, amount: 1 };
  if (at(board.untouched, applicant) === 0) return { tier: TIER.moved, amount: moveCost(home, place) };
  return { tier: TIER.outdated, amount: home.current ? 0 : 1 };
}

/** A renewal on its devices has to be loaded again anyway; any other change of place is a move. */
export function moveCost(home: Home, place: Pick<Place, "neuron" | "devices">): number {
  const isThere =
    place.neuron === home.place.neuron &&
    place.devices.every((device) => home.place.devices.includes(device));
  return isThere && !home.current ? 0 : 1;
}
