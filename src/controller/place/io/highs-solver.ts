import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { CortexError } from "../../../core/errors.ts";
import type { ProgrammeSolution } from "../prove/integer-programme.ts";
import type { SolveProgramme } from "./prove-placement.ts";

export interface HighsSolver {
  /** One at a time. */
  readonly solve: SolveProgramme;
  readonly close: () => Promise<void>;
}

const solverEnded = (how: string): CortexError =>
  new CortexError("internal_error", `the solver ended without an answer: ${how}`, {
    next: "plan without --prove, and report this with the fleet files and a snapshot",
  });

/** The HiGHS solver in a thread of its own. Throws `usage_error` where the optional package is not installed. */
export async function startHighsSolver(): Promise<HighsSolver> {
  try {
    import.meta.resolve("highs");
  } catch {
    throw new CortexError("usage_error", "--prove needs the optional package highs, which is not installed", {
      next: "npm install highs, or plan without --prove",
    });
  }
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const worker = new Worker(new URL(`./highs-worker.${extension}`, import.meta.url));
  const ended = new Promise<never>((_, reject) => {
    worker.once("error", (cause) => reject(solverEnded(String(cause))));
    worker.once("exit", (code) => reject(solverEnded(`exit code ${code}`)));
  });
  // Heard by whoever waits for an answer; nobody does while it is closed.
  ended.catch(() => undefined);
  return {
    solve: async (programme, limits) => {
      const answer = Promise.race([once(worker, "message"), ended]);
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
      worker.postMessage({ programme, limits });
      const [solution] = (await answer) as [ProgrammeSolution];
      return solution;
    },
    close: async () => {
      await worker.terminate();
    },
  };
}
