import { CortexError } from "../../core/errors.ts";

/** One at a time for each name, in order of arrival. */
export interface Turns {
  /** Resolves with what gives the turn back; rejects when the signal aborts first, or when too many wait. */
  take(name: string, signal: AbortSignal): Promise<() => void>;
}

const MOST_WAITING = 64;

export function createTurns(): Turns {
  const waiting = new Map<string, (() => void)[]>();

  const giveBack = (name: string): void => {
    const next = waiting.get(name)?.shift();
    if (next === undefined) waiting.delete(name);
    else next();
  };

  return {
    take: async (name, signal) => {
      let given = false;
      const release = (): void => {
        if (given) return;
        given = true;
        giveBack(name);
      };
      const queue = waiting.get(name);
      if (queue === undefined) {
        waiting.set(name, []);
        return release;
      }
      if (queue.length >= MOST_WAITING) {
        throw new CortexError("queue_full", `${queue.length} requests wait for their turn already`);
      }
      await new Promise<void>((resolve, reject) => {
        const leave = (): void => {
          queue.splice(queue.indexOf(turn), 1);
          reject(new CortexError("interrupted", "the client closed the connection"));
        };
        const turn = (): void => {
          signal.removeEventListener("abort", leave);
          resolve();
        };
        queue.push(turn);
        if (signal.aborted) leave();
        else signal.addEventListener("abort", leave, { once: true });
      });
      return release;
    },
  };
}
