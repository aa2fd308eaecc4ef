import { readdir } from "node:fs/promises";
import { join, relative, resolve, sep } from "node:path";
import { CortexError } from "../../../core/errors.ts";
import { by } from "../../../core/order.ts";
import type { StudioFile } from "../peers/lm-studio.ts";

/** The GGUF files of LM Studio's models folder: `publisher/repository/file.gguf`, and nothing deeper. */
export async function studioFilesAt(directory: string): Promise<readonly StudioFile[]> {
  const root = resolve(directory);
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory() && /\.gguf$/i.test(entry.name))
    .flatMap((entry): StudioFile[] => {
      const path = join(entry.parentPath, entry.name);
      const [publisher, repository, name, ...deeper] = relative(root, path).split(sep);
      if (publisher === undefined || repository === undefined || name === undefined) return [];
      return deeper.length > 0 ? [] : [{ path, publisher, repository, name }];
    })
    .toSorted(by(({ path }) => path));
}

/** Throws `fleet_not_found` where there is no model. */
export async function readLmStudio(directory: string): Promise<readonly StudioFile[]> {
  const files = await studioFilesAt(directory);
  if (files.length > 0) return files;
  throw new CortexError("fleet_not_found", `${directory} has no publisher/repository/file.gguf`, {
    next: "name LM Studio's models folder: ~/.lmstudio/models",
  });
}
