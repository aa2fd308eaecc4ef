import type { DesiredModel } from "../intent/desired-models.ts";
import type { JudgedCopy } from "../intent/present-copies.ts";
import type { Placement } from "../place/board/placement.ts";
import type { TransitionSchedule } from "../schedule/draft.ts";

/** What is wanted and seen, where everything goes, and the steps that bring it there. */
export interface PlanRounds {
  readonly desired: ReadonlyMap<string, DesiredModel>;
  /** As judged before anything happens. */
  readonly copies: readonly JudgedCopy[];
  /** What is placed in the end, each copy with the reason of the round that placed it. */
  readonly placement: Placement;
  readonly transition: TransitionSchedule;
  readonly unchanged: number;
}
