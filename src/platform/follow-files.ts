import { isDeepStrictEqual } from "node:util";
import { toCortexError } from "../core/errors.ts";
import type { Logger } from "./logger.ts";
import { watchFiles } from "./watch-files.ts";

export interface FollowedFiles<Files extends { readonly fleet: unknown }> {
  readonly path: string;
  /** What is in force. */
  readonly first: Files["fleet"];
  readonly read: () => Promise<Files>;
  /** Told of what differs from what is in force. */
  readonly take: (files: Files) => void;
  readonly logger: Logger;
}

/**
 * Reads fleet files again when those of the work tree change, and whenever `reread` is called. Broken ones leave the last
 * good ones in force, and the log says so.
 */
export function followFiles<Files extends { readonly fleet: unknown }>(
  followed: FollowedFiles<Files>,
): { readonly reread: () => void; readonly close: () => void } {
  const { path, read, take, logger } = followed;
  let current = followed.first;
  const reread = async (): Promise<void> => {
    try {
      const files = await read();
      if (isDeepStrictEqual(files.fleet, current)) return;
      take(files);
      current = files.fleet;
    } catch (thrown) {
      const { code, message, details } = toCortexError(thrown);
      logger.error(
        { code, reason: message, details },
        "fleet files not taken: the last good ones stay in force",
      );
    }
  };
  const stopWatching = watchFiles(path, () => void reread());
  return { reread: () => void reread(), close: () => stopWatching?.() };
}
