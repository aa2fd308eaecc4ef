export interface IndexEntry {
  /** Path from the top of the work tree. */
  readonly path: string;
  readonly kind: "file" | "submodule";
  /**
   * Whether git takes the file on the disk for what it is: `sparse` files need not be there, `assumed` ones count as
   * unchanged whatever they are.
   */
  readonly trust: "looked-at" | "sparse" | "assumed";
}

const SUBMODULE_MODE = "160000";

/** Of `git ls-files -v --stage -z`: `<tag> <mode> <object> <stage>`, a tab, the path. */
export function parseIndex(listing: string): IndexEntry[] {
  return listing.split("\0").flatMap((entry): IndexEntry[] => {
    const tab = entry.indexOf("\t");
    if (tab === -1) return [];
    const [tag = "", mode] = entry.slice(0, tab).split(" ");
    return [
      {
        path: entry.slice(tab + 1),
        kind: mode === SUBMODULE_MODE ? "submodule" : "file",
        trust: tag.toUpperCase() === "S" ? "sparse" : tag === tag.toLowerCase() ? "assumed" : "looked-at",
      },
    ];
  });
}
