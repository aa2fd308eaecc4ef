import { isShallowRepository, commitsBefore } from "./git.ts";
import { loadFleetAt, type LoadedFleet, type LoadFleetOptions } from "./load-fleet.ts";
import { openRepository } from "./open-repository.ts";

/** What git remembers of a fleet's files. */
export interface FleetHistory {
  /** The history may be cut off before what is looked for. */
  readonly isShallow: boolean;
  /** The commits before those that changed how often the text occurs in the fleet's files, the latest first. */
  readonly commitsBefore: (change: {
    readonly text: string;
    /** Where the history starts. */
    readonly commit: string;
    readonly most: number;
  }) => Promise<readonly string[]>;
  /** The fleet at a revision. Throws as `loadFleet` does. */
  readonly loadAt: (ref: string) => Promise<LoadedFleet>;
}

/** A remote is asked once, when its history is opened. */
export async function openHistory(options: LoadFleetOptions): Promise<FleetHistory> {
  const repository = await openRepository(options, options);
  const { git, pathInTree } = repository;
  const below = pathInTree.replace(/\/$/, "");
  const pathspec = below === "" ? [] : [`:(top,literal)${below}`];
  return {
    isShallow: await isShallowRepository(git),
    commitsBefore: (change) => commitsBefore(git, { ...change, pathspec }),
    loadAt: (ref) => loadFleetAt(repository, ref, options),
  };
}
