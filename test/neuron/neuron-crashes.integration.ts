import { copyFile, mkdtemp, readFile, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { NeuronConfig } from "../../src/neuron/io/start-neuron.ts";
import { eventually } from "../support/eventually.ts";
import { writeFakeModel } from "../support/neuron/fake-worker-model.ts";
import {
  readToTheEnd,
  startTestNeuron,
  type TestNeuron,
  type WireError,
} from "../support/neuron/neuron-under-test.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";

// Real processes; what kills a worker is a signal, as it would be after a fault of native code.

async function neuronWithTiny(config: Partial<NeuronConfig> = {}): Promise<TestNeuron> {
  const neuron = await startTestNeuron(config, { workerEntry: undefined });
  await copyFile(await tinyModelFile(), join(neuron.store, "tiny.gguf"));
  expect((await neuron.load({ model_id: "tiny", parallel: 4 })).status).toBe(200);
  return neuron;
}

const body = (content: string) => ({
  model: "tiny",
  messages: [{ role: "user", content }],
  max_tokens: 900,
  stream: true,
});

/** A stream whose first bytes have come: it is at work. */
async function atWork(neuron: TestNeuron, content: string): Promise<{ readonly end: Promise<string> }> {
  const response = await neuron.chat({ ...body(content) });
  expect(response.status).toBe(200);
  return { end: readToTheEnd(response).then(({ text }) => text) };
}

async function killWorker(neuron: TestNeuron, signal: NodeJS.Signals): Promise<void> {
  const { pid } = (await neuron.models()).models[0] ?? {};
  process.kill(pid ?? -1, signal);
  await eventually(async () => {
    expect((await neuron.models()).models[0]?.pid).not.toBe(pid);
  });
}

const loadedAgain = (neuron: TestNeuron): Promise<void> =>
  eventually(async () => {
    expect((await neuron.models()).models[0]?.status).toBe("loaded");
  });

const lastError = (stream: string): WireError["error"] =>
  (JSON.parse(stream.trimEnd().split("\n\n").at(-1)?.replace("data: ", "") ?? "") as WireError).error;

const refusal = async (neuron: TestNeuron, content: string): Promise<Partial<WireError["error"]>> => {
  const response = await neuron.chat({ ...body(content), stream: false });
  return response.status === 200 ? {} : ((await response.json()) as WireError).error;
};

describe("native code that dies", () => {
  test("under one request alone: it is refused from then on, and the model comes back for the others", async () => {
    await using neuron = await neuronWithTiny();
    const stream = await atWork(neuron, "deadly");
    await killWorker(neuron, "SIGSEGV");
    const told = lastError(await stream.end);
    expect(told).toMatchObject({ code: "request_ended_worker", signal: "SIGSEGV" });
    await loadedAgain(neuron);
    // The same request, though it is read in another way and asked in somebody else's name.
    const again = await neuron.chat({ ...body("deadly"), stream: false, user: "somebody" });
    expect(again.status).toBe(422);
    expect(((await again.json()) as WireError).error).toMatchObject({
      code: "request_ended_worker",
      fingerprint: told["fingerprint"],
    });
    expect(await refusal(neuron, "harmless")).toEqual({});
  });

  test("under several: all are told, and what ends it again is refused, not who stood beside", async () => {
    await using neuron = await neuronWithTiny();
    const first = await Promise.all(["deadly", "beside"].map((content) => atWork(neuron, content)));
    await killWorker(neuron, "SIGABRT");
    for (const stream of first) {
      expect(lastError(await stream.end)).toMatchObject({ code: "worker_crashed", signal: "SIGABRT" });
    }
    await loadedAgain(neuron);
    // Both are sent again at once, as clients do. The one waits until the other is answered or dead.
    const deadly = await atWork(neuron, "deadly");
    const fresh = await atWork(neuron, "fresh");
    const beside = refusal(neuron, "beside");
    await killWorker(neuron, "SIGABRT");
    expect(lastError(await deadly.end)).toMatchObject({ code: "request_ended_worker" });
    expect(lastError(await fresh.end)).toMatchObject({ code: "worker_crashed" });
    // It was not run, so it is told that the model is gone or on its way.
    expect(["model_not_found", "model_loading"]).toContain((await beside).code);
    await loadedAgain(neuron);
    expect(await refusal(neuron, "deadly")).toMatchObject({ code: "request_ended_worker" });
    expect(await refusal(neuron, "beside")).toEqual({});
    expect(await refusal(neuron, "fresh")).toEqual({});
  });

  test("is remembered by the neuron that comes next, also when this one had no time to say so", async () => {
    const stateDirectory = await mkdtemp(join(tmpdir(), "cortex-test-suspects-"));
    const file = join(stateDirectory, "suspects.json");
    // The next neuron loads the model by itself, so it must find the file where the one before had it.
    const store = await mkdtemp(join(tmpdir(), "cortex-test-kept-store-"));
    await copyFile(await tinyModelFile(), join(store, "tiny.gguf"));
    const kept = { stateDirectory, modelRoots: [store] };
    {
      await using neuron = await neuronWithTiny(kept);
      const stream = await atWork(neuron, "deadly");
      await killWorker(neuron, "SIGSEGV");
      await stream.end;
      // On disk by itself, long before the end of the neuron.
      await eventually(async () => {
        expect(await readFile(file, "utf8")).toContain('"condemned":true');
      });
    }
    expect((await stat(file)).mode % 0o1000).toBe(0o600);
    expect(await readFile(file, "utf8")).not.toContain("deadly");
    await using next = await neuronWithTiny(kept);
    expect(await refusal(next, "deadly")).toMatchObject({ code: "request_ended_worker" });
    expect(await refusal(next, "harmless")).toEqual({});
    await next.neuron.close();
    await writeFile(file, "{ damaged");
    await using last = await neuronWithTiny(kept);
    expect(await refusal(last, "deadly")).toEqual({});
  });

  test("by an operator's signal: nobody is held responsible for the first time", async () => {
    await using neuron = await neuronWithTiny();
    const stream = await atWork(neuron, "long");
    await killWorker(neuron, "SIGKILL");
    expect(lastError(await stream.end)).toMatchObject({ code: "worker_crashed", signal: "SIGKILL" });
    await loadedAgain(neuron);
    expect(await refusal(neuron, "long")).toEqual({});
  });
});

describe("a model whose worker died", () => {
  test("does not come back when it was unloaded meanwhile", async () => {
    await using neuron = await startTestNeuron();
    const model = writeFakeModel(neuron.store, "alpha");
    await neuron.load({ model_id: "alpha" });
    await killWorker(neuron, "SIGKILL");
    await loadedAgain(neuron);
    // Now it would come back after two seconds.
    await killWorker(neuron, "SIGKILL");
    await eventually(async () => {
      expect((await neuron.models()).models).toEqual([]);
    });
    expect((await neuron.unload({ model_id: "alpha" })).status).toBe(200);
    const starts = model.events().filter((event) => event.startsWith("start"));
    expect(starts).toHaveLength(2);
  });
});
