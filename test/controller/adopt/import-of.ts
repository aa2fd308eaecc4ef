import {
  importFleet,
  type ImportOptions,
  type ImportResult,
} from "../../../src/controller/adopt/io/import-fleet.ts";
import { CortexError } from "../../../src/core/errors.ts";
import { ManualClock } from "../../support/manual-clock.ts";

/** An import with what the command line leaves open at its defaults. */
export const importOf = (options: Partial<ImportOptions>): Promise<ImportResult> =>
  importFleet(
    { from: undefined, path: undefined, neurons: [], fleetName: "home", neuronAccess: undefined, ...options },
    new ManualClock(),
  );

/** The error as it is shown: code, message, next step. */
export async function failureOf(promise: Promise<unknown>): Promise<string> {
  const thrown: unknown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof CortexError)) throw new Error(`no CortexError: ${String(thrown)}`);
  return `${thrown.code}: ${thrown.message} -> ${thrown.next}`;
}
