import type { GitEnvironment } from "../../../repository/io/git-process.ts";
import { openSharedRefs } from "../../../repository/io/shared-refs.ts";
import { CortexError } from "../../../core/errors.ts";
import { nameHistoryRef } from "../../lock/lock-refs.ts";
import { ENTRY_FILE, readEntry } from "../entry-text.ts";
import type { HistoryItem } from "../history-item.ts";

/** The applies of a fleet, the latest first. Throws `fleet_unreachable`, and `history_not_kept` where there is no remote. */
export async function readHistory(
  location: {
    readonly path: string;
    readonly repo?: string | undefined;
    readonly fleet: string;
    readonly most: number;
  },
  environment: GitEnvironment,
): Promise<readonly HistoryItem[]> {
  const refs = await openSharedRefs(location, environment);
  if (refs === undefined)
    throw new CortexError("history_not_kept", `${location.path} has no git remote, so no history is kept`);
  const ref = nameHistoryRef(location.fleet);
  const tip = (await refs.read([ref])).get(ref);
  if (tip === undefined) return [];
  const commits = await refs.log(tip.commit, { most: location.most, file: ENTRY_FILE });
  return commits.map(({ commit, message, text }) => ({
    commit,
    subject: message.split("\n")[0] ?? "",
    entry: readEntry(text) ?? null,
  }));
}
