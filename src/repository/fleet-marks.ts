import { createHash } from "node:crypto";

/*
 * By what a fleet's repository is told from another one whose fleet has the same name: its first commit, which moves
 * with it from host to host, and its remote, which a shallow clone knows too. Each stands with the path of the fleet in
 * it, and only as a digest: whoever reads it on a neuron learns no address.
 */

export interface RepositoryFacts {
  /** Undefined where the clone does not reach back to it. */
  readonly firstCommit: string | undefined;
  /** Of the remote; empty where there is none. */
  readonly remoteUrl: string;
  /** Of the fleet's directory in its repository; empty at the top. */
  readonly path: string;
}

/** The surest first. */
export function fleetMarks({ firstCommit, remoteUrl, path }: RepositoryFacts): string[] {
  const place = path.replaceAll(/^\/+|\/+$/g, "");
  return [
    ...(firstCommit === undefined ? [] : [`root-${digest(firstCommit, place)}`]),
    ...(remoteUrl === "" ? [] : [`remote-${digest(plainUrl(remoteUrl), place)}`]),
  ];
}

/**
 * The directory of the file with the table `[fleet]`, from the top of the repository: the same whether the file, its
 * directory or one above was named.
 */
export function directoryOfFleet(
  files: readonly { readonly path: string; readonly text: string }[],
  read: { readonly shownPath: string; readonly pathInTree: string },
): string {
  const head = files.find(({ text }) => /^[ \t]*\[[ \t]*fleet[ \t]*\]/m.test(text)) ?? files[0];
  if (head === undefined) return "";
  const shown = partsOf(read.shownPath);
  const inside = partsOf(head.path).slice(shown.length);
  return [...partsOf(read.pathInTree), ...inside].slice(0, -1).join("/");
}

/** Of a path whose `.` say nothing. */
const partsOf = (path: string): string[] => path.split(/[\\/]/).filter((part) => part !== "" && part !== ".");

const digest = (...parts: readonly string[]): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 12);

/** The same for all ways to reach a repository: `git@host:a/b.git`, `https://user@host/a/b`. */
export function plainUrl(url: string): string {
  const withoutScheme = url.trim().replace(/^[a-z][a-z0-9+.-]*:\/\//i, "");
  const withoutUser = withoutScheme.replace(/^[^/@]*@/, "");
  const [, host = "", path = ""] = /^([^/:]*)(?::\d+(?=\/)|:)?(.*)$/.exec(withoutUser) ?? [];
  const rest = path.replaceAll(/^\/+|\/+$/g, "").replace(/\.git$/, "");
  return `${host.toLowerCase()}/${rest}`;
}
