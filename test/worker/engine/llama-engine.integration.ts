import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { loadLlamaEngine, type EngineSettings } from "../../../src/worker/engine/io/llama-engine.ts";
import type {
  GenerationResult,
  InferenceEngine,
  TextVerdict,
} from "../../../src/worker/engine/inference-engine.ts";
import { resolveSampling } from "../../../src/worker/engine/sampling-options.ts";
import { systemClock } from "../../../src/platform/system-clock.ts";
import type { TinyGgufOptions } from "../../support/neuron/gguf-writer.ts";
import { tinyModelFile } from "../../support/neuron/tiny-model.ts";

const load = async (
  parallel: number,
  contextTokens = 256,
  { model = {}, ...settings }: EngineSettings & { readonly model?: TinyGgufOptions } = {},
): Promise<InferenceEngine> =>
  await loadLlamaEngine({
    modelPath: await tinyModelFile(model),
    contextTokens,
    parallel,
    gpu: false,
    settings,
    threads: 1,
    onProgress: () => undefined,
    logger: pino({ level: "silent" }),
    clock: systemClock,
  });

const never = new AbortController().signal;

function run(
  engine: InferenceEngine,
  more: {
    readonly prompt: string;
    readonly maxTokens: number;
    readonly signal?: AbortSignal;
    readonly onText?: (text: string) => TextVerdict | Promise<TextVerdict>;
  },
): Promise<GenerationResult> {
  const generation = engine.admit({
    promptTokens: engine.tokenizer.text(more.prompt),
    maxTokens: more.maxTokens,
    sampling: resolveSampling({ temperature: 0, seed: 1 }, {}, 1),
    ignoreEndOfText: true,
    topLogprobs: undefined,
    grammar: undefined,
    signal: more.signal ?? never,
  });
  return generation.run(more.onText ?? (() => "continue"));
}

const memoryWith = async (settings: EngineSettings): Promise<number> =>
  (await load(2, 1024, { ...settings, model: WIDE_HEAD })).facts.memory_bytes;

/** Quantized caches are in blocks of 32. */
const WIDE_HEAD = { heads: 1 };

describe("how the cache is kept", () => {
  test("decides what it takes, and answers come of it all the same", async () => {
    const [usual, quantized, single] = [
      await memoryWith({}),
      await memoryWith({ kv_cache_type: "q8_0" }),
      await memoryWith({ kv_cache_type: "f32" }),
    ];
    expect(quantized).toBeLessThan(usual);
    expect(single).toBeGreaterThan(usual);
    const settings = { kv_cache_type: "q8_0", flash_attention: true, swa_full: true } as const;
    const engine = await load(2, 1024, { ...settings, model: WIDE_HEAD });
    expect(await run(engine, { prompt: "hello", maxTokens: 8 })).toMatchObject({ completionTokens: 8 });
  });

  test("is refused with the way out where the model cannot be kept so", async () => {
    await expect(load(1, 256, { kv_cache_type: "q4_0" })).rejects.toMatchObject({
      code: "load_failed",
      next: "declare another `kv_cache_type` than q4_0, or none",
    });
  });

  test("is refused with the way out where two settings exclude each other", async () => {
    await expect(load(1, 256, { kv_cache_type: "q4_0", flash_attention: false })).rejects.toMatchObject({
      code: "load_failed",
      message: expect.stringContaining("flash attention") as string,
    });
  });
});

describe("answers that are written at the same time", () => {
  test("are computed in the same steps", async () => {
    const engine = await load(4);
    const one = (name: string) => run(engine, { prompt: `${name} begins like this`, maxTokens: 60 });
    await one("first");
    const alone = engine.stepsComputed;
    await Promise.all(["second", "third", "fourth", "fifth"].map(one));
    // In steps of their own they were four times as many.
    expect(engine.stepsComputed - alone).toBeLessThan(alone + 8);
  });

  test("do not wait for one whose reader is slow", async () => {
    const engine = await load(2);
    const reader = Promise.withResolvers<TextVerdict>();
    const slow = run(engine, { prompt: "slow", maxTokens: 5, onText: () => reader.promise });
    expect(await run(engine, { prompt: "quick", maxTokens: 40 })).toMatchObject({ completionTokens: 40 });
    reader.resolve("continue");
    expect(await slow).toMatchObject({ completionTokens: 5 });
  });

  test("do not keep a new prompt from a slot that holds something else", async () => {
    const engine = await load(3);
    const prompts = ["a history of its own", "another one", "the third"];
    await Promise.all(prompts.map((prompt) => run(engine, { prompt, maxTokens: 8 })));
    let written = 0;
    const leaving = new AbortController();
    const others = prompts.slice(1).map((prompt) =>
      run(engine, {
        prompt: `${prompt} and more`,
        maxTokens: 200,
        signal: leaving.signal,
        onText: () => {
          written += 1;
          return "continue";
        },
      }).catch(() => "left"),
    );
    const before = written;
    await run(engine, { prompt: "nothing that was there before", maxTokens: 1 });
    expect(written - before).toBeLessThan(40);
    leaving.abort();
    expect(await Promise.all(others)).toEqual(["left", "left"]);
  });
});

const lengthOf = (engine: InferenceEngine, text: string): number => engine.tokenizer.text(text).length;
const told = async (engine: InferenceEngine, prompt: string) => {
  const words: string[] = [];
  const onText = (text: string): TextVerdict => {
    words.push(text);
    return "continue";
  };
  const result = await run(engine, { prompt, maxTokens: 24, onText });
  return { cached: result.cachedTokens, text: words.join("") };
};

describe("prompts that begin alike", () => {
  const system = "These are the rules of the house. ".repeat(20);
  const prompts = ["one", "two", "six", "nine"].map((name) => `${system}I am the ${name} one`);
  test("are computed once, when they come together too, and say what they say alone", async () => {
    const alone = await Promise.all(
      prompts.map(async (prompt) => told(await load(1, 1024), prompt).then(({ text }) => text)),
    );
    const engine = await load(4, 1024);
    const together = await Promise.all(prompts.map((prompt) => told(engine, prompt)));
    expect(together.map(({ text }) => text)).toEqual(alone);
    const common = lengthOf(engine, `${system}I am the `);
    expect(common).toBeGreaterThan(200);
    // The first of them computes what they share.
    expect(together.map(({ cached }) => cached)).toEqual([0, common, common, common]);
  });

  test("take it from a slot that is done with it, and leave that one as it was", async () => {
    const engine = await load(3, 1024);
    const [first = "", second = ""] = prompts;
    await told(engine, `${first} and I go on for long`);
    const before = await told(engine, first);
    const [again, other] = await Promise.all([told(engine, first), told(engine, second)]);
    expect(again).toEqual(before);
    expect(other.cached).toBe(lengthOf(engine, `${system}I am the `));
  });

  test("do not wait for one that was left in the middle of it", async () => {
    const engine = await load(2, 1024);
    const leaving = new AbortController();
    const [first = "", second = ""] = prompts;
    const left = run(engine, { prompt: first, maxTokens: 5, signal: leaving.signal }).catch(() => "left");
    const other = told(engine, second);
    leaving.abort();
    expect(await left).toBe("left");
    expect((await other).text).toBe((await told(await load(1, 1024), second)).text);
    expect(engine.occupancy).toMatchObject({ busy: 0, queued: 0 });
  });

  test("that share little are computed by themselves", async () => {
    const engine = await load(2, 1024);
    const short = ["one", "two"].map((name) => `A short beginning, and ${name}`);
    const cached = await Promise.all(short.map((prompt) => told(engine, prompt)));
    expect(cached.map((one) => one.cached)).toEqual([0, 0]);
  });
});

test("prompts and answers that leave at any time leave every slot free", async () => {
  const engine = await load(4);
  const random = seededRandom(11);
  const oneRequest = async (): Promise<void> => {
    const leaving = new AbortController();
    let left = Math.floor(random() * 30);
    const prompt = "word ".repeat(1 + Math.floor(random() * 40));
    const onText = (): TextVerdict => {
      left -= 1;
      if (left === 0) leaving.abort(new Error("left"));
      return "continue";
    };
    if (left < 5) setImmediate(() => leaving.abort(new Error("left")));
    await run(engine, { prompt, maxTokens: 20, signal: leaving.signal, onText }).catch((thrown: unknown) => {
      if (thrown !== leaving.signal.reason) throw thrown;
    });
  };
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let at = 0; at < 12; at++) await oneRequest();
    }),
  );
  expect(engine.occupancy).toMatchObject({ busy: 0, queued: 0 });
  expect(await run(engine, { prompt: "and goes on", maxTokens: 3 })).toMatchObject({ completionTokens: 3 });
});

function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}
