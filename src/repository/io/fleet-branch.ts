import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { SimpleGit } from "simple-git";
import { CortexError } from "../../core/errors.ts";
import { parseFleetPlace } from "../fleet-place.ts";
import { parseSignature, type SignatureVerdict } from "../parse-signature.ts";
import { absoluteGitDirectory, findWorkTree, mergeBase, trackedRemote } from "./git.ts";
import { gitWithInput } from "./git-input.ts";
import { readingEnvironment, type GitEnvironment } from "./git-process.ts";
import { loadFleetAt, type LoadedFleet, type LoadFleetOptions } from "./load-fleet.ts";
import { openRepository } from "./open-repository.ts";

/** What the head of a branch is now, and what may be asked of it before anybody believes it. */
export interface FleetBranch {
  readonly commit: string;
  readonly verify: (rule: SignatureRule) => Promise<SignatureVerdict>;
  /** Whether the head came out of that commit; false where its history was written anew. */
  readonly descendsFrom: (commit: string) => Promise<boolean>;
  /** Throws as `loadFleet` does. */
  readonly load: () => Promise<LoadedFleet>;
}

export interface SignatureRule {
  readonly format: "ssh" | "gpg";
  /** ssh: a file of allowed signers; gpg: a file of public keys. */
  readonly signersFile: string;
}

/** Fetches, and looks at the head. Throws `fleet_unreachable` or `fleet_revision_unknown`. */
export async function openBranch(options: LoadFleetOptions): Promise<FleetBranch> {
  const repository = await openRepository(options, options);
  const commit = await repository.head();
  return {
    commit,
    verify: (rule) => verifyCommit(repository.git, commit, { rule, environment: options }),
    descendsFrom: async (ancestor) => {
      const base = await mergeBase(repository.git, ancestor, commit).catch(() => undefined);
      return base === ancestor;
    },
    load: () => loadFleetAt(repository, commit, options),
  };
}

/**
 * Where the branch of a fleet is fetched from: a directory stands for the remote that it was cloned from, since what lies in a
 * work tree was reviewed by nobody. Throws `usage_error` where there is no remote.
 */
export async function branchPlace(
  location: { readonly path: string; readonly repo?: string | undefined; readonly branch: string },
  environment: GitEnvironment,
): Promise<string> {
  const place = parseFleetPlace(location.path);
  if (place.kind === "git") {
    const url = location.repo ?? location.path.slice("git+".length).split("#")[0];
    return `git+${url}#${place.ref ?? location.branch}:${place.path}`;
  }
  const tree = await findWorkTree(resolve(place.path), environment);
  const url = location.repo ?? (tree === undefined ? undefined : (await trackedRemote(tree.git))?.url);
  if (url !== undefined) return `git+${url}#${location.branch}:${(tree?.prefix ?? "").replace(/\/$/, "")}`;
  throw new CortexError("usage_error", `${place.path} has no git remote, so there is nothing to follow`, {
    next: "name the repository: --config git+https://host/fleet.git, or `repo` of [gitops]",
  });
}

/** The keys of a file alone count: what the user of this machine trusts elsewhere does not. */
async function verifyCommit(
  git: SimpleGit,
  commit: string,
  { rule, environment }: { readonly rule: SignatureRule; readonly environment: GitEnvironment },
): Promise<SignatureVerdict> {
  const home = await mkdtemp(join(tmpdir(), "cortex-keys-"));
  const signers = resolve(rule.signersFile);
  try {
    const variables = { ...readingEnvironment(environment), GNUPGHOME: home };
    if (rule.format === "gpg") await importKeys(signers, variables);
    const config = ["-c", `gpg.ssh.allowedSignersFile=${signers}`];
    const directory = `--git-dir=${await absoluteGitDirectory(git)}`;
    const asked = [...config, directory, "verify-commit", "--raw", commit];
    const { output, complaint, exitCode } = await gitWithInput(asked, "", { variables });
    return parseSignature(output.toString("utf8") + complaint, { format: rule.format, exitCode });
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

/** git runs gpg, and so the same gpg reads the keys. */
async function importKeys(file: string, variables: Readonly<Record<string, string>>): Promise<void> {
  const shell = ["-c", `alias.keys=!gpg --batch --quiet --no-autostart --import`, "keys", file];
  const { complaint, exitCode } = await gitWithInput(shell, "", { variables });
  if (exitCode === 0) return;
  throw new CortexError("signers_unusable", `gpg cannot read the keys of ${file}: ${complaint.trim()}`);
}
