export interface TreeFile {
  /** Path from the top of the repository. */
  readonly path: string;
  readonly object: string;
  readonly kind: "file" | "link" | "submodule";
}

const LINK_MODE = "120000";

/** Files, links and submodules of `git ls-tree -r -z`: with `-z` a path is never quoted, whatever is in it. */
export function parseTree(listing: string): TreeFile[] {
  return listing.split("\0").flatMap((entry): TreeFile[] => {
    const tab = entry.indexOf("\t");
    if (tab === -1) return [];
    const [mode, type, object = ""] = entry.slice(0, tab).split(" ");
    const path = entry.slice(tab + 1);
    if (type === "commit") return [{ path, object, kind: "submodule" }];
    if (type !== "blob") return [];
    return [{ path, object, kind: mode === LINK_MODE ? "link" : "file" }];
  });
}
