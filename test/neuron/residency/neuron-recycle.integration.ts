import { expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { writeFakeModel } from "../../support/neuron/fake-worker-model.ts";
import { startTestNeuron, type TestNeuron, type WireError } from "../../support/neuron/neuron-under-test.ts";

const MIB = 1024 * 1024;

async function neuronWithBoth(): Promise<TestNeuron> {
  const neuron = await startTestNeuron({ memoryLimitMib: 200 });
  for (const name of ["alpha", "beta"]) writeFakeModel(neuron.store, name, { memoryBytes: 64 * MIB });
  await neuron.load({ model_id: "alpha", vram_mb: 64 });
  for (let times = 0; times < 2; times += 1) {
    await neuron.load({ model_id: "beta", vram_mb: 64 });
    await neuron.unload({ model_id: "beta" });
  }
  return neuron;
}

const alphaOf = async (neuron: TestNeuron) => (await neuron.models()).models.find(({ id }) => id === "alpha");

test("a copy counts who goes beside it, and is loaded again as it was, in another process", async () => {
  await using neuron = await neuronWithBoth();
  const before = await alphaOf(neuron);
  expect(before).toMatchObject({ status: "loaded", cycles: 2 });
  const answer = await neuron.unload({ model_id: "alpha", reload: true });
  expect(answer).toMatchObject({ status: 200, body: { status: "unloaded" } });
  await eventually(async () => {
    expect(await alphaOf(neuron)).toMatchObject({
      status: "loaded",
      cycles: 0,
      spec_hash: before?.spec_hash,
    });
  });
  const after = await alphaOf(neuron);
  expect(after?.pid).not.toBe(before?.pid);
  expect(after?.origin).toEqual(before?.origin);
  expect((await neuron.chat({ model: "alpha" })).status).toBe(200);
});

test("work in flight is not cut for it: the copy stays, and no later unload brings it back", async () => {
  await using neuron = await neuronWithBoth();
  const leave = new AbortController();
  const stream = await neuron.chat({ model: "alpha", stream: true, fake: "endless" }, leave.signal);
  const busy = await neuron.unload<WireError>({ model_id: "alpha", reload: true, drain_timeout_secs: 0.05 });
  expect(busy.body.error.code).toBe("model_busy");
  expect(await alphaOf(neuron)).toMatchObject({ status: "loaded", cycles: 2 });
  leave.abort();
  await stream.body?.cancel().catch(() => undefined);
  await eventually(async () => {
    expect((await neuron.unload({ model_id: "alpha" })).status).toBe(200);
  });
  expect(await alphaOf(neuron)).toBeUndefined();
  // What is not there, and a neuron that takes nothing, have nothing to load again.
  expect(await neuron.unload({ model_id: "alpha", reload: true })).toMatchObject({ body: { job: null } });
});
