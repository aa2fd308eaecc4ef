import { expect, test } from "vitest";
import { parseFaultScript } from "../../src/neuron/machine/fault-script.ts";
import { parseSimulatedDevices } from "../../src/neuron/machine/simulated-devices.ts";
import { shippedModelsDirectory } from "../../src/platform/package-paths.ts";
import type { Discovery } from "../../src/protocol/neuron-api.ts";
import { eventually } from "../support/eventually.ts";
import { readToTheEnd, startTestNeuron, type WireError } from "../support/neuron/neuron-under-test.ts";

function startScripted(text: string, cards = "24GiB RTX 4090") {
  const devices = parseSimulatedDevices(cards);
  const script = parseFaultScript(text, "faults.toml");
  if (!devices.ok) throw devices.error;
  if (!script.ok) throw script.error;
  const simulation = {
    devices: devices.value,
    standIn: "cortex-demo",
    mibPerSec: 1_000_000,
    script: script.value,
  };
  return startTestNeuron({ simulation, modelRoots: [shippedModelsDirectory()] });
}

const SPEC = { model_id: "m", source: "hf:example/m", vram_mb: 8192 };
const ask = (text: string) => ({ model: "m", messages: [{ role: "user", content: text }] });

test("a model says what the script says: reasoning, a tool call, then text, whole and as a stream", async () => {
  await using neuron = await startScripted(`
[[models]]
tokens_per_sec = 1000
[[models.answers]]
when = "weather"
times = 1
reasoning = "I have to look."
tool_calls = [{ name = "get_weather", arguments = { city = "Berlin" } }]
[[models.answers]]
text = "It is sunny."
`);
  await neuron.load(SPEC);
  const call = await neuron.chat(ask("how is the weather?"));
  expect(await call.json()).toMatchObject({
    model: "m",
    choices: [
      {
        finish_reason: "tool_calls",
        message: {
          reasoning_content: "I have to look.",
          tool_calls: [{ function: { name: "get_weather", arguments: '{"city":"Berlin"}' } }],
        },
      },
    ],
  });
  const { text, broken } = await readToTheEnd(
    await neuron.chat({ ...ask("how is the weather?"), stream: true }),
  );
  expect(broken).toBe(false);
  expect(text.match(/"content":"[^"]*"/g)).toEqual([
    '"content":"It"',
    '"content":" is"',
    '"content":" sunny."',
  ]);
});

test("a crash cuts the stream visibly, and the model comes back", async () => {
  await using neuron = await startScripted(`[[models]]\ncrash_after_tokens = 2\nfrom_request = 2\n`);
  await neuron.load(SPEC);
  expect((await neuron.chat(ask("one two three four"))).status).toBe(200);
  const { text } = await readToTheEnd(await neuron.chat({ ...ask("one two three four"), stream: true }));
  expect(text).toContain('"content":" two"');
  expect(text).not.toContain("three");
  expect(text).toContain("request_ended_worker");
  await eventually(async () => expect((await neuron.models()).models).toMatchObject([{ status: "loaded" }]));
  expect((await neuron.chat(ask("again"))).status).toBe(200);
});

test("an answer that hangs does not end, and its client frees the place by leaving", async () => {
  await using neuron = await startScripted(`[[models]]\nhang_after_tokens = 1\n`);
  await neuron.load(SPEC);
  const leave = new AbortController();
  const answer = await neuron.chat({ ...ask("one two three"), stream: true }, leave.signal);
  const first = await answer.body?.getReader().read();
  expect(Buffer.from(first?.value ?? []).toString()).toContain('"content":"one"');
  leave.abort();
  await eventually(async () => {
    expect((await neuron.call<object>("/health")).body).toMatchObject({ models: [{ in_flight: 0 }] });
  });
});

test("a load fails as the script wants", async () => {
  await using neuron = await startScripted(`[[models]]\nload_fails = "no weights"\nload_secs = 0.1\n`);
  const answer = await neuron.load<WireError>(SPEC);
  expect(answer).toMatchObject({
    status: 500,
    body: { error: { code: "load_failed", message: "no weights" } },
  });
});

test("foreign memory is in the way of a load, and the error says so", async () => {
  await using neuron = await startScripted("[[models]]\n[[foreign_memory]]\nmib = 20000\n");
  const answer = await neuron.load<WireError>(SPEC);
  expect(answer).toMatchObject({
    status: 503,
    body: { error: { code: "insufficient_vram", holders: [{ holder: "other processes", held_mb: 20_000 }] } },
  });
  expect(await neuron.load({ ...SPEC, vram_mb: 2000 })).toMatchObject({ status: 200 });
  const { body } = await neuron.call<object>("/health");
  expect(body).toMatchObject({ devices: [{ index: 0, vram_used_mb: 22_000 }] });
});

test("a driver that does not fit its library leaves a machine without cards", async () => {
  await using neuron = await startScripted('driver_mismatch = "Driver/library version mismatch"\n');
  const { body } = await neuron.call<Discovery>("/discovery");
  expect(body).toMatchObject({
    devices: [{ kind: "cpu" }],
    cuda_unavailable_reason: "Driver/library version mismatch",
  });
});

test("a card that falls off the bus while it serves: its stream breaks, its model comes back on the other, none goes there", async () => {
  await using neuron = await startScripted(
    "[[lost_devices]]\ndevice = 0\nfrom_secs = 3\n[[models]]\ntokens_per_sec = 5\n",
    "24GiB RTX 4090, 12GiB RTX 3060",
  );
  await neuron.load(SPEC);
  const [before] = (await neuron.models()).models;
  expect(before?.devices).toEqual([0]);
  const answer = await neuron.chat({ ...ask("word ".repeat(400)), stream: true });
  const told = await readToTheEnd(answer);
  expect(told.text).not.toContain("[DONE]");
  expect(told.text.includes('"error"') || told.broken).toBe(true);
  await eventually(async () => {
    expect((await neuron.models()).models).toMatchObject([{ id: "m", status: "loaded", devices: [1] }]);
  });
  const discovery = await neuron.call<Discovery>("/discovery");
  expect(discovery.body.devices.map(({ index }) => index)).toEqual([1]);
  const large = await neuron.load<WireError>({ ...SPEC, model_id: "large", vram_mb: 20_000 });
  expect(large.body.error).toMatchObject({ code: "insufficient_vram", total_mb: 12_288 });
  expect((await neuron.chat(ask("hello"))).status).toBe(200);
});
