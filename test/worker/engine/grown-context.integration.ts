import { LlamaLogLevel, type Token } from "node-llama-cpp";
import { expect, test } from "vitest";
import { shippedModelsDirectory } from "../../../src/platform/package-paths.ts";
import { startOnCpu } from "../../../src/worker/engine/io/llama-binary.ts";
import { growInPlace } from "../../../src/worker/engine/io/llama-native-context.ts";

const PROMPT = [5, 6, 7, 8] as Token[];

interface Inner {
  readonly _contextTokens: readonly Token[];
}

test("a sequence keeps one list of its tokens, with the same in it as ever", async () => {
  const llama = await startOnCpu({ logLevel: LlamaLogLevel.error, logger: () => undefined });
  const model = await llama.loadModel({ modelPath: `${shippedModelsDirectory()}cortex-demo.gguf` });
  const context = await model.createContext({ sequences: 2, contextSize: 64, threads: 1 });
  const plain = context.getSequence();
  const grown = growInPlace(context.getSequence());
  const lists = new Set<unknown>();
  const held: (readonly Token[])[][] = [[], []];
  for (const [at, sequence] of [plain, grown].entries()) {
    const tokens = sequence.evaluate(PROMPT, { temperature: 0, yieldEogToken: true });
    for (let written = 0; written < 6; written += 1) {
      await tokens.next();
      // oxlint-disable-next-line no-underscore-dangle -- the binding's own name
      if (sequence === grown) lists.add((sequence as unknown as Inner)._contextTokens);
      held[at]?.push(sequence.contextTokens);
    }
    await tokens.return();
    await sequence.adaptStateToTokens(PROMPT.slice(0, 3), false);
    held[at]?.push(sequence.contextTokens);
    await sequence.evaluateWithoutGeneratingNewTokens(PROMPT);
    held[at]?.push(sequence.contextTokens);
    await sequence.clearHistory();
    await sequence.evaluateWithoutGeneratingNewTokens(PROMPT.slice(1));
    held[at]?.push(sequence.contextTokens);
  }
  expect(lists.size).toBe(1);
  expect(held[1]).toEqual(held[0]);
  // What was handed out does not grow afterwards.
  expect(held[1]?.map((tokens) => tokens.length)).toEqual([4, 5, 6, 7, 8, 9, 3, 7, 3]);
});
