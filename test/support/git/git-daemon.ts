import { hasEnded } from "../end-process.ts";
import { spawn } from "node:child_process";
import { freePort } from "../cortex-process.ts";
import { git } from "../fleet/fleet-on-disk.ts";
import { eventually } from "../eventually.ts";

export interface GitDaemon extends AsyncDisposable {
  /** Base URL; repositories lie below it by their names. */
  readonly url: string;
}

/** `git daemon`, which takes pushes where it is told to. */
export async function startGitDaemon(
  root: string,
  options: { readonly writable?: boolean; readonly probe: string },
): Promise<GitDaemon> {
  const port = await freePort();
  const receive = options.writable === false ? [] : ["--enable=receive-pack"];
  const child = spawn(
    "git",
    [
      "daemon",
      "--listen=127.0.0.1",
      `--port=${port}`,
      `--base-path=${root}`,
      "--export-all",
      "--reuseaddr",
      ...receive,
      root,
    ],
    {
      env: { PATH: process.env["PATH"], GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1" },
      stdio: "ignore",
      // Its own children end with it.
      detached: true,
    },
  );
  const end = (): void => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
  };
  process.once("exit", end);
  const url = `git://127.0.0.1:${port}`;
  await eventually(async () => {
    await git("/", "ls-remote", `${url}/${options.probe}`);
  });
  return {
    url,
    [Symbol.asyncDispose]: async () => {
      process.off("exit", end);
      if (hasEnded(child)) return;
      const closed = new Promise((resolve) => child.once("close", resolve));
      end();
      await closed;
    },
  };
}
