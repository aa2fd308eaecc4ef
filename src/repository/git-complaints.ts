/*
 * What git says when it fails, told by its English words: cortex runs git with LC_ALL=C, and git has no codes for
 * these. test/repository/git-complaints.test.ts holds what real git says.
 */

/** Neither the directory nor any above it is a repository, or git itself is not installed. */
export const saysNoRepository = (words: string): boolean =>
  words.includes("not a git repository") || words.includes("ENOENT");

/** The remote's HEAD names a branch that is not there. */
export const saysNoRemoteHead = (words: string): boolean => /couldn't find remote ref HEAD/.test(words);

/** Objects of a partial clone could not be had from its remote. */
export const saysPromisor = (words: string): boolean =>
  /promisor remote|could not fetch [0-9a-f]{7,} from|partial clone/i.test(words);

/** It was ended because it said nothing. */
export const saysSilent = (words: string): boolean => /block timeout reached/i.test(words);

/** Another process holds one of git's own locks. */
export const saysLocked = (words: string): boolean => /cannot lock ref|File exists/.test(words);

/** Whoever asks may not write. */
export const saysDenied = (words: string): boolean =>
  /denied|not allowed|read[- ]only|forbidden|\b40[13]\b|hook declined|not authorized|service not enabled/i.test(
    words,
  );

/** The one line of a failed fetch that tells most, without git's own prefix. */
export function tellingLine(words: string): string {
  const telling =
    words.split("\n").find((line) => /^(?:fatal|error|remote|ssh):/i.test(line.trim())) ?? words;
  return firstLine(telling).replace(/^(?:fatal|error): /, "");
}

export const firstLine = (text: string): string => text.trim().split("\n")[0] ?? "";
