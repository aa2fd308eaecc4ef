import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/** A Chromium of this machine; undefined, and a line that says what is left out, where there is none. */
export function findChromium(): string | undefined {
  const directories = (process.env["PATH"] ?? "").split(delimiter);
  const found = directories
    .flatMap((directory) => NAMES.map((name) => join(directory, name)))
    .find(isExecutable);
  if (found === undefined)
    process.stderr.write("what needs a browser is left out: no chromium (apt-get install chromium)\n");
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
