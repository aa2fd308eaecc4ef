import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { CortexError, systemErrorCode } from "../../core/errors.ts";

/** "other" is a pipe, a socket or a device: reading one may never end. */
export async function kindOf(path: string): Promise<"file" | "directory" | "other" | "absent"> {
  try {
    const found = await stat(path);
    return found.isDirectory() ? "directory" : found.isFile() ? "file" : "other";
  } catch (thrown) {
    const code = systemErrorCode(thrown);
    if (code === "ENOENT" || code === "ENOTDIR") return "absent";
    throw unreadable(path, thrown);
  }
}

/** A fleet directory may exist in the wanted revision only: its nearest ancestor still leads to the repository. */
export async function nearestDirectory(path: string): Promise<string> {
  if ((await kindOf(path)) === "directory") return path;
  const parent = dirname(path);
  return parent === path ? path : nearestDirectory(parent);
}

/** Nobody may ever write into a pipe that is read. */
export const notAFile = (path: string): CortexError =>
  new CortexError("fleet_not_found", `${path} is neither a file nor a directory`, {
    next: "write what it holds into a file, and name that; among fleet files, move it away",
  });

/** Without the file or directory the fleet would say something else. */
export function unreadable(path: string, thrown: unknown): CortexError {
  const reason =
    systemErrorCode(thrown) === "ENOENT"
      ? "is a link to nothing, or was removed just now"
      : `cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`;
  return new CortexError("fleet_not_found", `${path} ${reason}`, {
    next: "mend or remove it, or name the fleet's own directory with --config",
    cause: thrown,
  });
}
