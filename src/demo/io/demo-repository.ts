import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { simpleGit } from "simple-git";
import { demoFleetFiles, type DemoPorts } from "../demo-fleet.ts";

/** Makes the demo fleet repository, or leaves the one that is there exactly as its owner changed it. */
export async function ensureDemoRepository(
  directory: string,
  ports: DemoPorts,
): Promise<{ readonly created: boolean }> {
  await mkdir(directory, { recursive: true });
  if ((await readdir(directory)).length > 0) return { created: false };
  const files = demoFleetFiles(ports);
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  const git = simpleGit({ baseDir: directory });
  await git.init(["--initial-branch=main"]);
  // The repository must work for a user who never configured git, and must not touch one who did.
  await git.addConfig("user.name", "cortex up");
  await git.addConfig("user.email", "cortex-up@localhost.invalid");
  await git.addConfig("commit.gpgsign", "false");
  await git.add(Object.keys(files));
  await git.commit("A fleet of one machine with the demo model");
  return { created: true };
}
