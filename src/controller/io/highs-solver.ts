import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { CortexError } from "../../core/errors.ts";
import type { ProgrammeSolution } from "../placement-programme.ts";
import type { SolveProgramme } from "./prove-placement.ts";

export interface HighsSolver {
  /** One at a time. */
  readonly solve: SolveProgramme;
  readonly close: () => Promise<void>;
}

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
  return {
    solve: async (programme, limits) => {
      const answer = once(worker, "message");
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
