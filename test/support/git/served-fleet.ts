import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CortexProcess, runCortex } from "../cortex-process.ts";
import { git, temporaryDirectory } from "../fleet/fleet-on-disk.ts";
import { type RunningFleet, type RunningFleetOptions, startFleet } from "../fleet/running-fleet.ts";
import { type HttpGitServer, startHttpGit } from "./http-git-server.ts";

/** A running fleet whose repository has a remote behind a git server, and clones of it. */
export interface ServedFleet extends AsyncDisposable {
  readonly fleet: RunningFleet;
  readonly server: HttpGitServer;
  /** The repository on the server's disk. */
  readonly bare: string;
  readonly url: string;
  /** A new clone, as on another machine. */
  clone(name: string): Promise<string>;
  /** Commits a change of the fleet file and pushes it; returns the commit. */
  change(clone: string, edit: (text: string) => string, message?: string): Promise<string>;
  run(commandLine: readonly string[]): ReturnType<typeof runCortex>;
  start(commandLine: readonly string[], variables?: Readonly<Record<string, string>>): CortexProcess;
}

export async function serveFleet(options: RunningFleetOptions): Promise<ServedFleet> {
  const stack = new AsyncDisposableStack();
  const fleet = stack.use(await startFleet(options));
  const directory = stack.use(await temporaryDirectory());
  const root = join(directory.path, "srv");
  const bare = join(root, "own", "fleet.git");
  await git(directory.path, "clone", "--quiet", "--bare", fleet.directory, bare);
  const server = stack.use(await startHttpGit(root));
  const url = `${server.url}/own/fleet.git`;
  const environment = { CORTEX_DATA_DIR: join(directory.path, "data"), USER: "ann" };
  return {
    fleet,
    server,
    bare,
    url,
    clone: async (name) => {
      const path = join(directory.path, name);
      await git(directory.path, "clone", "--quiet", url, path);
      return path;
    },
    change: async (clone, edit, message = "change") => {
      const file = join(clone, "fleet.toml");
      await writeFile(file, edit(await readFile(file, "utf8")));
      await git(clone, "commit", "--quiet", "--all", "--message", message);
      await git(clone, "push", "--quiet", "origin", "HEAD");
      return git(clone, "rev-parse", "HEAD");
    },
    run: (commandLine) => runCortex(commandLine, { environment }),
    start: (commandLine, variables = {}) => {
      const process = new CortexProcess(commandLine, { environment: { ...environment, ...variables } });
      stack.defer(async () => {
        await process.stop("SIGKILL");
      });
      return process;
    },
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
}
