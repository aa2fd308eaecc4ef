import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** A table that only fleet files have, at the start of a line. */
const TABLE_OF_A_FLEET = /^\s*(?:\[(?:fleet|gateway)\]|\[\[(?:neurons|models)\]\])/mu;

/**
 * Whether a folder that nobody named looks like one of fleet files. Other TOML may lie there, and a checkout of cortex
 * has a commented example: neither is a fleet that is wrong.
 */
export async function holdsFleet(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch(() => []);
  const ofToml = names.filter((name) => name.endsWith(".toml") && !name.endsWith(".example.toml"));
  for (const name of ofToml) {
    const text = await readFile(join(folder, name), "utf8").catch(() => "");
    if (TABLE_OF_A_FLEET.test(text)) return true;
  }
  return false;
}
