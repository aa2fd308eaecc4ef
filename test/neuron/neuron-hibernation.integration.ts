import { copyFile, mkdir, readdir, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ChatCompletion } from "../../src/protocol/openai/chat.ts";
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
