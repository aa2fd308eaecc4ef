import { GitError, simpleGit, type SimpleGit } from "simple-git";
import { CortexError } from "../../core/errors.ts";

export interface GitEnvironment {
  /** What git's processes inherit; only what git needs is taken from it. */
  readonly inherited: Readonly<Record<string, string | undefined>>;
}

/** Variables that git needs to run and to find its user's settings. Everything named GIT_* stays outside. */
const PASSED_ON = ["PATH", "HOME", "USERPROFILE", "SystemRoot", "XDG_CONFIG_HOME", "TMPDIR", "TEMP"];
/** What a connection needs besides: the user's SSH agent and command, and the way out through a proxy. */
const PASSED_ON_TO_FETCH = [
  ...PASSED_ON,
  "SSH_AUTH_SOCK",
  "GIT_SSH_COMMAND",
  "https_proxy",
  "HTTPS_PROXY",
  "http_proxy",
  "all_proxy",
  "ALL_PROXY",
  "no_proxy",
  "NO_PROXY",
];

const READ_ONLY = ["core.hooksPath=/dev/null", "core.fsmonitor=false", "core.quotePath=false"];
/** Processes that fetch into one cache at once wait for each other's locks. */
const PATIENT = ["core.filesRefLockTimeout=5000", "core.packedRefsTimeout=10000"];
const FETCH_TIMEOUT_MS = 120_000;

/**
 * git for reading only: it asks for nothing, locks nothing, and runs nothing that a repository's own configuration
 * could name (hooks, a file system monitor). `input` answers commands that read their standard input.
 */
export function readingGit(
  directory: string,
  environment: GitEnvironment,
  input?: (commandLine: readonly string[]) => string | undefined,
): SimpleGit {
  return simpleGit({
    baseDir: directory,
    config: READ_ONLY,
    unsafe: { allowUnsafeHooksPath: true, allowUnsafeFsMonitor: true },
    allowEnvironment: ["GIT_TERMINAL_PROMPT", "GIT_OPTIONAL_LOCKS"],
    timeout: { block: 30_000 },
    ...(input === undefined ? {} : { input }),
  }).env({
    ...only(environment.inherited, PASSED_ON),
    LC_ALL: "C",
    GIT_TERMINAL_PROMPT: "0",
    GIT_OPTIONAL_LOCKS: "0",
  });
}

/**
 * git for fetching into a directory of cortex's own. A password of the URL travels in git's environment: a command
 * line can be read by every user of the machine.
 */
export function fetchingGit(
  directory: string,
  options: {
    readonly environment: GitEnvironment;
    readonly remote: { readonly url: string; readonly credentials: string | undefined };
  },
): SimpleGit {
  const { url, credentials } = options.remote;
  const authorization =
    credentials === undefined
      ? {}
      : {
          GIT_CONFIG_COUNT: "1",
          GIT_CONFIG_KEY_0: `http.${new URL(url).origin}/.extraHeader`,
          GIT_CONFIG_VALUE_0: `Authorization: Basic ${Buffer.from(credentials).toString("base64")}`,
        };
  return simpleGit({
    baseDir: directory,
    config: [...READ_ONLY, ...PATIENT],
    unsafe: {
      allowUnsafeHooksPath: true,
      allowUnsafeFsMonitor: true,
      allowUnsafeSshCommand: true,
      allowUnsafeConfigEnvCount: true,
      allowUnsafeTemplateDir: true,
    },
    allowEnvironment: ["GIT_TERMINAL_PROMPT", "GIT_SSH_COMMAND", ...Object.keys(authorization)],
    timeout: { block: FETCH_TIMEOUT_MS },
  }).env({
    ...only(options.environment.inherited, PASSED_ON_TO_FETCH),
    ...authorization,
    LC_ALL: "C",
    GIT_TERMINAL_PROMPT: "0",
  });
}

const only = (
  variables: GitEnvironment["inherited"],
  names: readonly string[],
): Readonly<Record<string, string>> =>
  Object.fromEntries(
    names.flatMap((name) => {
      const value = variables[name];
      return value === undefined ? [] : [[name, value] as const];
    }),
  );

/** Where a directory lies in a git work tree. */
export interface WorkTree {
  readonly git: SimpleGit;
  /** Path of the directory inside the work tree, with a slash at its end; empty at the top. */
  readonly prefix: string;
}

/** Undefined outside of git, or when git is not installed. Throws when git refuses to look. */
export async function findWorkTree(
  directory: string,
  environment: GitEnvironment,
): Promise<WorkTree | undefined> {
  const git = readingGit(directory, environment);
  try {
    const answer = await git.raw(["rev-parse", "--is-inside-work-tree", "--show-prefix"]);
    const [inside, prefix = ""] = answer.split("\n");
    return inside === "true" ? { git, prefix } : undefined;
  } catch (thrown) {
    const words = thrown instanceof Error ? thrown.message : String(thrown);
    if (words.includes("not a git repository") || words.includes("ENOENT")) return undefined;
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
export async function resolveCommit(git: SimpleGit, ref: string): Promise<string | undefined> {
  try {
    const answer = await git.raw(["rev-parse", "--verify", "--quiet", "--end-of-options", `${ref}^{commit}`]);
    const commit = answer.trim().split("\n").at(-1) ?? "";
    return /^[0-9a-f]{40,64}$/.test(commit) ? commit : undefined;
  } catch (thrown) {
    if (thrown instanceof GitError) return undefined;
    throw thrown;
  }
}

/** The commit where two lines of history part, or undefined when they have nothing in common (a shallow clone). */
export async function mergeBase(git: SimpleGit, left: string, right: string): Promise<string | undefined> {
  try {
    const commit = (await git.raw(["merge-base", left, right])).trim();
    return commit === "" ? undefined : commit;
  } catch (thrown) {
    if (thrown instanceof GitError) return undefined;
    throw thrown;
  }
}

/** Whether a directory is a repository without a work tree. */
export async function isBareRepository(directory: string, environment: GitEnvironment): Promise<boolean> {
  try {
    const answer = await readingGit(directory, environment).raw(["rev-parse", "--is-bare-repository"]);
    return answer.trim() === "true";
  } catch {
    return false;
  }
}

export interface TreeFile {
  /** Path from the top of the repository. */
  readonly path: string;
  readonly object: string;
  readonly kind: "file" | "link" | "submodule";
}

/** Files, links and submodules of a commit below `pathInTree` (or that very file). */
export async function listTree(git: SimpleGit, commit: string, pathInTree: string): Promise<TreeFile[]> {
  const below = pathInTree === "" ? [] : ["--", pathInTree.replace(/\/$/, "")];
  const listing = await git.raw(["ls-tree", "-r", "-z", "--full-tree", commit, ...below]);
  return listing.split("\0").flatMap((entry): TreeFile[] => {
    const [facts, path] = splitOnce(entry, "\t");
    const [mode = "", type, object = ""] = facts.split(" ");
    if (type === "commit") return [{ path, object, kind: "submodule" }];
    if (type !== "blob") return [];
    return [{ path, object, kind: mode === LINK_MODE ? "link" : "file" }];
  });
}

const LINK_MODE = "120000";

export const readObject = (git: SimpleGit, object: string): Promise<string> =>
  git.raw(["cat-file", "blob", object]);

/**
 * Paths that differ from HEAD (or are not in it), seen from the top of the repository. Of the files that git ignores,
 * those of `pathspec` count too.
 */
export async function changedPaths(git: SimpleGit, pathspec: string): Promise<string[]> {
  const ignored = await git.raw([
    "ls-files",
    "-z",
    "--others",
    "--ignored",
    "--exclude-standard",
    "--full-name",
    "--",
    pathspec,
  ]);
  const status = await git.raw([
    "status",
    "--porcelain=v1",
    "-z",
    "--no-renames",
    "--untracked-files=all",
    "--",
    ".",
  ]);
  const changed = status.split("\0").flatMap((entry) => (entry.length > 3 ? [entry.slice(3)] : []));
  return [...changed, ...ignored.split("\0").filter((path) => path !== "")];
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}

export const firstLine = (text: string): string => text.trim().split("\n")[0] ?? "";
