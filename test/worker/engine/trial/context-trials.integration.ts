import { pino } from "pino";
import { LlamaLogLevel, type Llama, type LlamaModel } from "node-llama-cpp";
import { describe, expect, test } from "vitest";
import type { Clock } from "../../../../src/core/clock.ts";
import { systemClock } from "../../../../src/platform/system-clock.ts";
import type { StepsInUse } from "../../../../src/protocol/neuron-api.ts";
import type { Calibration } from "../../../../src/protocol/worker-messages.ts";
import { startOnCpu } from "../../../../src/worker/engine/io/llama-binary.ts";
import { openCalibration } from "../../../../src/worker/engine/io/llama-calibration.ts";
import { loadLlamaEngine } from "../../../../src/worker/engine/io/llama-engine.ts";
import type { ContextSettings } from "../../../../src/worker/engine/trial/context-choice.ts";
import { findContext } from "../../../../src/worker/engine/trial/io/context-trials.ts";
import { tinyModelFile } from "../../../support/neuron/tiny-model.ts";

/** Real time, but nobody waits for the machine to be idle. */
const clock: Clock = {
  nowMs: () => systemClock.nowMs(),
  monotonicMs: () => systemClock.monotonicMs(),
  sleep: () => Promise.resolve(),
  alarm: () => () => undefined,
};
const logger = pino({ level: "silent" });

async function loadBare(): Promise<{ llama: Llama; model: LlamaModel }> {
  const llama = await startOnCpu({ logLevel: LlamaLogLevel.disabled, logger: () => undefined });
  return { llama, model: await llama.loadModel({ modelPath: await tinyModelFile() }) };
}

const bare = await loadBare();

const CANDIDATES: readonly ContextSettings[] = [
  { batchTokens: 512, flashAttention: null },
  { batchTokens: 512, flashAttention: false },
  { batchTokens: 128, flashAttention: null },
];

async function trial(idle: () => boolean): Promise<readonly ContextSettings[]> {
  const { model } = bare;
  const told: ContextSettings[] = [];
  const calibration = { toTry: CANDIDATES, found: (settings: ContextSettings) => void told.push(settings) };
  await findContext({ model, vocabularySize: 256, calibration, threads: 1, idle, clock, logger });
  return told;
}

describe("contexts beside the loaded one", () => {
  test("are tried with the real engine, and one of them is told", async () => {
    const [found, ...more] = await trial(() => true);
    expect(more).toEqual([]);
    expect([128, 512]).toContain(found?.batchTokens);
    expect([null, false]).toContain(found?.flashAttention);
  });

  test("are left for whoever asks: a trial that was cut is made again, and counts for nothing", async () => {
    let looks = 0;
    const found = await trial(() => {
      looks += 1;
      return looks % 40 !== 3;
    });
    expect(found).toHaveLength(1);
    let busy = false;
    const never = await trial(() => {
      busy = !busy;
      return busy;
    });
    expect(never).toEqual([]);
  });
});

const open = async (
  calibrations: readonly Calibration[],
  declared: { batch?: number; flash?: boolean } = {},
) => {
  const { llama, model } = bare;
  const told: { steps: StepsInUse; calibration: Calibration }[] = [];
  const calibration = await openCalibration({
    llama,
    model,
    modelPath: await tinyModelFile(),
    threads: { mathCores: 2, requested: 1, fullyOffloaded: false },
    context: {
      onGpu: false,
      contextTokens: 1024,
      declaredBatch: declared.batch,
      declaredFlash: declared.flash,
      quantizedCache: false,
    },
    calibrations,
    onCalibrated: (news) => void told.push(news),
  });
  return { calibration, told };
};

describe("what was found", () => {
  test("is for the next load of the file on this machine, where it is not tried again", async () => {
    const first = await open([]);
    expect(first.calibration.toTry).toHaveLength(4);
    expect(first.calibration.settings).toEqual({ batchTokens: 512, flashAttention: null });
    first.calibration.found({ batchTokens: 256, flashAttention: false });
    const [news] = first.told;
    expect(news?.steps).toEqual({
      batch_size: { source: "engine", tokens: 512 },
      flash_attention: { source: "engine", on: null },
      found: { batch_size: 256, flash_attention: false },
    });
    const kept = news === undefined ? [] : [news.calibration];
    const second = await open([{ ...kept[0], key: "of another file" } as Calibration, ...kept]);
    expect(second.calibration.toTry).toEqual([]);
    expect(second.calibration.settings).toEqual({ batchTokens: 256, flashAttention: false });
    expect(second.calibration.steps.batch_size).toEqual({ source: "remembered", tokens: 256 });
    // Choices of threads that come later do not forget it.
    second.calibration.record({ key: "", prompts: null, answers: [] });
    expect(second.told[0]?.calibration).toMatchObject({
      context: { batch_size: 256, flash_attention: false },
    });
    expect(second.calibration.fallBack()).toBe(true);
    expect(second.calibration.settings).toEqual({ batchTokens: 512, flashAttention: null });
    expect(second.calibration.fallBack()).toBe(false);
  });

  test("gives way to what is declared", async () => {
    const first = await open([]);
    first.calibration.found({ batchTokens: 256, flashAttention: false });
    const kept = first.told.map(({ calibration }) => calibration);
    const { calibration } = await open(kept, { batch: 64, flash: true });
    expect(calibration.steps).toMatchObject({
      batch_size: { source: "declared", tokens: 64 },
      flash_attention: { source: "declared", on: true },
    });
  });
});

test("a model that is loaded says how its context was made", async () => {
  const engine = await loadLlamaEngine({
    modelPath: await tinyModelFile(),
    contextTokens: 1024,
    parallel: 2,
    gpu: false,
    settings: { batch_size: 64 },
    threads: 1,
    onProgress: () => undefined,
    logger,
    clock,
  });
  expect(engine.facts.steps).toEqual({
    batch_size: { source: "declared", tokens: 64 },
    flash_attention: { source: "engine", on: null },
    found: null,
  });
});
