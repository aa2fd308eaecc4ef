import type { LoadedFleet } from "../repository/io/load-fleet.ts";
import type { FleetLocation } from "../repository/io/open-repository.ts";
import type { Fleet } from "../fleet/schema/fleet-schema.ts";
import { BaseCommand } from "./base-command.ts";

/** A wait that is no longer than this needs no words. */
const PATIENCE_MS = 500;

export interface LockPlace {
  readonly path: string;
  readonly repo: string | undefined;
  /** Undefined where the files cannot be read. */
  readonly declared: Fleet | undefined;
}

/** A command about a fleet: it reads the fleet files, and asks the neurons that they declare. */
export abstract class FleetCommand extends BaseCommand {
  /** The files under this process's environment, as every program reads them. Throws as `loadFleet` does. */
  async loadFleet(location: FleetLocation): Promise<LoadedFleet> {
    const { fleetGit } = await import("../repository/io/fleet-git.ts");
    return fleetGit(this.environment).load(location);
  }

  /** Where the lock and the history of the fleet are kept: files that cannot be read must not keep anybody from a lock. */
  async lockLocation(path: string): Promise<LockPlace> {
    const loaded = await this.loadFleet({ path }).catch(() => undefined);
    return { path, repo: loaded?.fleet.gitops.repo, declared: loaded?.fleet };
  }

  /** Whoever sits at a terminal is told when the fleet takes longer than a moment to answer. */
  async whileAsking<Value>(answer: Promise<Value>): Promise<Value> {
    if (!process.stderr.isTTY) return answer;
    const timer = setTimeout(() => {
      this.remark("Asking the neurons; one that is silent is given 5 s ...");
    }, PATIENCE_MS);
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
    }
  }
}
