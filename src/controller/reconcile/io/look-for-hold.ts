import type { Environment } from "../../../platform/environment.ts";
import { fleetGit } from "../../../repository/io/fleet-git.ts";
import type { Hold } from "../hold.ts";
import { readHold } from "./read-hold.ts";

/** A screen waits no longer than this for the remote. */
const SILENCE_MS = 3000;

/** What keeps loops from changing the fleet of these files now; undefined too where that cannot be told. Never throws. */
export async function lookForHold(
  { path }: { readonly path: string },
  environment: Pick<Environment, "cortexVariables" | "inherited">,
  nowMs: number,
): Promise<Hold | undefined> {
  try {
    const { fleet } = await fleetGit(environment).load({ path });
    const quick = { inherited: environment.inherited, fetchSilenceMs: SILENCE_MS };
    return await readHold({ path, fleet }, quick, nowMs);
  } catch {
    return undefined;
  }
}
