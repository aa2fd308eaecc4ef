import { getLlama, LlamaLogLevel, type Token } from "node-llama-cpp";

/*
 * The bare binding in a process of its own, for `token-gaps.ts`: `bare-answers.ts MODEL THREADS SLOTS CONTEXT`. For each message
 * with the tokens of a prompt and how many to write it answers with the milliseconds between tokens.
 */

export interface BareQuestion {
  readonly prompt: readonly number[];
  readonly tokens: number;
}

const [model = "", threads = "1", slots = "1", context = "512"] = process.argv.slice(2);
const llama = await getLlama({
  build: "never",
  skipDownload: true,
  gpu: false,
  logLevel: LlamaLogLevel.error,
});
const loaded = await llama.loadModel({ modelPath: model });
const made = await loaded.createContext({
  sequences: Number(slots),
  contextSize: Number(context),
  threads: Number(threads),
  batchSize: Math.min(512, Number(context)),
});
const sequence = made.getSequence();

async function answer({ prompt, tokens }: BareQuestion): Promise<readonly number[]> {
  await sequence.clearHistory();
  const at: number[] = [];
  for await (const _ of sequence.evaluate([...prompt] as Token[], { temperature: 0, yieldEogToken: true })) {
    at.push(performance.now());
    if (at.length === tokens) break;
  }
  return at.slice(1).map((ms, index) => ms - (at[index] ?? 0));
}

process.on("message", (question: BareQuestion) => {
  void answer(question).then((gaps) => process.send?.(gaps));
});
process.send?.("ready");
