import { join } from "node:path";
import type { SimpleGit } from "simple-git";
import { CortexError } from "../../core/errors.ts";
import { maskSecrets } from "../../fleet/text/mask-secrets.ts";
import { dataDirectoryOf } from "../../platform/environment.ts";
import { parseFleetPlace } from "../fleet-place.ts";
import { saysDenied, saysLocked, tellingLine } from "../git-complaints.ts";
import { parseBatchEntries } from "../parse-batch.ts";
import { parseCommitMessage, parseLog, parseRemoteRefs } from "../parse-refs.ts";
import { openCache, unreachable } from "./git-cache.ts";
import { gitFailure } from "./git-failure.ts";
import { gitWithInput } from "./git-input.ts";
import { absoluteGitDirectory, findWorkTree, trackedRemote } from "./git.ts";
import { fetchingGit, readingEnvironment, type GitEnvironment } from "./git-process.ts";

/* Refs of the fleet repository's remote that programs share: read anew each time, changed only from what was read. */

export interface CommitDraft {
  readonly message: string;
  readonly parent: string | undefined;
  /** Files of the commit, by name; none in a commit that is all message. */
  readonly files: Readonly<Record<string, string>>;
  /** Who is written down as its author. */
  readonly author: { readonly name: string; readonly email: string };
}

export interface RefChange {
  readonly ref: string;
  /** What the ref must name now; undefined: it must not be there. */
  readonly expected: string | undefined;
  /** What it names then; undefined: it is removed. */
  readonly next: string | undefined;
}

export interface RefTip {
  readonly commit: string;
  readonly message: string;
}

export interface RecordedCommit {
  readonly commit: string;
  readonly message: string;
  /** The text of the file that was asked for; undefined where the commit has none. */
  readonly text: string | undefined;
}

export interface SharedRefs {
  /** The remote, as people are shown it. */
  readonly shown: string;
  /** The commits that the refs name at the remote now; "*" at the end of a ref stands for all below it. Throws `fleet_unreachable`. */
  readonly read: (refs: readonly string[]) => Promise<ReadonlyMap<string, RefTip>>;
  /** The latest commits of a line of history, each with one of its files. */
  readonly log: (commit: string, options: LogOptions) => Promise<readonly RecordedCommit[]>;
  /** Makes a commit here; nobody sees it before a ref names it. */
  readonly commit: (draft: CommitDraft) => Promise<string>;
  /**
   * All of the changes at once, or none: false when the remote's refs are not as expected. Throws `fleet_unreachable`
   * when the remote does not answer, `refs_not_writable` when it lets nobody write here.
   */
  readonly swap: (changes: readonly RefChange[]) => Promise<boolean>;
}

export interface LogOptions {
  readonly most: number;
  readonly file: string;
}

const PUSH_ATTEMPTS = 4;
const READ_ATTEMPTS = 4;

/**
 * The refs that belong to a fleet: of the URL that it is read from, or of the remote that its work tree follows.
 * Undefined where there is no remote: a directory outside of git, or a repository that was never cloned.
 */
export async function openSharedRefs(
  location: { readonly path: string; readonly repo?: string | undefined },
  environment: GitEnvironment,
): Promise<SharedRefs | undefined> {
  const place = parseFleetPlace(location.repo === undefined ? location.path : `git+${location.repo}`);
  if (place.kind === "git") {
    const cacheDirectory = join(dataDirectoryOf(environment.inherited), "git");
    const git = await openCache(place, { cacheDirectory, environment });
    return new RemoteRefs({ git, remote: place.url, shown: place.url, environment });
  }
  const tree = await findWorkTree(place.path, environment);
  if (tree === undefined) return undefined;
  const remote = await trackedRemote(tree.git);
  if (remote === undefined) return undefined;
  // The clone's own settings say how its remote is reached: CI keeps the token of a job there.
  const git = fetchingGit(await absoluteGitDirectory(tree.git), {
    environment,
    remote: { url: remote.url, credentials: undefined },
  });
  const shown = maskSecrets(remote.url);
  return new RemoteRefs({ git, remote: remote.name, shown, environment });
}

interface RemoteRefsOptions {
  readonly git: SimpleGit;
  /** A URL, or the name of a remote of the clone. */
  readonly remote: string;
  readonly shown: string;
  readonly environment: GitEnvironment;
}

class RemoteRefs implements SharedRefs {
  readonly #options: RemoteRefsOptions;
  readonly shown: string;
  #directory: Promise<string> | undefined;

  constructor(options: RemoteRefsOptions) {
    this.#options = options;
    this.shown = options.shown;
  }

  async read(refs: readonly string[]): Promise<ReadonlyMap<string, RefTip>> {
    for (let attempt = 1; ; attempt += 1) {
      const named = await this.#list(refs);
      const tips = await this.#tips(named);
      const lacking = [...named.keys()].filter((ref) => !tips.has(ref));
      if (lacking.length === 0) return tips;
      if (attempt > READ_ATTEMPTS) throw this.#restless();
      // A ref may move or go between the look and the fetch: then it is looked at again.
      await this.#fetch(lacking).catch((thrown: unknown) => {
        if (attempt === READ_ATTEMPTS) throw thrown;
      });
    }
  }

  async log(commit: string, { most, file }: LogOptions): Promise<readonly RecordedCommit[]> {
    const commits = parseLog(
      await this.#ask(["log", "-z", "--format=%H%n%B", `--max-count=${most}`, commit]),
    );
    if (commits.length === 0) return [];
    const names = commits.map((entry) => `${entry.commit}:${file}\n`).join("");
    const { output } = await this.#write(["cat-file", "--batch"], names);
    const texts = parseBatchEntries(output);
    return commits.map((entry, index) => ({ ...entry, text: texts[index]?.text }));
  }

  async commit({ message, parent, files, author }: CommitDraft): Promise<string> {
    const entries: string[] = [];
    for (const [name, text] of Object.entries(files)) {
      const object = await this.#make(["hash-object", "-w", "--stdin"], text);
      entries.push(`100644 blob ${object}\t${name}\n`);
    }
    const tree = await this.#make(["mktree"], entries.join(""));
    const parents = parent === undefined ? [] : ["-p", parent];
    return this.#make(["commit-tree", tree, ...parents, "-F", "-"], message, {
      GIT_AUTHOR_NAME: author.name,
      GIT_AUTHOR_EMAIL: author.email,
      GIT_COMMITTER_NAME: author.name,
      GIT_COMMITTER_EMAIL: author.email,
    });
  }

  async swap(changes: readonly RefChange[]): Promise<boolean> {
    for (let attempt = 1; ; attempt += 1) {
      const complaint = await this.#push(changes);
      if (complaint === undefined) return true;
      // Whether the push came through is read from the refs: an answer may be lost on its way, and words differ by host.
      const now = await this.#list(changes.map(({ ref }) => ref));
      const isAll = (wanted: (change: RefChange) => string | undefined) =>
        changes.every((change) => now.get(change.ref) === wanted(change));
      if (isAll(({ next }) => next)) return true;
      if (!isAll(({ expected }) => expected)) return false;
      if (saysDenied(complaint) || attempt >= PUSH_ATTEMPTS) throw this.#notWritable(complaint);
      // Another push had the refs locked for a moment, and did not move them.
      if (!saysLocked(complaint) && attempt >= 2) throw this.#notWritable(complaint);
    }
  }

  /** What git complained of; undefined when the remote took everything. */
  async #push(changes: readonly RefChange[]): Promise<string | undefined> {
    const leases = changes.map(({ ref, expected }) => `--force-with-lease=${ref}:${expected ?? ""}`);
    const specs = changes.map(({ ref, next }) => `${next ?? ""}:${ref}`);
    const settings = ["-c", "push.followTags=false", "-c", "push.gpgSign=false"];
    const push = ["push", "--porcelain", "--atomic", "--no-verify", "--no-recurse-submodules", ...leases];
    try {
      await this.#options.git.raw([...settings, ...push, "--", this.#options.remote, ...specs]);
      return undefined;
    } catch (thrown) {
      return thrown instanceof Error ? thrown.message : String(thrown);
    }
  }

  async #list(refs: readonly string[]): Promise<Map<string, string>> {
    try {
      return parseRemoteRefs(
        await this.#options.git.raw(["ls-remote", "--refs", "--", this.#options.remote, ...refs]),
      );
    } catch (thrown) {
      throw unreachable({ url: this.shown }, thrown);
    }
  }

  async #fetch(refs: readonly string[]): Promise<void> {
    // Into no ref of this repository: several programs fetch into it at once.
    const options = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules"];
    try {
      await this.#options.git.raw(["fetch", ...options, "--", this.#options.remote, ...refs]);
    } catch (thrown) {
      throw unreachable({ url: this.shown }, thrown);
    }
  }

  /** What is here already of what the refs name. */
  async #tips(named: ReadonlyMap<string, string>): Promise<Map<string, RefTip>> {
    if (named.size === 0) return new Map();
    const { output } = await this.#write(["cat-file", "--batch"], `${[...named.values()].join("\n")}\n`);
    const entries = parseBatchEntries(output);
    return new Map(
      [...named].flatMap(([ref, commit], index) => {
        const text = entries[index]?.text;
        return text === undefined ? [] : [[ref, { commit, message: parseCommitMessage(text) }] as const];
      }),
    );
  }

  async #ask(question: readonly string[]): Promise<string> {
    try {
      return await this.#options.git.raw([...question]);
    } catch (thrown) {
      throw gitFailure(thrown);
    }
  }

  async #make(
    command: readonly string[],
    input: string,
    variables: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const { output, complaint, exitCode } = await this.#write(command, input, variables);
    if (exitCode === 0) return output.toString("utf8").trim();
    throw gitFailure(new Error(complaint));
  }

  async #write(
    command: readonly string[],
    input: string,
    variables: Readonly<Record<string, string>> = {},
  ): ReturnType<typeof gitWithInput> {
    const { git, environment } = this.#options;
    this.#directory ??= absoluteGitDirectory(git);
    return gitWithInput([`--git-dir=${await this.#directory}`, ...command], input, {
      variables: { ...readingEnvironment(environment), ...variables },
      silenceMs: environment.silenceMs,
    });
  }

  #restless(): CortexError {
    return new CortexError("fleet_unreachable", `the refs of ${this.shown} do not stand still`, {
      next: "try again",
    });
  }

  #notWritable(complaint: string): CortexError {
    const said = maskSecrets(tellingLine(complaint));
    return new CortexError(
      "refs_not_writable",
      `${this.shown} does not let refs/cortex be written: ${said}`,
      {
        details: { remote: this.shown },
      },
    );
  }
}
