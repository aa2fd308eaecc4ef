import { parseArgs } from "node:util";
import { getLlama, LlamaLogLevel, type Token } from "node-llama-cpp";

/*
 * The bare binding, without the worker and HTTP: CPU time of a token of a prompt, with each number of threads in turns.
 * Run it under `perf record -e cpu-clock -g` to see which kernels compute.
 */

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    threads: { type: "string", default: "1" },
    tokens: { type: "string", default: "512" },
    batch: { type: "string", default: "512" },
    flash: { type: "string", default: "auto" },
    rounds: { type: "string", default: "4" },
  },
});

const told = (of: readonly number[]): string => of.map((ms) => ms.toFixed(3)).join(" ");
const tokens = Number(values.tokens);
const llama = await getLlama({
  build: "never",
  skipDownload: true,
  gpu: false,
  logLevel: LlamaLogLevel.error,
});
const model = await llama.loadModel({ modelPath: values.model ?? "" });
const prompt = Array.from({ length: tokens }, (_, at) => (300 + ((at * 7919) % 4000)) as Token);
const flashAttention = values.flash === "auto" ? "auto" : values.flash === "on";
const contexts = await Promise.all(
  values.threads.split(",").map(async (threads) => ({
    threads,
    context: await model.createContext({
      sequences: 1,
      contextSize: tokens + 32,
      batchSize: Number(values.batch),
      threads: Number(threads),
      flashAttention,
    }),
    cpuMs: [] as number[],
    wallMs: [] as number[],
  })),
);
for (let round = 0; round < Number(values.rounds); round++) {
  for (const { context, cpuMs, wallMs } of contexts) {
    const sequence = context.getSequence();
    const before = process.cpuUsage();
    const fromMs = performance.now();
    await sequence.evaluateWithoutGeneratingNewTokens(prompt);
    const { user, system } = process.cpuUsage(before);
    cpuMs.push((user + system) / 1000 / tokens);
    wallMs.push((performance.now() - fromMs) / tokens);
    await sequence.dispose();
  }
}
for (const { threads, cpuMs, wallMs } of contexts) {
  console.log(`threads ${threads}: CPU ms/token ${told(cpuMs)}; wall ${told(wallMs)}`);
}
process.exitCode = 0;
await llama.dispose();
