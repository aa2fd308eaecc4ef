/** A full commit id: SHA-1, or SHA-256 in repositories that use it. */
export const isCommitId = (text: string | undefined): text is string =>
  text !== undefined && /^[0-9a-f]{40,64}$/.test(text);

/** Of `git rev-parse --verify` and `git merge-base`: the last line counts, warnings may come before it. */
export function parseCommitId(answer: string): string | undefined {
  const commit = answer.trim().split("\n").at(-1);
  return isCommitId(commit) ? commit : undefined;
}

/** Of `git rev-parse --is-inside-work-tree --show-prefix`: the prefix, or undefined inside of `.git` and bare repositories. */
export function parsePrefix(answer: string): string | undefined {
  const [inside, prefix = ""] = answer.split("\n");
  return inside === "true" ? prefix : undefined;
}

/** Of `git rev-parse --is-bare-repository` and its like. */
export const parseFlag = (answer: string): boolean => answer.trim() === "true";

/** Of `git log --format=%P`: the first parent of each commit that has one; a root commit has none. */
export const parseFirstParents = (log: string): string[] =>
  log.split("\n").flatMap((line) => line.split(" ").filter(isCommitId).slice(0, 1));
