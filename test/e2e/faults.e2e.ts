import OpenAI from "openai";
import { request } from "undici";
import { expect, test } from "vitest";
import { isAlive } from "../support/cortex-process.ts";
import { eventually } from "../support/eventually.ts";
import {
  applyFleet,
  residentModels,
  type RunningFleet,
  sourceOf,
  startFleet,
  workerPids,
} from "../support/fleet/running-fleet.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";

async function oneNeuronFleet(replicas: number): Promise<RunningFleet> {
  const modelPath = await tinyModelFile({ endOfText: "never", contextLength: 32_768 });
  const fleet = await startFleet({
    neuronNames: ["local"],
    modelPath,
    models: `[[models]]\nid = "test/tiny"\nsource = "${sourceOf(modelPath)}"\nreplicas = ${replicas}\nparallel = 2\n`,
  });
  if (replicas > 0) await applyFleet(fleet);
  return fleet;
}

const longRequest = {
  model: "test/tiny",
  messages: [{ role: "user" as const, content: "go on" }],
  max_tokens: 100_000,
  stream: true as const,
};

test("kill -9 of a worker mid-stream: an explicit error, never as if complete, and the next request reloads", async () => {
  await using fleet = await oneNeuronFleet(1);
  const [pid] = await workerPids(fleet);
  const response = await request(`${fleet.gatewayUrl}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(longRequest),
  });
  let text = "";
  let killed = false;
  try {
    for await (const bytes of response.body) {
      text += String(bytes);
      if (killed || !text.includes('"content"')) continue;
      killed = true;
      process.kill(pid ?? 0, "SIGKILL");
    }
  } catch {
    // A connection that is cut after its error event is allowed; the text below decides.
  }
  expect(killed).toBe(true);
  expect(text).toContain('"error"');
  expect(text).toMatch(/worker_crashed|upstream_cut_stream/);
  expect(text).not.toContain("[DONE]");
  expect(text).not.toContain('"finish_reason":"stop"');

  const client = new OpenAI({ baseURL: `${fleet.gatewayUrl}/v1`, apiKey: "none", maxRetries: 0 });
  const next = await client.chat.completions.create({ ...longRequest, stream: false, max_tokens: 4 });
  expect(next.usage?.completion_tokens).toBe(4);
  const [newPid] = await workerPids(fleet);
  expect(newPid).not.toBe(pid);
});

test("kill -9 of a worker before an unstreamed answer: the next worker is asked, and its death is the end of it", async () => {
  await using fleet = await oneNeuronFleet(1);
  const client = new OpenAI({ baseURL: `${fleet.gatewayUrl}/v1`, apiKey: "none", maxRetries: 0 });
  const pending = client.chat.completions.create({ ...longRequest, stream: false });
  const outcome = pending.then(
    () => "answered",
    (thrown: unknown) => thrown,
  );
  const atWork = async (before?: number): Promise<number> => {
    await eventually(async () => {
      const [pid] = await workerPids(fleet);
      expect(pid).toBeGreaterThan(0);
      expect(pid).not.toBe(before);
      // Asked after it: before, it could still tell of the worker that was killed.
      const health = await (await request(`${fleet.neuronUrls["local"]}/health`)).body.json();
      expect(health).toMatchObject({ models: [{ in_flight: 1 }] });
    });
    return (await workerPids(fleet))[0] ?? 0;
  };
  const first = await atWork();
  process.kill(first, "SIGKILL");
  process.kill(await atWork(first), "SIGKILL");
  // Two workers died of it, as far as anybody can tell: it is not tried on a third.
  const failure = await outcome;
  expect(failure).toBeInstanceOf(OpenAI.APIError);
  expect(failure).toMatchObject({ status: 422, code: "request_ended_worker" });
});

test("SIGTERM with a stream in flight: every process ends within 10 s and no worker is left", async () => {
  await using fleet = await oneNeuronFleet(1);
  const pids = await workerPids(fleet);
  expect(pids).toHaveLength(1);
  const response = await request(`${fleet.gatewayUrl}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(longRequest),
  });
  const reading = (async () => {
    let text = "";
    try {
      for await (const bytes of response.body) text += String(bytes);
    } catch {
      // A connection that is cut after its error event is allowed; the text below decides.
    }
    return text;
  })();
  const startedMs = performance.now();
  const exits = await Promise.all([fleet.gateway.stop("SIGTERM"), fleet.neurons["local"]?.stop("SIGTERM")]);
  expect(performance.now() - startedMs).toBeLessThan(10_000);
  expect(exits).toEqual([
    { code: 0, signal: null },
    { code: 0, signal: null },
  ]);
  expect(pids.filter(isAlive)).toEqual([]);
  const text = await reading;
  expect(text).not.toContain("[DONE]");
  expect(text).toContain('"error"');
});

test("kill -9 of a neuron leaves its workers, and the next one serves with them", async () => {
  await using fleet = await oneNeuronFleet(1);
  const pids = await workerPids(fleet);
  await fleet.neurons["local"]?.stop("SIGKILL");
  expect(pids.filter(isAlive)).toEqual(pids);
  await fleet.restartNeuron("local");
  expect(await workerPids(fleet)).toEqual(pids);
  const client = new OpenAI({ baseURL: `${fleet.gatewayUrl}/v1`, apiKey: "none" });
  const answer = await client.chat.completions.create({
    model: "test/tiny",
    messages: [{ role: "user", content: "go on" }],
    max_tokens: 4,
  });
  expect(answer.usage?.completion_tokens).toBe(4);
});

test("unload ends the process", async () => {
  await using fleet = await oneNeuronFleet(1);
  const [pid] = await workerPids(fleet);
  const unloaded = await request(`${fleet.neuronUrls["local"]}/models/unload?wait=1`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model_id: "test/tiny" }),
  });
  expect(await unloaded.body.json()).toMatchObject({ status: "unloaded" });
  expect(isAlive(pid ?? 0)).toBe(false);
  expect(await residentModels(fleet.neuronUrls["local"] ?? "")).toEqual([]);
});
