import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { systemClock } from "../../../src/platform/system-clock.ts";
import type { InferenceEngine } from "../../../src/worker/engine/inference-engine.ts";
import { loadLlamaEngine, type EngineSettings } from "../../../src/worker/engine/io/llama-engine.ts";
import { resolveSampling } from "../../../src/worker/engine/sampling-options.ts";
import { corruptModelFile, tinyLoraFile, tinyModelFile } from "../../support/neuron/tiny-model.ts";

const load = async (lora: EngineSettings["lora"]): Promise<InferenceEngine> =>
  await loadLlamaEngine({
    modelPath: await tinyModelFile(),
    contextTokens: 256,
    parallel: 2,
    gpu: false,
    settings: lora === undefined ? {} : { lora },
    threads: 1,
    onProgress: () => undefined,
    logger: pino({ level: "silent" }),
    clock: systemClock,
  });

async function textOf(lora: EngineSettings["lora"]): Promise<string> {
  const engine = await load(lora);
  const texts: string[] = [];
  const generation = engine.admit({
    promptTokens: engine.tokenizer.text("a prompt of some length"),
    maxTokens: 60,
    sampling: resolveSampling({ temperature: 0, seed: 1 }, {}, 1),
    ignoreEndOfText: true,
    topLogprobs: undefined,
    grammar: undefined,
    signal: new AbortController().signal,
  });
  await generation.run((text) => {
    texts.push(text);
    return "continue";
  });
  return texts.join("");
}

const memoryOf = async (lora: EngineSettings["lora"]): Promise<number> =>
  (await load(lora)).facts.memory_bytes;

describe("adapters", () => {
  test("change what is written, by as much as they are put on", async () => {
    const path = await tinyLoraFile();
    const [plain, none, whole, other] = [
      await textOf(undefined),
      await textOf([{ path, scale: 0 }]),
      await textOf([{ path, scale: 1 }]),
      await textOf([{ path: await tinyLoraFile({ seed: 6 }), scale: 1 }]),
    ];
    expect(none).toBe(plain);
    expect(new Set([plain, whole, other]).size).toBe(3);
    expect(await textOf([{ path, scale: 1 }])).toBe(whole);
  });

  test("come several at once, and count for the memory", async () => {
    const [first, second] = [await tinyLoraFile(), await tinyLoraFile({ seed: 6 })];
    const both = [
      { path: first, scale: 1 },
      { path: second, scale: -0.5 },
    ];
    expect(await textOf(both)).not.toBe(await textOf([{ path: first, scale: 1 }]));
    expect(await memoryOf(both)).toBeGreaterThan(await memoryOf(undefined));
  });

  test("of another model, and files that are none, are refused by the field's name", async () => {
    const scale = 1;
    await expect(load([{ path: await tinyLoraFile({ embedding: 128 }), scale }])).rejects.toMatchObject({
      code: "load_failed",
      param: "lora",
    });
    await expect(
      load([{ path: await tinyLoraFile({ architecture: "qwen3" }), scale }]),
    ).rejects.toMatchObject({
      code: "load_failed",
      param: "lora",
    });
    await expect(load([{ path: await tinyModelFile(), scale }])).rejects.toMatchObject({ param: "lora" });
    await expect(load([{ path: await corruptModelFile(), scale }])).rejects.toMatchObject({ param: "lora" });
    await expect(load([{ path: "/nowhere/lora.gguf", scale }])).rejects.toMatchObject({
      code: "source_not_found",
    });
  });

  test("are on text: embeddings of such a model are refused, and not computed without them", async () => {
    const engine = await load([{ path: await tinyLoraFile(), scale: 1 }]);
    expect(engine.facts.capabilities).not.toContain("embeddings");
    await expect(engine.embed(["x"], new AbortController().signal)).rejects.toMatchObject({
      code: "wrong_modality",
    });
  });
});
