// Loads one model with the engine and prints what it holds, in bytes: `node measure.ts FILE CONTEXT PARALLEL`.
import { pino } from "pino";
import { systemClock } from "../../src/platform/system-clock.ts";
import { loadLlamaEngine } from "../../src/worker/engine/io/llama-engine.ts";

const [modelPath = "", context = "", parallel = ""] = process.argv.slice(2);
const engine = await loadLlamaEngine({
  modelPath,
  contextTokens: Number(context),
  parallel: Number(parallel),
  gpu: false,
  settings: {},
  threads: undefined,
  onProgress: () => undefined,
  logger: pino({ level: "silent" }),
  clock: systemClock,
});
process.stdout.write(`${engine.facts.memory_bytes}\n`);
process.exit(0);
