import { chmod, copyFile, constants, readFile, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { CortexError, systemErrorCode } from "../../../core/errors.ts";
import { replaceDurably } from "../../../platform/replace-durably.ts";
import { mergeSettings, saysAll } from "../merge-settings.ts";
import type { SettingsFile } from "../settings-change.ts";

export interface PlannedWrite {
  /** As it was named: the link, where it is one. */
  readonly path: string;
  readonly before: string | null;
  readonly after: string;
  /** Nothing has to be written. */
  readonly isSame: boolean;
}

/** `path` replaces the place where the client looks. Reads only. Throws `settings_unreadable`. */
export async function planWrite(
  file: SettingsFile,
  {
    homeDirectory,
    path = join(homeDirectory, file.path),
  }: { readonly homeDirectory: string; readonly path?: string | undefined },
): Promise<PlannedWrite> {
  const before = await readIfThere(path);
  const named = { ...file, path };
  if (before !== null && saysAll(before, named)) return { path, before, after: before, isSame: true };
  return { path, before, after: mergeSettings(before ?? "", named), isSame: false };
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (thrown) {
    if (systemErrorCode(thrown) === "ENOENT") return null;
    throw new CortexError("settings_unreadable", `${path} cannot be read: ${systemErrorCode(thrown) ?? ""}`, {
      cause: thrown,
    });
  }
}

/** Writes what was planned, and says where the copy of what was there before lies. */
export async function carryOutWrite({ path, before, after }: PlannedWrite): Promise<string | null> {
  if (before === null) {
    await replaceDurably(path, after);
    return null;
  }
  // Settings may be links into a repository of their own: the file behind is what changes.
  const target = await realpath(path);
  const { mode } = await stat(target);
  const backup = await copyAside(target);
  await replaceDurably(target, after);
  await chmod(target, mode);
  return backup;
}

const MOST_BACKUPS = 1000;

/** No copy replaces an earlier one. */
async function copyAside(path: string): Promise<string> {
  for (let number = 1; number < MOST_BACKUPS; number += 1) {
    const backup = `${path}.before-cortex-${number}`;
    try {
      await copyFile(path, backup, constants.COPYFILE_EXCL);
      return backup;
    } catch (thrown) {
      if (systemErrorCode(thrown) !== "EEXIST") throw thrown;
    }
  }
  throw new CortexError("settings_unreadable", `${path} has ${MOST_BACKUPS} backups`, {
    next: "remove the ones that are not needed",
  });
}
