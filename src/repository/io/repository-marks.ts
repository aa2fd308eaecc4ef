import type { SimpleGit } from "simple-git";
import type { FleetRevision } from "../../fleet/fleet-revision.ts";
import { fleetMarks } from "../fleet-marks.ts";
import { firstCommitOf, remoteUrlOf } from "./git.ts";

/** What tells the repository of a fleet from others; nothing where there is neither a commit nor a remote. */
export async function repositoryMarks(
  git: SimpleGit,
  fleet: {
    readonly commit: string | null;
    /** In the repository. */
    readonly path: string;
    /** Where it is known already. */
    readonly remoteUrl?: string | undefined;
  },
): Promise<Pick<FleetRevision, "repository">> {
  const firstCommit = fleet.commit === null ? undefined : await firstCommitOf(git, fleet.commit);
  const remoteUrl = fleet.remoteUrl ?? (await remoteUrlOf(git));
  const repository = fleetMarks({ firstCommit, remoteUrl, path: fleet.path });
  return repository.length === 0 ? {} : { repository };
}
