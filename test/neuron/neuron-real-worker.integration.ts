import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isAlive } from "../support/cortex-process.ts";
import { eventually } from "../support/eventually.ts";
import { readToTheEnd, startTestNeuron, type WireError } from "../support/neuron/neuron-under-test.ts";
import { corruptModelFile, tinyLoraFile, tinyModelFile } from "../support/neuron/tiny-model.ts";
import type { Health, Job } from "../../src/protocol/neuron-api.ts";

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

  test("a model comes with its adapters and the model that guesses, and counts them before the load", async () => {
    await using neuron = await startTestNeuron({}, { workerEntry: undefined });
    await copyFile(await tinyModelFile(), join(neuron.store, "tiny.gguf"));
    await copyFile(await tinyModelFile({ certainty: 20 }), join(neuron.store, "guesser.gguf"));
    await copyFile(await tinyLoraFile(), join(neuron.store, "lora.gguf"));
    const plain = { model_id: "tiny", parallel: 1, context: 512 };
    const spec = { ...plain, draft: "guesser.gguf", lora: [{ source: "lora.gguf", scale: 0.1 }] };
    const ask = async () => {
      const answer = await neuron.chat({ model: "tiny", messages: MESSAGES, max_tokens: 40, temperature: 0 });
      return (await answer.json()) as { timings: Record<string, number> };
    };
    await neuron.load(plain);
    expect((await ask()).timings).not.toHaveProperty("draft_n");
    await neuron.unload({ model_id: "tiny" });
    const { body } = await neuron.call<{ estimates: { vram_mb: number }[] }>("/models/estimate", {
      json: { models: [plain, spec] },
    });
    const [before, both] = body.estimates;
    expect(both?.vram_mb).toBeGreaterThan(before?.vram_mb ?? Infinity);
    expect(await neuron.load(spec)).toMatchObject({ status: 200 });
    expect((await ask()).timings["draft_n"]).toBeGreaterThan(0);
    await neuron.unload({ model_id: "tiny" });
    const missing = (await neuron.load({ ...plain, draft: "nowhere.gguf" })) as unknown as {
      body: WireError;
    };
    expect(missing.body.error).toMatchObject({
      code: "source_not_found",
      message: expect.stringMatching(/^`draft`: /) as string,
    });
    const foreign = { ...plain, lora: [{ source: "guesser.gguf", scale: 1 }] };
    const refused = (await neuron.load(foreign)) as unknown as { body: WireError };
    expect(refused.body.error).toMatchObject({ code: "load_failed", param: "lora" });
    const { body: kept } = await neuron.call<{ jobs: Job[] }>("/jobs");
    expect(kept.jobs[0]?.error).toMatchObject({ code: "load_failed", param: "lora" });
  });

  test("tokens are counted for a model that is not loaded as for one that is, without a load", async () => {
    await using neuron = await startTestNeuron({}, { workerEntry: undefined });
    const names = ["tiny", "second", "third"];
    for (const [at, name] of names.entries()) {
      await copyFile(await tinyModelFile({ seed: at + 1 }), join(neuron.store, `${name}.gguf`));
    }
    const ask = (model: string, path = "/v1/count_tokens", more: object = { messages: MESSAGES }) =>
      neuron.call<Record<string, unknown>>(path, { json: { model, ...more } });
    const cold = await ask("tiny");
    expect(cold).toMatchObject({ status: 200, body: { model: "tiny", max_model_len: 1024 } });
    const prompt = "hello <|im_end|> wörld";
    const tokens = await ask("tiny", "/v1/tokenize", { prompt });
    expect(await ask("tiny", "/v1/detokenize", { tokens: tokens.body["tokens"] })).toMatchObject({
      status: 200,
      body: { prompt },
    });
    // More models than may be open at once, again and again.
    const all = await Promise.all(names.slice(1).map((name) => ask(name)));
    expect(all.map(({ body }) => body["count"])).toEqual(names.slice(1).map(() => cold.body["count"]));
    expect((await ask("tiny")).body).toEqual(cold.body);
    expect((await neuron.models()).models).toEqual([]);

    expect((await neuron.load({ model_id: "tiny" })).status).toBe(200);
    expect((await ask("tiny")).body).toEqual(cold.body);
    expect((await ask("tiny", "/v1/tokenize", { prompt })).body).toEqual(tokens.body);
    // What writes an answer needs the model.
    expect((await neuron.chat({ model: "second", messages: MESSAGES })).status).toBe(404);
    expect(await ask("nobody")).toMatchObject({ status: 404, body: { error: { code: "model_not_found" } } });
    await copyFile(await corruptModelFile(), join(neuron.store, "broken.gguf"));
    expect(await ask("broken")).toMatchObject({
      status: 422,
      body: { error: { code: "model_file_invalid" } },
    });
    expect(await ask("second", "/v1/count_tokens", {})).toMatchObject({
      status: 422,
      body: { error: { code: "invalid_request_body", param: "messages" } },
    });
  });

  test("a file that is no model fails its load and leaves nothing", async () => {
    await using neuron = await startTestNeuron({}, { workerEntry: undefined });
    await copyFile(await corruptModelFile(), join(neuron.store, "broken.gguf"));
    const answer = await neuron.load<WireError>({ model_id: "broken" });
    expect(answer).toMatchObject({ status: 422, body: { error: { code: "model_file_invalid" } } });
    expect((await neuron.models()).models).toEqual([]);
  });
});
