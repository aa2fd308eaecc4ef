import type { StepRecord } from "../../../protocol/refs/apply-record.ts";
import type { GitEnvironment } from "../../../repository/io/git-process.ts";
import { readHistory } from "./read-history.ts";

/** Enough to know each step of a fleet that is changed now and then, and few enough to be read while its neurons are asked. */
const MOST_APPLIES = 50;
/** A plan does not wait for a git host that is down: it foretells worse without. */
const PATIENCE_MS = 3000;

/** Steps of the last applies, the latest first; none where no history is kept or it cannot be read now. */
export async function readRecorded(
  location: { readonly path: string; readonly repo?: string | undefined; readonly fleet: string },
  environment: GitEnvironment,
): Promise<readonly StepRecord[]> {
  const hasty = { ...environment, silenceMs: PATIENCE_MS, fetchSilenceMs: PATIENCE_MS };
  try {
    const items = await readHistory({ ...location, most: MOST_APPLIES }, hasty);
    return items.flatMap(({ entry }) => entry?.record.steps ?? []);
  } catch {
    return [];
  }
}
