import { type FSWatcher, readdirSync, statSync, watch } from "node:fs";
import { basename, dirname, join } from "node:path";

/** Editors and git write in several steps: what counts is the state after the last one. */
const CALM_MS = 300;

/**
 * Calls after the .toml files below a path have changed, or the one that it names, once they have been left alone for a moment.
 * Returns how to stop it; null where the system cannot watch the path.
 *
 * Folders are watched and not files: a watched file is lost when another takes its name, and that is how git and most
 * editors write. Node's own watch of a whole tree watches each file.
 */
export function watchFiles(path: string, onChange: () => void): (() => void) | null {
  try {
    const tree = new WatchedTree(path, onChange);
    return () => {
      tree.close();
    };
  } catch {
    return null;
  }
}

class WatchedTree {
  readonly #top: string;
  /** The one file that counts; undefined: all of them. */
  readonly #only: string | undefined;
  readonly #onChange: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  #timer: NodeJS.Timeout | undefined;

  constructor(path: string, onChange: () => void) {
    const isFile = statSync(path).isFile();
    this.#top = isFile ? dirname(path) : path;
    this.#only = isFile ? basename(path) : undefined;
    this.#onChange = onChange;
    this.#followFolders();
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** Watches folders that have come and lets go of those that are gone; true where there were any. */
  #followFolders(): boolean {
    const present = new Set(this.#only === undefined ? foldersFrom(this.#top) : [this.#top]);
    const gone = [...this.#watchers].filter(([folder]) => !present.has(folder));
    for (const [folder, watcher] of gone) {
      watcher.close();
      this.#watchers.delete(folder);
    }
    const come = [...present].filter((folder) => !this.#watchers.has(folder));
    for (const folder of come) this.#watchers.set(folder, this.#watch(folder));
    return gone.length + come.length > 0;
  }

  #watch(folder: string): FSWatcher {
    const watcher = watch(folder, (event, name) => {
      if (this.#counts(name)) this.#note();
      // What came or went may be a folder, with files in it.
      else if (event === "rename" && this.#only === undefined && this.#tryToFollow()) this.#note();
    });
    return watcher.on("error", () => undefined);
  }

  #counts(name: string | null): boolean {
    if (name === null) return true;
    return this.#only === undefined ? name.endsWith(".toml") : name === this.#only;
  }

  #tryToFollow(): boolean {
    try {
      return this.#followFolders();
    } catch {
      // A folder that went while it was looked at is told of by another event.
      return true;
    }
  }

  #note(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onChange, CALM_MS);
  }
}

/** The folder and those below it that may hold fleet files: no hidden ones, and no packages. */
function foldersFrom(top: string): readonly string[] {
  const below = readdirSync(top, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith(".") && entry.name !== "node_modules")
    .flatMap((entry) => foldersFrom(join(top, entry.name)));
  return [top, ...below];
}
