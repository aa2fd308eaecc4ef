/** A hidden file, or one in a hidden folder, is no fleet file. One whose ending is in capitals is read to be refused. */
export const isFleetFile = (path: string): boolean => /\.toml$/i.test(path) && !isHidden(path);

export const isHidden = (path: string): boolean => path.split("/").some((part) => part.startsWith("."));

/**
 * Whether what changed in a work tree is the fleet's own. Changed paths are seen from the top of the repository,
 * `prefix` is where the fleet lies below it; `fileName` when the fleet is one file there.
 */
export const touchesFleet = (
  changed: readonly string[],
  { prefix, fileName }: { readonly prefix: string; readonly fileName: string | undefined },
): boolean =>
  changed
    .map((path) => path.slice(prefix.length))
    .some((path) => (fileName === undefined ? isFleetFile(path) : path === fileName));
