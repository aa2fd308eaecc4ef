import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../../../src/platform/system-clock.ts";
import type {
  GenerationJob,
  GenerationResult,
  InferenceEngine,
} from "../../../../src/worker/engine/inference-engine.ts";
import { loadLlamaEngine, type EngineSettings } from "../../../../src/worker/engine/io/llama-engine.ts";
import { resolveSampling } from "../../../../src/worker/engine/sampling-options.ts";
import type { TinyGgufOptions } from "../../../support/neuron/gguf-writer.ts";
import { tinyModelFile } from "../../../support/neuron/tiny-model.ts";

const load = async (
  settings: EngineSettings = {},
  model: TinyGgufOptions = {},
  parallel = 2,
): Promise<InferenceEngine> =>
  await loadLlamaEngine({
    modelPath: await tinyModelFile(model),
    contextTokens: 1024,
    parallel,
    gpu: false,
    settings,
    threads: 1,
    onProgress: () => undefined,
    logger: pino({ level: "silent" }),
    clock: systemClock,
  });

interface Told {
  readonly text: string;
  readonly logprobs: readonly number[];
  readonly result: GenerationResult;
}

async function ask(
  engine: InferenceEngine,
  more: Partial<Omit<GenerationJob, "sampling">> & {
    readonly prompt?: string;
    readonly sampling?: Parameters<typeof resolveSampling>[0];
  } = {},
): Promise<Told> {
  const { prompt = PROMPT, sampling = {}, ...job } = more;
  const texts: string[] = [];
  const logprobs: number[] = [];
  const generation = engine.admit({
    promptTokens: engine.tokenizer.text(prompt),
    maxTokens: 120,
    sampling: resolveSampling({ temperature: 0, seed: 1, ...sampling }, {}, 1),
    ignoreEndOfText: true,
    topLogprobs: undefined,
    grammar: undefined,
    signal: new AbortController().signal,
    ...job,
  });
  const result = await generation.run((text, figures) => {
    texts.push(text);
    if (figures !== undefined) logprobs.push(figures.logprob);
    return "continue";
  });
  return { text: texts.join(""), logprobs, result };
}

const PROMPT = "one two three four five. one two three four five. one two";
/** With the same weights it is always right; with others nearly always wrong. */
const SAME: TinyGgufOptions = { certainty: 20 };
const OTHER: TinyGgufOptions = { seed: 99, certainty: 20 };

const draftOf = async (model: TinyGgufOptions) => ({ draft_path: await tinyModelFile(model) });

describe("an answer with guessed tokens", () => {
  const cases = [
    ["at temperature 0", {}],
    ["drawn with a seed", { temperature: 0.8, seed: 7 }],
    ["with penalties", { frequency_penalty: 0.7, presence_penalty: 0.3, repetition_penalty: 1.2 }],
  ] as const;

  test.each(cases)("is the one without them, %s", async (_case, sampling) => {
    const plain = await ask(await load(), { sampling });
    const lookedUp = await ask(await load({ prompt_lookup: true }), { sampling });
    const drafted = await ask(await load(await draftOf(SAME)), { sampling });
    const misled = await ask(await load(await draftOf(OTHER)), { sampling });
    expect([lookedUp.text, drafted.text, misled.text]).toEqual([plain.text, plain.text, plain.text]);
    expect(lookedUp.result).toMatchObject({ completionTokens: 120, ended: "limit" });
    expect(plain.result.drafted).toEqual({ tokens: 0, accepted: 0 });
  });

  test("takes fewer steps where the guesses are right", async () => {
    const [plain, guessing] = [await load(), await load(await draftOf(SAME))];
    await ask(plain);
    const { drafted } = (await ask(guessing)).result;
    expect(drafted.accepted).toBeGreaterThan(60);
    expect(guessing.stepsComputed).toBeLessThan(plain.stepsComputed / 2);
  });

  test("keeps a grammar, and what the reader makes of the text on the way", async () => {
    const grammar = 'root ::= "<" [a-z]+ ">"';
    const job = { grammar: () => grammar, ignoreEndOfText: false, maxTokens: 60 };
    const plain = await ask(await load(), job);
    const drafted = await ask(await load({ ...(await draftOf(SAME)), prompt_lookup: true }), job);
    expect(drafted.text).toBe(plain.text);
    expect(drafted.text).toMatch(/^<[a-z]+/);
  });

  test("tells the same figures of its tokens", async () => {
    const plain = await ask(await load(), { topLogprobs: 2 });
    const drafted = await ask(await load(await draftOf(SAME)), { topLogprobs: 2 });
    expect(drafted.logprobs).toHaveLength(plain.logprobs.length);
    const apart = drafted.logprobs.map((logprob, at) => Math.abs(logprob - (plain.logprobs[at] ?? 0)));
    expect(Math.max(...apart)).toBeLessThan(0.1);
  });

  test("leaves in the slot what was written, so that a conversation goes on from the cache", async () => {
    const engine = await load({ ...(await draftOf(OTHER)), prompt_lookup: true }, {}, 1);
    const first = await ask(engine);
    const prompt = PROMPT + first.text;
    const again = await ask(engine, { prompt, maxTokens: 40 });
    const fresh = await ask(await load(), { prompt, maxTokens: 40 });
    expect(again.text).toBe(fresh.text);
    expect(again.result.cachedTokens).toBeGreaterThan(engine.tokenizer.text(PROMPT).length + 60);
  });

  test("ends where its reader stops it and at the end of the context", async () => {
    const engine = await load(await draftOf(SAME));
    const full = await ask(engine, { maxTokens: undefined });
    const plain = await ask(await load(), { maxTokens: undefined });
    expect(full.result).toMatchObject({
      ended: plain.result.ended,
      completionTokens: plain.result.completionTokens,
    });
    let heard = 0;
    const stopped = engine.admit({
      promptTokens: engine.tokenizer.text(PROMPT),
      maxTokens: 100,
      sampling: resolveSampling({ temperature: 0, seed: 1 }, {}, 1),
      ignoreEndOfText: true,
      topLogprobs: undefined,
      grammar: undefined,
      signal: new AbortController().signal,
    });
    const result = await stopped.run(() => {
      heard += 1;
      return heard === 33 ? Promise.resolve("stop") : "continue";
    });
    expect(result).toMatchObject({ ended: "stopped", completionTokens: 33 });
  });
});

describe("several answers at once", () => {
  test("are computed without guesses, and are the same", async () => {
    const prompts = ["first one", "second one", "third one"];
    const [plain, guessing] = [await load({}, {}, 3), await load(await draftOf(SAME), {}, 3)];
    const wanted = await Promise.all(prompts.map((prompt) => ask(plain, { prompt })));
    const told = await Promise.all(prompts.map((prompt) => ask(guessing, { prompt })));
    expect(told.map(({ text }) => text)).toEqual(wanted.map(({ text }) => text));
    // The last one to end is alone for a moment.
    const drafted = told.reduce((sum, { result }) => sum + result.drafted.tokens, 0);
    expect(drafted).toBeLessThan(60);
  });

  test("one that is left in the middle of a guess leaves its slot usable", async () => {
    const engine = await load(await draftOf(OTHER), {}, 1);
    const leaving = new AbortController();
    const left = ask(engine, { signal: leaving.signal, maxTokens: 900 });
    setImmediate(() => leaving.abort(new Error("left")));
    await expect(left).rejects.toThrow("left");
    const after = await ask(engine);
    expect(after.text).toBe((await ask(await load())).text);
    expect(engine.occupancy.busy).toBe(0);
  });
});

describe("a draft model that does not fit", () => {
  test("is refused by the field's name", async () => {
    const other = await draftOf({ preTokenizer: "tekken" });
    await expect(load(other)).rejects.toMatchObject({ code: "load_failed", param: "draft" });
  });
});
