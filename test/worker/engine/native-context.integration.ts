import {
  LlamaGrammarEvaluationState,
  LlamaLogLevel,
  TokenBias,
  type Llama,
  type LlamaContextSequence,
  type SequenceEvaluateOptions,
  type Token,
} from "node-llama-cpp";
import { expect, test } from "vitest";
import { shippedModelsDirectory } from "../../../src/platform/package-paths.ts";
import { startOnCpu } from "../../../src/worker/engine/io/llama-binary.ts";
import { growInPlace, reuseSamplers } from "../../../src/worker/engine/io/llama-native-context.ts";

const ANSWER_TOKENS = 12;
const PROMPT = [5, 6, 7, 8] as Token[];

async function answer(
  sequence: LlamaContextSequence,
  options: SequenceEvaluateOptions,
): Promise<readonly Token[]> {
  await sequence.clearHistory();
  const tokens: Token[] = [];
  for await (const token of sequence.evaluate(PROMPT, { ...options, yieldEogToken: true })) {
    tokens.push(token);
    if (tokens.length === ANSWER_TOKENS) break;
  }
  return tokens;
}

/** Answers to requests of all kinds, one after the other, and how many samplers were made for them. */
async function answersOf(llama: Llama): Promise<readonly (readonly Token[])[]> {
  const model = await llama.loadModel({ modelPath: `${shippedModelsDirectory()}cortex-demo.gguf` });
  const context = await model.createContext({ sequences: 1, contextSize: 64, threads: 1 });
  const sequence = context.getSequence();
  const grammar = await llama.createGrammar({ grammar: "root ::= [0-9]+" });
  const seeded = { temperature: 1, seed: 2 };
  const punished = {
    ...seeded,
    repeatPenalty: { punishTokens: () => PROMPT, penalty: 5, frequencyPenalty: 2, presencePenalty: 2 },
  };
  const biased = { temperature: 0, tokenBias: TokenBias.for(model).set([300 as Token], { logit: 50 }) };
  const bound = {
    ...seeded,
    grammarEvaluationState: new LlamaGrammarEvaluationState({ model, grammar }),
  };
  const narrow = { ...seeded, topK: 2, topP: 0.5, minP: 0.2 };
  const kinds = [seeded, seeded, punished, seeded, biased, { temperature: 0 }, bound, narrow, seeded];
  const answers: (readonly Token[])[] = [];
  for (const options of kinds) answers.push(await answer(sequence, options));
  return answers;
}

interface Counted {
  made: number;
}

/** Counts what is made below the engine's own way. */
function countSamplers(llama: Llama): Counted {
  const counted: Counted = { made: 0 };
  // oxlint-disable-next-line no-underscore-dangle -- the binding's own name
  const { _bindings: bindings } = llama as unknown as { _bindings: { AddonSampler: new () => object } };
  const AddonSampler = new Proxy(bindings.AddonSampler, {
    construct(Sampler, given) {
      counted.made += 1;
      return Reflect.construct(Sampler, given) as object;
    },
  });
  Object.defineProperty(llama, "_bindings", {
    configurable: true,
    value: Object.create(bindings, { AddonSampler: { value: AddonSampler } }) as object,
  });
  return counted;
}

const start = (): Promise<Llama> => startOnCpu({ logLevel: LlamaLogLevel.error, logger: () => undefined });

test("answers one after the other use one sampler, which remembers nothing of those before", async () => {
  const plain = await start();
  const expected = await answersOf(plain);
  await plain.dispose();

  const llama = await start();
  const counted = countSamplers(llama);
  reuseSamplers(llama);
  const answers = await answersOf(llama);
  await llama.dispose();

  expect(answers).toEqual(expected);
  expect(answers[1]).toEqual(answers[0]);
  expect(answers[8]).toEqual(answers[0]);
  expect(new Set(answers.map(String)).size).toBeGreaterThan(3);
  expect(counted.made).toBe(1);
});

interface Inner {
  readonly _contextTokens: readonly Token[];
}

test("a sequence keeps one list of its tokens, with the same in it as ever", async () => {
  const llama = await start();
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
