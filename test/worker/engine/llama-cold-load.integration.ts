import { getLlama, GgufInsights, LlamaLogLevel, readGgufFileInfo, type Llama } from "node-llama-cpp";
import { expect, test } from "vitest";
import { shippedModelsDirectory } from "../../../src/platform/package-paths.ts";
import { findBinary, startOnCpu } from "../../../src/worker/engine/io/llama-binary.ts";
import { longestTextOf, stepOverVocabularies } from "../../../src/worker/engine/io/llama-header.ts";
import { vocabularyOf } from "../../../src/worker/engine/io/llama-vocabulary.ts";

const MODEL = `${shippedModelsDirectory()}cortex-demo.gguf`;

/** Everything but the long arrays, which stay as their length. */
const shortened = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.length > 1024 ? value.length : value.map(shortened);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, of]) => [name, shortened(of)]));
};

const settingsOf = (llama: Llama) => ({
  gpu: llama.gpu,
  release: llama.llamaCppRelease,
  build: llama.buildType,
  leftOfMemory: llama.ramPaddingSize,
  leftOfDevices: llama.vramPaddingSize,
  threads: llama.maxThreads,
  numa: llama.numa,
  memoryMaps: llama.supportsMmap,
  system: llama.systemInfo,
});

test("llama.cpp is started without a process that tries it, as the binding would start it", async () => {
  const told = { logLevel: LlamaLogLevel.error, logger: () => undefined };
  // Should there be none on Linux, the package of the binary has another form.
  expect(await findBinary()).toBeDefined();
  const ours = await startOnCpu(told);
  const theirs = await getLlama({
    ...told,
    build: "never",
    skipDownload: true,
    progressLogs: false,
    gpu: false,
  });
  expect(settingsOf(ours)).toEqual(settingsOf(theirs));
});

test("a header without its vocabulary says the same, and the model knows the texts", async () => {
  const whole = await readGgufFileInfo(MODEL);
  await stepOverVocabularies();
  await stepOverVocabularies();
  const stepped = await readGgufFileInfo(MODEL);
  expect(shortened(stepped)).toEqual(shortened(whole));
  const texts = whole.metadata.tokenizer.ggml.tokens;
  const kept = stepped.metadata.tokenizer.ggml.tokens;
  // Should they be here, the binding reads headers elsewhere.
  expect(Object.keys(kept)).toEqual([]);
  expect(longestTextOf(kept)).toBe(Math.max(...texts.map((text) => Buffer.byteLength(text))));

  const llama = await startOnCpu({ logLevel: LlamaLogLevel.error, logger: () => undefined });
  const model = await llama.loadModel({ modelPath: MODEL });
  const vocabulary = vocabularyOf(model);
  expect(texts.map((_, token) => vocabulary.textOf(token))).toEqual(texts);
  expect(vocabulary.size).toBe(texts.length);
  expect(vocabulary.textOf(texts.length)).toBe("");
  expect(model.fileInsights).toBeInstanceOf(GgufInsights);
  expect(model.fileInsights.totalParameters).toBeGreaterThan(0);
  await llama.dispose();
});
