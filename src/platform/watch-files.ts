import { watch } from "node:fs";

/** Editors and git write in several steps: what counts is the state after the last one. */
const CALM_MS = 300;

/**
 * Calls after the files below a path have changed, once they have been left alone for a moment. Returns how to stop it; null where the
 * system cannot watch the path.
 */
export function watchFiles(path: string, onChange: () => void): (() => void) | null {
  let timer: NodeJS.Timeout | undefined;
  try {
    const watcher = watch(path, { recursive: true }, (_event, name) => {
      if (name !== null && !name.endsWith(".toml")) return;
      clearTimeout(timer);
      timer = setTimeout(onChange, CALM_MS);
    });
    watcher.on("error", () => undefined);
    return () => {
      clearTimeout(timer);
      watcher.close();
    };
  } catch {
    return null;
  }
}
