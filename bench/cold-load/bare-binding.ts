import { getLlama, LlamaLogLevel } from "node-llama-cpp";

/** The binding alone, in a process of its own: load, context, and what that took. */
const [modelPath = "", sequences, contextSize] = process.argv.slice(2);
const llama = await getLlama({
  build: "never",
  skipDownload: true,
  gpu: false,
  logLevel: LlamaLogLevel.error,
});
const model = await llama.loadModel({ modelPath });
await model.createContext({ sequences: Number(sequences), contextSize: Number(contextSize), threads: 1 });
const { user, system } = process.cpuUsage();
console.log(JSON.stringify([(user + system) / 1000, process.memoryUsage().rss / 2 ** 20]));
process.exitCode = 0;
await llama.dispose();
