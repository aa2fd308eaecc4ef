import type { FleetRevision } from "../../fleet/fleet-revision.ts";
import type { NeuronBlock } from "../../fleet/schema/fleet-schema.ts";
import type { PlanDeclaration } from "../../protocol/declaration/plan-declaration.ts";
import type { DesiredModel } from "../intent/desired-models.ts";
import type { LeftAlone } from "../intent/present-copies.ts";
import type { ObservedFleet } from "../observe/observed-fleet.ts";
import type {
  ExplainedAssignment,
  PlacementGap,
  UnknownCopies,
  UnplacedExplanation,
} from "../place/board/placement.ts";
import type { Outlook } from "../schedule/forecast.ts";
import type { PlanRow } from "./rows.ts";
import type { Simulation } from "./simulate.ts";
import type { Survival } from "./survival.ts";
import type { UnloadGuard } from "./unload-guard.ts";

/**
 * A plan in the planner's own words; `encode-plan` writes it down as the document that users see. Lists are in the
 * order in which they are shown.
 */
export interface FleetPlan {
  /** Of the cortex that made it. */
  readonly cortexVersion: string;
  /** Name of the fleet. */
  readonly fleet: string;
  /** Other fleets whose copies count as this one's. */
  readonly takesOver: readonly string[];
  readonly revision: FleetRevision;
  readonly fleetDigest: string;
  readonly observed: ObservedFleet;
  readonly observation: { readonly digest: string; readonly source: "neurons" | "snapshot" };
  /** Models that the plan is confined to; empty means all. */
  readonly targets: readonly string[];
  /** The models that are no targets, where all others are. */
  readonly excepted: readonly string[] | undefined;
  /** Changes, and copies without a place, left out because of `targets`. */
  readonly outsideTargets: number;
  /** Why the plan must not be applied; empty for a sound one. */
  readonly problems: readonly string[];
  readonly comparison: Comparison | null;
  /** Settings that differ from the base's or the gateway's. */
  readonly declaration: PlanDeclaration;
  readonly desired: ReadonlyMap<string, DesiredModel>;
  /** Blocks of the fleet files, by name. */
  readonly neuronBlocks: ReadonlyMap<string, NeuronBlock>;
  readonly simulation: Simulation;
  readonly rows: readonly PlanRow[];
  /** Copies that are already as declared. */
  readonly unchanged: number;
  readonly unloadGuard: UnloadGuard;
  readonly unplaced: readonly UnplacedExplanation[];
  readonly unknown: readonly UnknownCopies[];
  readonly deferred: readonly DeferredChange[];
  readonly leftAlone: readonly CopyLeftAlone[];
  readonly gap: PlacementGap;
  readonly assignments: readonly ExplainedAssignment[];
  readonly outlook: Outlook;
  readonly survival: Survival;
}

/** A wanted change that the plan leaves out, because carrying it out now would do more harm than waiting. */
export interface DeferredChange {
  readonly id: string;
  readonly modelId: string;
  readonly reason: string;
}

/** A loaded copy that is not this fleet's to take down. */
export interface CopyLeftAlone extends LeftAlone {
  readonly modelId: string;
  readonly neuron: string;
}

/** The same fleet planned for the revision that a branch is compared with. */
export interface Comparison {
  readonly revision: FleetRevision;
  readonly fleetDigest: string;
  /** Changes that the base would make and the branch does not. */
  readonly avoided: readonly Pick<PlanRow, "id" | "detail">[];
  /** Models that cannot be placed here and could be, or were not declared, in the base. */
  readonly newlyUnplaced: readonly string[];
}
