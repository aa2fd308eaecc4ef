import { simpleGit } from "simple-git";

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
