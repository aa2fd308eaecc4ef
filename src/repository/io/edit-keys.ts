import { readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CortexError } from "../../core/errors.ts";
import { withBlock, withoutKeyBlock } from "../../fleet/text/key-block.ts";
import { kindOf } from "./paths-on-disk.ts";
import { hasFleetFiles, readWorkTree } from "./work-tree.ts";
import type { GitEnvironment } from "./git-process.ts";

/** Where new keys go in a fleet that is a directory. */
export const KEYS_FILE = "keys.toml";

/**
 * Writes the block into the fleet's `keys.toml`, or into the fleet's file where it is one file. Returns the path of
 * what was written. Throws `fleet_not_found` where there is no fleet on this machine.
 */
export async function addKeyBlock(path: string, block: string): Promise<string> {
  const kind = await kindOf(path);
  if (kind === "absent" || (kind === "directory" && !(await hasFleetFiles(path)))) {
    throw new CortexError("fleet_not_found", `${path} is no fleet on this machine`, {
      next: "name the fleet's directory with --config, or print the block with --print",
    });
  }
  const file = kind === "file" ? path : join(path, KEYS_FILE);
  const text = (await kindOf(file)) === "absent" ? "" : await readFile(file, "utf8");
  await replaceFile(file, withBlock(text, block));
  return file;
}

/** Takes the key's block out of the file that has it, and returns that file; null where no file has one. */
export async function removeKeyBlock(
  path: string,
  id: string,
  environment: GitEnvironment,
): Promise<string | null> {
  const { files } = await readWorkTree(path, environment);
  for (const { path: file, text } of files) {
    const left = withoutKeyBlock(text, id);
    if (left === null || left === text) continue;
    await replaceFile(file, left);
    return file;
  }
  return null;
}

/** Never half a file, and with the permissions that it had. */
async function replaceFile(file: string, text: string): Promise<void> {
  const mode = await stat(file).then(
    (facts) => facts.mode & 0o777,
    () => 0o644,
  );
  const beside = `${file}.new-${process.pid}`;
  await writeFile(beside, text, { mode });
  await rename(beside, file);
}
