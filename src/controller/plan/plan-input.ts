import type { FleetRevision } from "../../fleet/fleet-revision.ts";
import type { Fleet } from "../../fleet/schema/fleet-schema.ts";
import type { FormerProtections } from "../intent/former-protections.ts";
import type { ObservedFleet } from "../observe/observed-fleet.ts";
import type { ServedDeclaration } from "../observe/served-declaration.ts";
import type { PlacementHint } from "../place/board/placement.ts";

/** Desired state and where it comes from. */
export interface PlanSource {
  readonly fleet: Fleet;
  readonly fleetDigest: string;
  readonly revision: FleetRevision;
}

export interface PlanInput extends PlanSource {
  readonly observed: ObservedFleet;
  /** Of the cortex that plans. */
  readonly cortexVersion?: string | undefined;
  /** Set when the observation was read from a snapshot. */
  readonly snapshotDigest?: string | undefined;
  /** Confine the plan to these models and what their changes depend on. */
  readonly targets?: readonly string[] | undefined;
  /** Instead of `targets`: all models but these, without what cannot be done when those stay as they are. */
  readonly excepted?: readonly string[] | undefined;
  /** Plan this revision too, on the same look at the neurons that it declares, and say what is caused by the difference. */
  readonly base?: (PlanSource & { readonly observed: ObservedFleet }) | undefined;
  /** What the running gateway says that it serves; it is compared with where there is no base. */
  readonly served?: ServedDeclaration | undefined;
  /** Models without a block whose last block had `protect = true`, or may have had it. */
  readonly formerlyProtected?: FormerProtections | undefined;
  /** What a solver found out about the placement of this fleet. */
  readonly hint?: PlacementHint | undefined;
  /** "skip": neither what the death of each neuron would cost nor trials of remedies, for callers that only want the changes. */
  readonly whatIf?: "skip" | undefined;
}
