import { CortexError } from "../../core/errors.ts";
import type { Diagnostic } from "../../fleet/diagnostics.ts";
import { fleetDigest } from "../../fleet/fleet-digest.ts";
import type { Fleet } from "../../fleet/fleet-schema.ts";
import { parseFleet } from "../../fleet/load-fleet.ts";
import type { PlanRevision } from "../../protocol/plan-document.ts";
import { readFleet, type FleetLocation } from "./fleet-source.ts";

export interface LoadFleetOptions extends FleetLocation {
  /** `CORTEX_*` variables; those with `__` override settings of the files. */
  readonly environmentOverrides?: Readonly<Record<string, string>> | undefined;
  /** What git's processes inherit. */
  readonly inherited: Readonly<Record<string, string | undefined>>;
}

export interface LoadedFleet {
  readonly fleet: Fleet;
  readonly revision: PlanRevision;
  /** SHA-256 of what the fleet means, however it is written down. */
  readonly digest: string;
  readonly warnings: readonly Diagnostic[];
}

/**
 * Desired state, checked, frozen and named by its revision. Throws `fleet_invalid` with every finding in
 * `details.diagnostics`, `fleet_not_found` or `fleet_revision_unknown`; a broken fleet never becomes an empty one.
 */
export async function loadFleet(options: LoadFleetOptions): Promise<LoadedFleet> {
  const { files, revision } = await readFleet(options, { inherited: options.inherited });
  const parsed = parseFleet(files, options.environmentOverrides);
  if (!parsed.ok) {
    const errors = parsed.error.filter(({ severity }) => severity === "error").length;
    const message = `${options.path} has ${errors} ${errors === 1 ? "error" : "errors"}`;
    throw new CortexError("fleet_invalid", message, { details: { diagnostics: parsed.error } });
  }
  const { fleet, warnings } = parsed.value;
  return { fleet, revision, digest: fleetDigest(fleet), warnings };
}
