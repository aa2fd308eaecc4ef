import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseSimulatedDevices } from "../../src/neuron/machine/simulated-devices.ts";
import { shippedModelsDirectory, workerEntryFile } from "../../src/platform/package-paths.ts";
import type { Discovery, ModelsResponse } from "../../src/protocol/neuron-api.ts";
import { writeFakeModel } from "../support/neuron/fake-worker-model.ts";
import { writeTinyGguf } from "../support/neuron/gguf-writer.ts";
import { startTestNeuron, type WireError } from "../support/neuron/neuron-under-test.ts";

const simulated = (text: string, mibPerSec = 1_000_000) => {
  const devices = parseSimulatedDevices(text);
  if (!devices.ok) throw devices.error;
  return { devices: devices.value, standIn: "stand-in", mibPerSec };
};

test("a model of 40 GiB lies on two cards that are not there, and a stand-in answers for it", async () => {
  const simulation = { ...simulated("2x32GiB RTX 5090"), standIn: "cortex-demo" };
  const roots = { modelRoots: [shippedModelsDirectory()] };
  await using neuron = await startTestNeuron({ simulation, ...roots }, { workerEntry: workerEntryFile() });
  const { body: discovery } = await neuron.call<Discovery>("/discovery");
  expect(discovery.devices).toMatchObject([
    { kind: "simulated", name: "RTX 5090", vram_total_mb: 32_768 },
    { kind: "simulated", name: "RTX 5090", vram_total_mb: 32_768 },
  ]);
  const large = {
    model_id: "big/model",
    source: "hf:big/model:Q4_K_M",
    vram_mb: 40_960,
    min_devices: 2,
    context: 32_768,
  };
  await neuron.load(large);
  const { models } = await neuron.models();
  expect(models).toMatchObject([
    { id: "big/model", devices: [0, 1], device_vram_mb: [20_480, 20_480], limit: { context: 32_768 } },
  ]);
  const chat = await neuron.chat({
    model: "big/model",
    messages: [{ role: "user", content: "hello" }],
    max_tokens: 8,
  });
  expect(chat.status).toBe(200);
  const refused = await neuron.load<WireError>({ model_id: "another", vram_mb: 30_000 });
  expect(refused).toMatchObject({ status: 503, body: { error: { code: "insufficient_vram" } } });
});

test("a model that is here is served by its own file, with the memory of a GPU", async () => {
  await using neuron = await startTestNeuron(
    { simulation: simulated("1GiB") },
    { workerEntry: workerEntryFile() },
  );
  await writeFile(join(neuron.store, "tiny.gguf"), writeTinyGguf());
  await neuron.load({ model_id: "tiny", context: 1024, parallel: 8 });
  const { body } = await neuron.call<ModelsResponse>("/models");
  expect(body.models).toMatchObject([{ id: "tiny", vram_used_mb: 11, limit: { context: 1024 } }]);
});

test("a load takes the time that its size would, and says how far it is", async () => {
  await using neuron = await startTestNeuron({ simulation: simulated("24GiB RTX 4090", 10_000) });
  writeFakeModel(neuron.store, "stand-in");
  const startedMs = performance.now();
  await neuron.load({ model_id: "m", vram_mb: 5_000 });
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(490);
  expect((await neuron.models()).models[0]?.load_duration_ms).toBeGreaterThanOrEqual(490);
});

test("a model that is not here and does not say how large it is is refused with what to do", async () => {
  await using neuron = await startTestNeuron({ simulation: simulated("24GiB RTX 4090") });
  const { body } = await neuron.load<WireError>({ model_id: "m", source: "hf:org/m" });
  expect(body.error).toMatchObject({ next: expect.stringContaining("declare vram_mb") as string });
});
