import { readdirSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { workerEntryFile } from "../../../src/platform/package-paths.ts";
import {
  discoverySchema,
  estimateResponseSchema,
  modelEstimateSchema,
  type Job,
  type ModelEstimate,
} from "../../../src/protocol/neuron-api.ts";
import { eventually } from "../../support/eventually.ts";
import { writeFakeModel } from "../../support/neuron/fake-worker-model.ts";
import { publishRepository, startFileServer } from "../../support/neuron/file-server.ts";
import { writeTinyLora } from "../../support/neuron/gguf-lora-writer.ts";
import { writeTinyGguf } from "../../support/neuron/gguf-writer.ts";
import { startTestNeuron, type TestNeuron, type WireError } from "../../support/neuron/neuron-under-test.ts";

const estimate = async (neuron: TestNeuron, spec: Record<string, unknown>): Promise<ModelEstimate> => {
  const { body } = await neuron.call("/models/estimate", { json: spec });
  return modelEstimateSchema.parse(estimateResponseSchema.parse(body).estimates[0]);
};

test("says what a model takes before a load, and what it took after one, also after a restart", async () => {
  const stateDirectory = await mkdtemp(join(tmpdir(), "cortex-test-state-"));
  const spec = { model_id: "tiny", context: 8192, parallel: 8 };
  let measured: ModelEstimate;
  {
    await using neuron = await startTestNeuron({ stateDirectory }, { workerEntry: workerEntryFile() });
    await writeFile(join(neuron.store, "tiny.gguf"), writeTinyGguf());
    const before = await estimate(neuron, spec);
    expect(before).toMatchObject({
      source: "metadata",
      context: 8192,
      parallel: 8,
      cache_mb: 32,
      cache_bytes_per_token: 4096,
      load_secs: null,
      fits_now: { ok: true },
      devices: [{ index: 0, vram_mb: before.vram_mb }],
    });
    await neuron.load(spec);
    measured = await estimate(neuron, spec);
    const [resident] = (await neuron.models()).models;
    expect(measured).toMatchObject({
      source: "measured",
      vram_mb: resident?.vram_used_mb,
      load_secs_source: "measured",
    });
    expect(Math.abs(before.vram_mb - measured.vram_mb)).toBeLessThanOrEqual(8);
    const discovery = discoverySchema.parse((await neuron.call("/discovery")).body);
    expect(discovery.facts).toMatchObject([
      { model_id: "tiny", source: "measured", vram_mb: measured.vram_mb },
    ]);
    await neuron.unload({ model_id: "tiny" });
    const job = await neuron.load(spec);
    expect(job.body.job?.state).toBe("done");
    expect(await estimate(neuron, { ...spec, context: 1024 })).toMatchObject({
      source: "metadata",
      load_secs: null,
    });
  }
  await using again = await startTestNeuron({ stateDirectory }, { workerEntry: workerEntryFile() });
  await writeFile(join(again.store, "tiny.gguf"), writeTinyGguf());
  expect(await estimate(again, spec)).toMatchObject({ source: "measured", vram_mb: measured.vram_mb });
  await rm(stateDirectory, { recursive: true, maxRetries: 5 });
});

const threadsOf = async (neuron: TestNeuron) => (await neuron.models()).models[0]?.threads;

test("threads that a worker chose are shown, and the next load begins with them, also after a restart", async () => {
  const stateDirectory = await mkdtemp(join(tmpdir(), "cortex-test-state-"));
  const spec = { model_id: "tiny", context: 512 };
  const oneCore = availableParallelism() === 1;
  const chosen = { prompts: oneCore ? 1 : null, answers: [{ streams: 1, threads: 1 }] };
  {
    await using neuron = await startTestNeuron({ stateDirectory }, { workerEntry: workerEntryFile() });
    await writeFile(join(neuron.store, "tiny.gguf"), writeTinyGguf());
    await neuron.load(spec);
    const generation = (await neuron.models()).generation;
    const answer = await neuron.chat({
      model: "tiny",
      messages: [{ role: "user", content: "hello" }],
      max_tokens: 20,
    });
    expect(answer.status).toBe(200);
    await answer.text();
    await eventually(async () => {
      expect(await threadsOf(neuron)).toEqual({ source: "measured", ...chosen });
    });
    // Nobody's plan is out of date for it.
    expect((await neuron.models()).generation).toBe(generation);
  }
  await using again = await startTestNeuron({ stateDirectory }, { workerEntry: workerEntryFile() });
  await writeFile(join(again.store, "tiny.gguf"), writeTinyGguf());
  await again.load(spec);
  expect(await threadsOf(again)).toEqual({ source: oneCore ? "measured" : "remembered", ...chosen });
  await again.unload({ model_id: "tiny" });
  await again.load({ ...spec, threads: 2 });
  expect(await threadsOf(again)).toEqual({
    source: "declared",
    prompts: 2,
    answers: [{ streams: 1, threads: 2 }],
  });
  await rm(stateDirectory, { recursive: true, maxRetries: 5 });
});

test("a load that was measured before says when it will be there", async () => {
  await using neuron = await startTestNeuron();
  const model = writeFakeModel(neuron.store, "alpha", { gated: true });
  model.openGate();
  await neuron.load({ model_id: "alpha" });
  await neuron.unload({ model_id: "alpha" });
  await rm(join(neuron.store, "alpha.gate"));
  const { body } = await neuron.call<{ job: Job }>("/models/load", { json: { model_id: "alpha" } });
  await eventually(async () => {
    const { eta_at_ms: etaAtMs, created_at_ms: createdAtMs } = await neuron.job(body.job.id);
    expect(etaAtMs).toBeGreaterThan(createdAtMs);
  });
  model.openGate();
  await neuron.load({ model_id: "alpha" });
  expect((await neuron.job(body.job.id)).eta_at_ms).toBeUndefined();
});

test("says where it does not fit, and answers for each of several", async () => {
  await using neuron = await startTestNeuron({ memoryLimitMib: 40, engines: [process.execPath] });
  await writeFile(join(neuron.store, "tiny.gguf"), writeTinyGguf());
  writeFakeModel(neuron.store, "fake");
  const models = [
    { model_id: "tiny", context: 8192, parallel: 64 },
    { model_id: "fake" },
    { model_id: "gone" },
    { model_id: "far", source: "hf:org/repo:Q4_K_M" },
    { model_id: "declared", source: "tiny", vram_mb: 30 },
    { model_id: "other", harness: "openai", endpoint: "http://127.0.0.1:9" },
    { model_id: "started", harness: "openai", command: ["node", "engine", "--port=${PORT}"] },
    { model_id: "said", harness: "openai", command: ["node", "engine", "--port=${PORT}"], vram_mb: 20 },
  ];
  const { body } = await neuron.call("/models/estimate", { json: { models } });
  const [large, fake, gone, far, declared, other, started, said] =
    estimateResponseSchema.parse(body).estimates;
  expect(large).toMatchObject({ devices: [], fits_now: { ok: false, reason: "insufficient_vram" } });
  expect(fake).toMatchObject({ source: "file_size" });
  expect(gone).toMatchObject({ model_id: "gone", error: { code: "source_not_found" } });
  expect(far).toMatchObject({ error: { code: "download_failed" } });
  expect(declared).toMatchObject({ source: "declared", vram_mb: 30 });
  // An engine that runs anyway holds its memory whether it is used here or not.
  expect(other).toMatchObject({ vram_mb: 0, fits_now: { ok: true } });
  // One that is started here takes memory here: unknown is not nothing.
  expect(started).toMatchObject({
    error: { code: "invalid_request_body", message: expect.stringContaining("must be declared") as string },
  });
  expect(said).toMatchObject({ source: "declared", vram_mb: 20 });
});

test.each([
  [{}, "model_id"],
  [{ models: [{ model_id: "" }] }, "model_id"],
])("refuses %j and names the field", async (json, field) => {
  await using neuron = await startTestNeuron();
  const { status, body } = await neuron.call("/models/estimate", { json });
  expect(status).toBe(422);
  expect(body.error.message).toContain(field);
});

test("a model that is not here is estimated with its adapters and its draft, and nothing is fetched for it", async () => {
  await using server = await startFileServer();
  const files = { model: writeTinyGguf(), draft: writeTinyGguf({ seed: 3 }), adapter: writeTinyLora() };
  for (const [name, body] of Object.entries(files)) publishRepository(server, name, { "m.gguf": body });
  const hub = { endpoint: server.base, token: undefined };
  await using neuron = await startTestNeuron({ hub }, { workerEntry: workerEntryFile() });
  const plain = { model_id: "far", source: "hf:org/model", context: 4096 };
  const alone = await estimate(neuron, plain);
  expect(alone).toMatchObject({
    source: "metadata",
    fetch_bytes: files.model.length,
    file_bytes: files.model.length,
  });
  const joined = await estimate(neuron, {
    ...plain,
    draft: "hf:org/draft",
    lora: [{ source: "hf:org/adapter", scale: 1 }],
  });
  const bytes = files.model.length + files.draft.length + files.adapter.length;
  expect(joined).toMatchObject({ source: "metadata", fetch_bytes: bytes });
  // The draft has one sequence of as many tokens, and a step of its own.
  expect(joined.cache_mb).toBe(2 * alone.cache_mb);
  expect(joined.vram_mb).toBeGreaterThan(alone.vram_mb);
  expect(readdirSync(neuron.store)).toEqual([]);
  const { body } = await neuron.call("/models/load?wait=1", { json: plain });
  expect(body).toMatchObject({ status: "loaded" });
  expect(await estimate(neuron, plain)).toMatchObject({ fetch_bytes: 0 });
});

test("what a source refuses is said of the estimate as of the load", async () => {
  await using server = await startFileServer();
  server.behaves(() => ({ status: 401 }));
  await using neuron = await startTestNeuron({ hub: { endpoint: server.base, token: undefined } });
  const asked = { model_id: "far", source: "hf:org/model" };
  const { body } = await neuron.call("/models/estimate", { json: asked });
  const load = await neuron.load<WireError>(asked);
  const [told] = estimateResponseSchema.parse(body).estimates;
  expect(told).toMatchObject({ error: { code: "source_denied", message: load.body.error.message } });
});
