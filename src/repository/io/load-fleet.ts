import { CortexError } from "../../core/errors.ts";
import type { Diagnostic } from "../../fleet/text/diagnostics.ts";
import { fleetDigest } from "../../fleet/schema/fleet-digest.ts";
import type { Fleet } from "../../fleet/schema/fleet-schema.ts";
import { parseFleet } from "../../fleet/load-fleet.ts";
import type { FleetRevision } from "../../fleet/fleet-revision.ts";
import { readFleet, readFleetAndBase, readFleetAt } from "./fleet-source.ts";
import type { FleetLocation, Repository } from "./open-repository.ts";
import type { FleetText } from "./work-tree.ts";

export interface LoadFleetOptions extends FleetLocation {
  /** `CORTEX_*` variables; those with `__` override settings of the files. */
  readonly environmentOverrides?: Readonly<Record<string, string>> | undefined;
  /** What git's processes inherit. */
  readonly inherited: Readonly<Record<string, string | undefined>>;
}

export interface LoadedFleet {
  readonly fleet: Fleet;
  readonly revision: FleetRevision;
  /** SHA-256 of what the fleet means, however it is written down. */
  readonly digest: string;
  readonly warnings: readonly Diagnostic[];
  /** Settings that this process's environment decides. */
  readonly overridden: readonly string[];
}

/**
 * Desired state, checked, frozen and named by its revision. Throws `fleet_invalid` with every finding in
 * `details.diagnostics`, `fleet_not_found`, `fleet_revision_unknown` or `fleet_unreachable`; a broken fleet never
 * becomes an empty one.
 */
export async function loadFleet(options: LoadFleetOptions): Promise<LoadedFleet> {
  return checked(await readFleet(options, { inherited: options.inherited }), options);
}

/** The same of another revision of a repository that is open. */
export const loadFleetAt = async (
  repository: Repository,
  ref: string,
  options: Pick<LoadFleetOptions, "environmentOverrides">,
): Promise<LoadedFleet> => checked(await readFleetAt(repository, ref), options);

export interface FleetAndBase {
  readonly head: LoadedFleet;
  /** Undefined when there was no fleet file at the base. */
  readonly base: LoadedFleet | undefined;
}

/**
 * The fleet, and what it was where its branch left `base` (`--base origin/main`): both checked, under the same
 * environment. Throws as `loadFleet` does, for either.
 */
export async function loadFleetAndBase(
  options: LoadFleetOptions & { readonly base: string },
): Promise<FleetAndBase> {
  const { head, base } = await readFleetAndBase(options, { inherited: options.inherited });
  return {
    head: checked(head, options),
    base: base === undefined ? undefined : checked(base, options),
  };
}

function checked(
  { files, revision }: FleetText,
  options: Pick<LoadFleetOptions, "environmentOverrides">,
): LoadedFleet {
  const parsed = parseFleet(files, options.environmentOverrides);
  if (!parsed.ok) {
    const errors = parsed.error.filter(({ severity }) => severity === "error").length;
    const at = revision.dirty || revision.commit === null ? "" : ` at ${revision.commit.slice(0, 8)}`;
    const where = revision.path === "." ? "the fleet here" : revision.path;
    const message = `${where}${at} has ${errors} ${errors === 1 ? "error" : "errors"}`;
    throw new CortexError("fleet_invalid", message, { details: { diagnostics: parsed.error } });
  }
  const { fleet, warnings, overridden } = parsed.value;
  return { fleet, revision, digest: fleetDigest(fleet), warnings, overridden };
}
