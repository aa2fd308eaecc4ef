import { parentPort } from "node:worker_threads";
import loadHighs from "highs";
import type { Programme } from "../prove/integer-programme.ts";
import { solveProgramme, type SolveLimits } from "./solve-programme.ts";

/** The thread of `startHighsSolver`: a solve blocks, so it must not block the rest. */
// Its types are written for require, where the loader is a property of the module; imported, it is the default itself.
const highs = await (loadHighs as unknown as typeof loadHighs.default)();
parentPort?.on("message", ({ programme, limits }: { programme: Programme; limits: SolveLimits }) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread is no window
  parentPort?.postMessage(solveProgramme(highs, programme, limits));
});
