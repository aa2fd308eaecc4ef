import { resolve } from "node:path";
import { simpleGit } from "simple-git";
import { CortexError } from "../../core/errors.ts";
import { gitFailure } from "./git-failure.ts";
import { gitWithInput } from "./git-input.ts";
import { absoluteGitDirectory, findWorkTree, resolveCommit } from "./git.ts";
import { readingEnvironment, type GitEnvironment } from "./git-process.ts";

/** `git init`, with the user's own settings. */
export async function makeRepository(directory: string): Promise<void> {
  await simpleGit({ baseDir: directory }).init(["--quiet", "--initial-branch=main"]);
}

export interface FirstCommit {
  readonly files: readonly string[];
  readonly message: string;
  /** Works for a user who never configured git, and does not touch one who did: it counts in this repository alone. */
  readonly author: { readonly name: string; readonly email: string };
}

export async function commitFirst(directory: string, commit: FirstCommit): Promise<void> {
  const git = simpleGit({ baseDir: directory });
  await git.addConfig("user.name", commit.author.name);
  await git.addConfig("user.email", commit.author.email);
  await git.addConfig("commit.gpgsign", "false");
  await git.add([...commit.files]);
  await git.commit(commit.message);
}

/** A branch whose one commit takes the repository back to a revision. */
export interface Rollback {
  readonly branch: string;
  readonly commit: string;
  /** The revision that it is as. */
  readonly back_to: string;
  /** The commit that it stands on. */
  readonly from: string;
}

/**
 * Makes the commit that brings everything back to how it was at `ref`, on a branch of its own: neither the work tree nor the
 * branch that is checked out is touched. Throws `fleet_revision_unknown` or `usage_error`.
 */
export async function commitRollback(
  request: {
    readonly path: string;
    readonly ref: string;
    readonly author: { readonly name: string; readonly email: string };
  },
  environment: GitEnvironment,
): Promise<Rollback> {
  const tree = await findWorkTree(resolve(request.path), environment);
  if (tree === undefined)
    throw new CortexError("usage_error", `${request.path} is no clone of a fleet repository`, {
      next: "clone it, and name the clone with --config",
    });
  const [back, from] = [await resolveCommit(tree.git, request.ref), await resolveCommit(tree.git, "HEAD")];
  if (back === undefined || from === undefined)
    throw new CortexError("fleet_revision_unknown", `the clone has no revision ${request.ref}`, {
      next: "git fetch, then try again; cortex history lists what was applied",
    });
  const directory = await absoluteGitDirectory(tree.git);
  const { name, email } = request.author;
  const variables = {
    ...readingEnvironment(environment),
    GIT_AUTHOR_NAME: name,
    GIT_AUTHOR_EMAIL: email,
    GIT_COMMITTER_NAME: name,
    GIT_COMMITTER_EMAIL: email,
  };
  const run = async (command: readonly string[], input = ""): Promise<string> => {
    const answer = await gitWithInput([`--git-dir=${directory}`, ...command], input, { variables });
    if (answer.exitCode === 0) return answer.output.toString("utf8").trim();
    throw gitFailure(new Error(answer.complaint));
  };
  const [short, tip] = [back.slice(0, 8), from.slice(0, 8)];
  const message = `Roll the fleet back to ${short}\n\nAs it was at ${back}; what came after it, up to ${from}, is taken back.\n`;
  const commit = await run(["commit-tree", `${back}^{tree}`, "-p", from, "-F", "-"], message);
  const branch = `rollback-to-${short}-from-${tip}`;
  await run(["update-ref", `refs/heads/${branch}`, commit]);
  return { branch, commit, back_to: back, from };
}
