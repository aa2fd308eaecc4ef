import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import { CortexError, systemErrorCode } from "../../core/errors.ts";

export async function kindOf(path: string): Promise<"file" | "directory" | "absent"> {
  try {
    return (await stat(path)).isDirectory() ? "directory" : "file";
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
