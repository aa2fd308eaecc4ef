import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isAlive } from "../support/cortex-process.ts";
import { eventually } from "../support/eventually.ts";
import { readToTheEnd, startTestNeuron, type WireError } from "../support/neuron/neuron-under-test.ts";
import { corruptModelFile, tinyModelFile } from "../support/neuron/tiny-model.ts";
import type { Health } from "../../src/protocol/neuron-api.ts";

const MESSAGES = [{ role: "user", content: "hello" }];

describe("with the real engine", () => {
  test("a model loads, answers whole and streamed, survives a client that leaves, and goes", async () => {
    await using neuron = await startTestNeuron({}, { workerEntry: undefined });
    await copyFile(await tinyModelFile(), join(neuron.store, "tiny.gguf"));
    const origin = { kind: "revision", ref: "1234567", fleet: "lab", uncommitted: true };
    expect(await neuron.load({ model_id: "tiny", parallel: 2, origin })).toMatchObject({ status: 200 });
    const resident = (await neuron.models()).models[0];
    expect(resident).toMatchObject({ status: "loaded", vram_measured: true, origin });
    expect(resident?.vram_used_mb).toBeGreaterThan(0);

    const whole = await neuron.chat({ model: "tiny", messages: MESSAGES, max_tokens: 8 });
    expect(whole.status).toBe(200);
    expect(await whole.json()).toMatchObject({ object: "chat.completion", model: "tiny" });

    const streamed = await neuron.chat({ model: "tiny", messages: MESSAGES, max_tokens: 8, stream: true });
    const { text, broken } = await readToTheEnd(streamed);
    expect(broken).toBe(false);
    expect(text.trimEnd().endsWith("data: [DONE]")).toBe(true);

    const { usage } = (await neuron
      .chat({ model: "tiny", messages: MESSAGES, max_tokens: 1 })
      .then((answer) => answer.json())) as { usage: { prompt_tokens: number } };
    const counted = await neuron.call("/v1/count_tokens", { json: { model: "tiny", messages: MESSAGES } });
    expect(counted).toMatchObject({ status: 200, body: { count: usage.prompt_tokens } });

    const leave = new AbortController();
    const left = await neuron.chat(
      { model: "tiny", messages: MESSAGES, max_tokens: 200, stream: true },
      leave.signal,
    );
    leave.abort();
    expect((await readToTheEnd(left)).broken).toBe(true);
    await eventually(async () => {
      const { body } = await neuron.call<Health>("/health");
      expect(body.models[0]).toMatchObject({ in_flight: 0, queue_depth: 0 });
    });

    expect((await neuron.unload({ model_id: "tiny" })).status).toBe(200);
    expect(isAlive(resident?.pid ?? -1)).toBe(false);
  });

  test("a file that is no model fails its load and leaves nothing", async () => {
    await using neuron = await startTestNeuron({}, { workerEntry: undefined });
    await copyFile(await corruptModelFile(), join(neuron.store, "broken.gguf"));
    const answer = await neuron.load<WireError>({ model_id: "broken" });
    expect(answer).toMatchObject({ status: 422, body: { error: { code: "model_file_invalid" } } });
    expect((await neuron.models()).models).toEqual([]);
  });
});
