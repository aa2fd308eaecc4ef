import { isFleetFile, isHidden } from "./fleet-paths.ts";
import type { IndexEntry } from "./parse-index.ts";

/**
 * Entries of the index below a directory (or the very file) that may be the fleet's and can be missing on the disk
 * without anybody having removed them: `git status` says nothing of them. A file that is merely gone is an edit.
 */
export function doubtfulEntries(index: readonly IndexEntry[], path: string): IndexEntry[] {
  const below = path === "" ? "" : `${path}/`;
  return index.filter((entry) => {
    const isSubmodule = entry.kind === "submodule";
    // What is named counts whatever its name, and nothing below a submodule can be named without it.
    const isNamed = entry.path === path || (isSubmodule && path.startsWith(`${entry.path}/`));
    if (!isNamed && !entry.path.startsWith(below)) return false;
    const inside = entry.path.slice(below.length);
    return isSubmodule
      ? isNamed || !isHidden(inside)
      : entry.trust !== "looked-at" && (isNamed || isFleetFile(inside));
  });
}

/** Why a file that git holds is not on the disk. */
export type Lack = "sparse" | "assumed" | "submodule";

export const lackOf = (entry: IndexEntry): Lack =>
  entry.kind === "submodule" ? "submodule" : lackOfFile(entry);

const lackOfFile = ({ trust }: IndexEntry): Lack => (trust === "sparse" ? "sparse" : "assumed");

interface Explanation {
  readonly reason: string;
  readonly next: string;
}

const EXPLANATIONS: Readonly<Record<Lack, Explanation>> = {
  sparse: {
    reason: "left out by a sparse checkout",
    next: "`git sparse-checkout disable` brings back what was left out, `git rm --sparse FILE` says that it is to go",
  },
  submodule: {
    reason: "a submodule that is not initialised",
    next: "`git submodule update --init --recursive` fetches submodules, `git rm DIRECTORY` says that one is to go",
  },
  assumed: {
    reason: "missing, and marked as unchanged",
    next: "`git update-index --no-assume-unchanged FILE` lets git see that it is missing",
  },
};

/** Paths that are named in a message; there may be hundreds. */
const MOST_NAMED = 5;

/** What is lacking and how to mend it, in words. */
export function explainLacking(lacking: readonly { readonly path: string; readonly lack: Lack }[]): {
  readonly what: string;
  readonly next: string;
} {
  const kinds = [...Map.groupBy(lacking, ({ lack }) => lack)];
  const parts = kinds.map(([lack, entries]) => {
    const named = entries.slice(0, MOST_NAMED).map(({ path }) => path);
    const rest = entries.length - named.length;
    const more = rest === 0 ? "" : ` and ${rest} more`;
    return `${named.join(", ")}${more} (${EXPLANATIONS[lack].reason})`;
  });
  return {
    what: parts.join(", "),
    next: kinds.map(([lack]) => EXPLANATIONS[lack].next).join("; "),
  };
}
