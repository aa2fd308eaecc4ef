import { simpleGit, type SimpleGit } from "simple-git";
import { GIT_SILENCE_MS } from "./git-failure.ts";

export interface GitEnvironment {
  /** What git's processes inherit; only what git needs is taken from it. */
  readonly inherited: Readonly<Record<string, string | undefined>>;
  /** How long a process of git may say nothing; 30 s. */
  readonly silenceMs?: number | undefined;
  /** The same of one that talks to a remote; 120 s. */
  readonly fetchSilenceMs?: number | undefined;
}

/** Where a repository is fetched from and pushed to. */
export interface Remote {
  readonly url: string;
  /** `user:password` of an https URL; for the connection only. */
  readonly credentials: string | undefined;
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

export const READ_ONLY = ["core.hooksPath=/dev/null", "core.fsmonitor=false", "core.quotePath=false"];
/** Processes that fetch into one cache at once wait for each other's locks. */
const PATIENT = ["core.filesRefLockTimeout=5000", "core.packedRefsTimeout=10000"];
const FETCH_TIMEOUT_MS = 120_000;

/**
 * git for reading only: it asks for nothing, locks nothing, and runs nothing that a repository's own configuration
 * could name (hooks, a file system monitor).
 */
export function readingGit(directory: string, environment: GitEnvironment): SimpleGit {
  return simpleGit({
    baseDir: directory,
    config: READ_ONLY,
    unsafe: { allowUnsafeHooksPath: true, allowUnsafeFsMonitor: true },
    allowEnvironment: ["GIT_TERMINAL_PROMPT", "GIT_OPTIONAL_LOCKS"],
    timeout: { block: environment.silenceMs ?? GIT_SILENCE_MS },
  }).env(readingEnvironment(environment));
}

export const readingEnvironment = (environment: GitEnvironment): Readonly<Record<string, string>> => ({
  ...only(environment.inherited, PASSED_ON),
  LC_ALL: "C",
  GIT_TERMINAL_PROMPT: "0",
  GIT_OPTIONAL_LOCKS: "0",
});

/**
 * git for fetching into a directory of cortex's own. A password of the URL travels in git's environment: a command
 * line can be read by every user of the machine.
 */
export function fetchingGit(
  directory: string,
  options: {
    readonly environment: GitEnvironment;
    readonly remote: Remote;
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
    timeout: { block: options.environment.fetchSilenceMs ?? FETCH_TIMEOUT_MS },
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
