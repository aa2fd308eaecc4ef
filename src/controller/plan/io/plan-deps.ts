import type { Clock } from "../../../core/clock.ts";
import type { Environment } from "../../../platform/environment.ts";
import { fleetGit, type FleetGit } from "../../../repository/io/fleet-git.ts";
import { observeFleet } from "../../observe/io/observe-fleet.ts";
import { readServed } from "../../observe/io/read-served.ts";
import { readTraffic } from "../../observe/io/read-traffic.ts";
import { readSnapshot } from "../../observe/io/snapshot-file.ts";
import type { PlacementHint } from "../../place/board/placement.ts";
import type { PlacementProblem } from "../../place/board/problem.ts";
import { askSolver } from "../../place/io/ask-solver.ts";

/** Everything outside of the process that planning needs. */
export interface PlanDeps {
  readonly clock: Clock;
  /** Where desired state and its history are read. */
  readonly git: FleetGit;
  /** What is asked about the fleet as it is. */
  readonly ask: {
    readonly neurons: typeof observeFleet;
    readonly traffic: typeof readTraffic;
    readonly served: typeof readServed;
    readonly snapshot: typeof readSnapshot;
  };
  /** A better placement and a proof, from whoever can find them. */
  readonly solve: (
    problem: PlacementProblem,
    onProgress: (progress: string) => void,
  ) => Promise<PlacementHint>;
}

/** The real ones. */
export const planDeps = (
  clock: Clock,
  environment: Pick<Environment, "cortexVariables" | "inherited">,
): PlanDeps => ({
  clock,
  git: fleetGit(environment),
  ask: { neurons: observeFleet, traffic: readTraffic, served: readServed, snapshot: readSnapshot },
  solve: askSolver,
});
