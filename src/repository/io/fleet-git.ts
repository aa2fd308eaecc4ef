import type { Environment } from "../../platform/environment.ts";
import { openHistory, type FleetHistory } from "./fleet-history.ts";
import {
  loadFleet,
  loadFleetAndBase,
  type FleetAndBase,
  type LoadedFleet,
  type LoadFleetOptions,
} from "./load-fleet.ts";
import type { FleetLocation } from "./open-repository.ts";

/** How every program reads a fleet: out of the files or out of git, under one environment. Each throws as `loadFleet`. */
export interface FleetGit {
  readonly load: (location: FleetLocation) => Promise<LoadedFleet>;
  /** And what it was where its branch left `base`. */
  readonly loadWithBase: (location: FleetLocation & { readonly base: string }) => Promise<FleetAndBase>;
  readonly openHistory: (location: FleetLocation) => Promise<FleetHistory>;
}

export function fleetGit(environment: Pick<Environment, "cortexVariables" | "inherited">): FleetGit {
  const within = <Location extends FleetLocation>(location: Location): Location & LoadFleetOptions => ({
    ...location,
    environmentOverrides: environment.cortexVariables,
    inherited: environment.inherited,
  });
  return {
    load: (location) => loadFleet(within(location)),
    loadWithBase: (location) => loadFleetAndBase(within(location)),
    openHistory: (location) => openHistory(within(location)),
  };
}
