import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { SimpleGit } from "simple-git";
import { CortexError } from "../../core/errors.ts";
import { firstLine, saysNoRepository } from "../git-complaints.ts";
import { parseCommitId, parseFirstParents, parseFlag, parsePrefix } from "../parse-revision.ts";
import { parseIndex, type IndexEntry } from "../parse-index.ts";
import { parsePaths, parseStatus } from "../parse-status.ts";
import { parseTree, type TreeFile } from "../parse-tree.ts";
import { gitFailure, isTrouble } from "./git-failure.ts";
import { readingGit, type GitEnvironment } from "./git-process.ts";

/* One command of git each; what it answers is taken apart by the pure parsers of this area. */

/** What git answers; throws `fleet_unreachable` where it has no answer to give. */
async function ask(git: SimpleGit, question: readonly string[]): Promise<string> {
  try {
    return await git.raw([...question]);
  } catch (thrown) {
    throw gitFailure(thrown);
  }
}

/** Where a directory lies in a git work tree. */
export interface WorkTree {
  readonly git: SimpleGit;
  /** The same once more: one asks its questions one after the other. */
  readonly beside: () => SimpleGit;
  /** Path of the directory inside the work tree, with a slash at its end; empty at the top. */
  readonly prefix: string;
}

/**
 * The work tree around a directory, or around a file. Undefined outside of git, or when git is not installed. Throws when git refuses
 * to look.
 */
export async function findWorkTree(path: string, environment: GitEnvironment): Promise<WorkTree | undefined> {
  const isFile = await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
  const directory = isFile ? dirname(path) : path;
  const beside = (): SimpleGit => readingGit(directory, environment);
  const git = beside();
  try {
    const prefix = parsePrefix(await git.raw(["rev-parse", "--is-inside-work-tree", "--show-prefix"]));
    return prefix === undefined ? undefined : { git, beside, prefix };
  } catch (thrown) {
    const words = thrown instanceof Error ? thrown.message : String(thrown);
    if (saysNoRepository(words)) return undefined;
    if (isTrouble(thrown)) throw gitFailure(thrown);
    throw new CortexError(
      "fleet_not_found",
      `git cannot read the repository of ${directory}: ${firstLine(words)}`,
      {
        next: "run `git status` in that directory and follow what git says",
        cause: thrown,
      },
    );
  }
}

/** The full commit id that a ref names, or undefined. */
export const resolveCommit = (git: SimpleGit, ref: string): Promise<string | undefined> =>
  commitIdOf(git, ["rev-parse", "--verify", "--quiet", "--end-of-options", `${ref}^{commit}`]);

/** The commit where two lines of history part, or undefined when they have nothing in common (a shallow clone). */
export const mergeBase = (git: SimpleGit, left: string, right: string): Promise<string | undefined> =>
  commitIdOf(git, ["merge-base", left, right]);

async function commitIdOf(git: SimpleGit, question: readonly string[]): Promise<string | undefined> {
  try {
    return parseCommitId(await git.raw([...question]));
  } catch (thrown) {
    // No such commit, unless git got into trouble while it looked.
    if (!isTrouble(thrown)) return undefined;
    throw gitFailure(thrown);
  }
}

/** Whether a directory is a repository without a work tree, and not a directory inside of one. */
export const isBareRepository = async (directory: string, environment: GitEnvironment): Promise<boolean> =>
  (await answerOf(directory, ["rev-parse", "--is-bare-repository", "--git-dir"], environment)) === "true\n.";

/** Whether the history may be cut off. */
export const isShallowRepository = async (git: SimpleGit): Promise<boolean> =>
  parseFlag(await ask(git, ["rev-parse", "--is-shallow-repository"]));

/** The commit with which the history of another one began; undefined in a shallow clone. */
export async function firstCommitOf(git: SimpleGit, commit: string): Promise<string | undefined> {
  if (await isShallowRepository(git)) return undefined;
  return commitIdOf(git, ["rev-list", "--first-parent", "--max-parents=0", commit]);
}

/** URL of the remote `origin`, else of the first one; empty where there is none. */
export async function remoteUrlOf(git: SimpleGit): Promise<string> {
  const names = (await ask(git, ["remote"])).split("\n").filter((name) => name !== "");
  const name = names.includes("origin") ? "origin" : names[0];
  return name === undefined ? "" : (await ask(git, ["remote", "get-url", name])).trim();
}

export const absoluteGitDirectory = async (git: SimpleGit): Promise<string> =>
  (await ask(git, ["rev-parse", "--absolute-git-dir"])).replace(/\n$/, "");

/** Files, links and submodules of a whole commit. */
export const listTree = async (git: SimpleGit, commit: string): Promise<TreeFile[]> =>
  parseTree(await ask(git, ["ls-tree", "-r", "-z", "--full-tree", commit]));

/** What git keeps of the work tree, below the directory that it was opened in. */
export const listIndex = async (git: SimpleGit): Promise<IndexEntry[]> =>
  parseIndex(await ask(git, ["ls-files", "-v", "--stage", "-z", "--full-name"]));

/**
 * Paths that differ from HEAD (or are not in it), seen from the top of the repository. Of the files that git ignores,
 * those of `pathspec` count too.
 */
export async function changedPaths(git: SimpleGit, pathspec: string): Promise<string[]> {
  const others = ["--others", "--ignored", "--exclude-standard", "--full-name"];
  const ignored = await ask(git, ["ls-files", "-z", ...others, "--", pathspec]);
  const format = ["--porcelain=v1", "-z", "--no-renames", "--untracked-files=all"];
  const status = await ask(git, ["status", ...format, "--", "."]);
  return [...parseStatus(status), ...parsePaths(ignored)];
}

/**
 * The commits before those that changed a line with a text below the pathspec, the latest first. A line that is only
 * commented out counts, and so does a block that goes while its name stays in another line: how often the text occurs
 * would not tell.
 */
export async function commitsBefore(
  git: SimpleGit,
  change: {
    readonly text: string;
    /** Where the history starts. */
    readonly commit: string;
    readonly pathspec: readonly string[];
    readonly most: number;
  },
): Promise<string[]> {
  const format = ["--format=%P", `--max-count=${change.most}`, `-G${literally(change.text)}`];
  const paths = change.pathspec.length === 0 ? [] : ["--", ...change.pathspec];
  return parseFirstParents(await ask(git, ["log", ...format, change.commit, ...paths]));
}

/** For git's basic regular expressions. */
const literally = (text: string): string => text.replaceAll(/[.[\]*^$\\]/g, String.raw`\$&`);

/** Names of branches; empty where git knows none. */
export interface Branches {
  /** Of the remote's HEAD. */
  readonly published: string;
  /** Checked out here. */
  readonly present: string;
  readonly local: readonly string[];
}

export async function readBranches(directory: string, environment: GitEnvironment): Promise<Branches> {
  const nameOf = (ref: string) => answerOf(directory, ["symbolic-ref", "--short", ref], environment);
  const list = ["for-each-ref", "--format=%(refname:short)", "refs/heads"];
  return {
    published: (await nameOf("refs/remotes/origin/HEAD")).replace(/^origin\//, ""),
    present: await nameOf("HEAD"),
    local: (await answerOf(directory, list, environment)).split("\n").filter((name) => name !== ""),
  };
}

/**
 * The remote that the checked-out branch follows, else `origin`; undefined where there is none. Of one that is a path from
 * the top of the work tree, name and URL are the whole path: git is run elsewhere too, where the short one leads astray.
 */
export async function trackedRemote(
  git: SimpleGit,
): Promise<{ readonly name: string; readonly url: string } | undefined> {
  const answer = (question: readonly string[]) =>
    git.raw([...question]).then(
      (text) => text.trim(),
      () => "",
    );
  const branch = await answer(["symbolic-ref", "--short", "--quiet", "HEAD"]);
  const followed = branch === "" ? "" : await answer(["config", "--get", `branch.${branch}.remote`]);
  for (const name of [followed, "origin"]) {
    // "." is the repository itself: a branch may follow another one of the same clone.
    if (name === "" || name === ".") continue;
    const url = await answer(["remote", "get-url", "--push", name]);
    if (url === "") continue;
    if (!isRelativePath(url)) return { name, url };
    const path = resolve(await answer(["rev-parse", "--show-toplevel"]), url);
    return { name: path, url: path };
  }
  return undefined;
}

/** "../fleet.git", and neither "host:fleet.git" nor a URL: git tells them apart by the colon before the first slash. */
const isRelativePath = (url: string): boolean => !url.startsWith("/") && !/^[^/]*:/.test(url);

/** URL of the remote `origin`; empty where there is none. */
export const originUrl = (directory: string, environment: GitEnvironment): Promise<string> =>
  answerOf(directory, ["remote", "get-url", "origin"], environment);

/** Empty where git knows no answer. */
async function answerOf(
  directory: string,
  question: readonly string[],
  environment: GitEnvironment,
): Promise<string> {
  try {
    return (await readingGit(directory, environment).raw([...question])).trim();
  } catch {
    return "";
  }
}
