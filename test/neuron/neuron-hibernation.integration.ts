import { copyFile, mkdir, readdir, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ChatCompletion } from "../../src/protocol/openai/chat.ts";
import { eventually } from "../support/eventually.ts";
import { startTestNeuron, type TestNeuron } from "../support/neuron/neuron-under-test.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";

const opening = { role: "user", content: "tell me of this and that ".repeat(12) };

async function ask(neuron: TestNeuron, messages: readonly object[]): Promise<ChatCompletion> {
  const answer = await neuron.chat({ model: "tiny", messages, max_tokens: 6, temperature: 0 });
  expect(answer.status).toBe(200);
  return (await answer.json()) as ChatCompletion;
}

const cachedOf = (answer: ChatCompletion) => answer.usage.prompt_tokens_details?.cached_tokens;

test("a conversation survives an unload and a restart of the neuron, and nothing old stays", async () => {
  await using first = await startTestNeuron();
  const directory = join(first.store, "hibernated");
  const hibernation = { directory, mostBytes: 1e8, leastRecomputeMs: 0 };
  const start = () => startTestNeuron({ hibernation, modelRoots: [first.store] }, { workerEntry: undefined });
  await mkdir(join(directory, "other-model"), { recursive: true });
  for (const name of ["old.state", "old.json", "half.partial"]) {
    const path = join(directory, "other-model", name);
    await writeFile(path, "x");
    await utimes(path, 1000, 1000);
  }
  await copyFile(await tinyModelFile(), join(first.store, "tiny.gguf"));

  const messages: object[] = [opening];
  {
    await using neuron = await start();
    expect(await readdir(directory)).toEqual([]);
    expect((await neuron.load({ model_id: "tiny" })).status).toBe(200);
    const said = await ask(neuron, messages);
    messages.push(
      { role: "assistant", content: said.choices[0]?.message.content },
      { role: "user", content: "more" },
    );
    expect((await neuron.unload({ model_id: "tiny" })).status).toBe(200);
    expect((await neuron.load({ model_id: "tiny" })).status).toBe(200);
    const continued = await ask(neuron, messages);
    expect(cachedOf(continued)).toBeGreaterThanOrEqual(said.usage.prompt_tokens);
  }
  // The neuron's own end has written the longer one.
  {
    await using neuron = await start();
    expect((await neuron.load({ model_id: "tiny" })).status).toBe(200);
    const again = await ask(neuron, messages);
    expect(cachedOf(again)).toBe(again.usage.prompt_tokens - 1);
  }
  expect((await stat(directory)).mode & 0o077).toBe(0);
});

test("a conversation survives that its model gives way to another one in a swap", async () => {
  await using store = await startTestNeuron();
  const hibernation = { directory: join(store.store, "hibernated"), mostBytes: 1e8, leastRecomputeMs: 0 };
  await using neuron = await startTestNeuron(
    { hibernation, modelRoots: [store.store], memoryLimitMib: 64 },
    { workerEntry: undefined },
  );
  for (const name of ["tiny", "other"]) {
    await copyFile(await tinyModelFile(), join(store.store, `${name}.gguf`));
  }
  expect((await neuron.load({ model_id: "tiny" })).status).toBe(200);
  const said = await ask(neuron, [opening]);
  const swapped = await neuron.call("/models/swap?wait=1", {
    json: { load: { model_id: "other", vram_mb: 63 }, evict: ["tiny"] },
  });
  expect(swapped.status).toBe(200);
  expect((await neuron.models()).models.map(({ id }) => id)).toEqual(["other"]);
  expect((await neuron.load({ model_id: "tiny" })).status).toBe(200);
  const continued = await ask(neuron, [
    opening,
    { role: "assistant", content: said.choices[0]?.message.content },
    { role: "user", content: "more" },
  ]);
  expect(cachedOf(continued)).toBeGreaterThanOrEqual(said.usage.prompt_tokens);
});

test("what a worker keeps that a neuron before has started is held to the size of the one that took it over", async () => {
  await using store = await startTestNeuron();
  const stateDirectory = join(store.store, "state");
  const directory = join(store.store, "hibernated");
  const start = (mostBytes: number) =>
    startTestNeuron(
      {
        stateDirectory,
        hibernation: { directory, mostBytes, leastRecomputeMs: 0 },
        modelRoots: [store.store],
      },
      { workerEntry: undefined },
    );
  await copyFile(await tinyModelFile(), join(store.store, "tiny.gguf"));
  await using first = await start(1e8);
  expect((await first.load({ model_id: "tiny" })).status).toBe(200);
  await ask(first, [opening]);
  const pid = (await first.models()).models[0]?.pid;
  await first.neuron.handOver();
  await using next = await start(1);
  expect((await next.models()).models[0]?.pid).toBe(pid);
  expect((await next.unload({ model_id: "tiny" })).status).toBe(200);
  await eventually(async () => {
    expect(await readdir(directory)).toEqual([]);
  });
});
