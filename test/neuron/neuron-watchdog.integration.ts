import { expect, test } from "vitest";
import { isAlive } from "../support/cortex-process.ts";
import { eventually } from "../support/eventually.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { writeFakeModel } from "../support/neuron/fake-worker-model.ts";
import { startTestNeuron, type TestNeuron } from "../support/neuron/neuron-under-test.ts";

const pidOf = async (neuron: TestNeuron): Promise<number> => (await neuron.models()).models[0]?.pid ?? -1;

test("a worker that hangs is killed after a minute and a half without an answer, and the model comes back", async () => {
  const clock = new ManualClock();
  await using neuron = await startTestNeuron({}, { clock });
  writeFakeModel(neuron.store, "alpha");
  await neuron.load({ model_id: "alpha" });
  const pid = await pidOf(neuron);
  process.kill(pid, "SIGSTOP");
  // Short of three looks that are not answered nothing is done.
  for (let second = 0; second < 60; second += 1) await clock.advance(1000);
  expect(isAlive(pid)).toBe(true);
  await eventually(async () => {
    await clock.advance(1000);
    expect(isAlive(pid)).toBe(false);
  });
  await eventually(async () => {
    await clock.advance(1000);
    expect((await neuron.chat({ model: "alpha" })).status).toBe(200);
  });
  expect(await pidOf(neuron)).not.toBe(pid);
});

test("one that answers is left alone, however long it runs", async () => {
  const clock = new ManualClock();
  await using neuron = await startTestNeuron({}, { clock });
  writeFakeModel(neuron.store, "alpha");
  await neuron.load({ model_id: "alpha" });
  const pid = await pidOf(neuron);
  for (let look = 0; look < 20; look += 1) {
    await clock.advance(10_000);
    expect((await neuron.chat({ model: "alpha" })).status).toBe(200);
  }
  expect(await pidOf(neuron)).toBe(pid);
});
