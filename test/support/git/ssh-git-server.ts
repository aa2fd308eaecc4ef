import { endProcess } from "../end-process.ts";
import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { userInfo } from "node:os";
import { eventually } from "../eventually.ts";
import { freePort } from "../cortex-process.ts";

/** Where sshd is on this machine: CORTEX_TEST_SSHD names one that was unpacked somewhere else. */
export const sshd: string | undefined = [process.env["CORTEX_TEST_SSHD"], "/usr/sbin/sshd"].find(
  (path) => path !== undefined && existsSync(path),
);

export interface SshGitServer extends AsyncDisposable {
  /** URL of a repository on the disk. */
  urlOf(path: string): string;
  /** What git needs to reach it. */
  readonly environment: Readonly<Record<string, string>>;
}

/** A real sshd on a high port of the loopback address, with keys of its own. */
export async function startSshd(directory: string): Promise<SshGitServer> {
  if (sshd === undefined) throw new Error("there is no sshd");
  const home = join(directory, "ssh");
  await mkdir(home, { mode: 0o700 });
  for (const name of ["host", "client"])
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(home, name)]);
  await writeFile(join(home, "authorized"), await readFile(join(home, "client.pub"), "utf8"), {
    mode: 0o600,
  });
  const port = await freePort();
  const settings = [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${join(home, "host")}`,
    `AuthorizedKeysFile ${join(home, "authorized")}`,
    `PidFile ${join(home, "pid")}`,
    "PasswordAuthentication no",
    "StrictModes no",
    "UsePAM no",
    "PermitRootLogin prohibit-password",
    "",
  ];
  await writeFile(join(home, "config"), settings.join("\n"));
  const child = spawn(sshd, ["-D", "-e", "-f", join(home, "config")], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: process.env["PATH"], LD_LIBRARY_PATH: process.env["LD_LIBRARY_PATH"] },
  });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  await eventually(() => {
    if (!said.includes("Server listening")) throw new Error(said);
  });
  const command = join(home, "ssh");
  const options = `-i ${join(home, "client")} -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR`;
  await writeFile(command, `#!/bin/sh\nexec ssh ${options} "$@"\n`);
  await chmod(command, 0o755);
  return {
    urlOf: (path) => `ssh://${userInfo().username}@127.0.0.1:${port}${path}`,
    environment: { GIT_SSH_COMMAND: command },
    [Symbol.asyncDispose]: async () => {
      await endProcess(child);
    },
  };
}
