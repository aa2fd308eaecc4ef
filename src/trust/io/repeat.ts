import type { Clock } from "../../core/clock.ts";

export interface Pace {
  readonly clock: Clock;
  readonly everyMs: number;
}

/** Looks again and again with a pause after each look, until it is stopped or a look says that it was the last. */
export function repeat({ clock, everyMs }: Pace, look: () => Promise<"again" | "done">): Repetition {
  const stopped = new AbortController();
  const run = async (): Promise<void> => {
    while (!stopped.signal.aborted && (await look()) === "again") {
      await clock.sleep(everyMs, stopped.signal).catch(() => undefined);
    }
  };
  const ended = run();
  return {
    stop: async () => {
      stopped.abort();
      await ended;
    },
  };
}

export interface Repetition {
  /** Resolves when the look that is under way has ended. */
  stop(): Promise<void>;
}
