import { Writable } from "node:stream";
import { pino } from "pino";
import { expect, test } from "vitest";
import { parseSimulatedDevices } from "../../src/neuron/machine/simulated-devices.ts";
import type { Discovery, EstimateResponse } from "../../src/protocol/neuron-api.ts";
import { startTestNeuron, type WireError } from "../support/neuron/neuron-under-test.ts";

const none = { engine: { needed: "3.22.1", installed: null } };
const spec = { model_id: "some/model", vram_mb: 100 };

function loggerInto(lines: string[]) {
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  return pino({ level: "warn" }, sink);
}

test("a neuron without the engine says which command adds it, and offers external engines", async () => {
  const lines: string[] = [];
  await using neuron = await startTestNeuron(none, { logger: loggerInto(lines) });
  expect(lines.join("")).toContain("npm install node-llama-cpp@3.22.1");
  const { body } = await neuron.call<Discovery>("/discovery");
  expect(body).toMatchObject({
    harnesses: ["openai"],
    engine_unavailable_reason:
      "the engine is not installed: node-llama-cpp 3.22.1 is not found beside cortex",
  });
});

test("a load and an estimate are refused for the engine, not for the file", async () => {
  await using neuron = await startTestNeuron({ engine: { needed: "3.22.1", installed: "3.9.0" } });
  const refusal = {
    code: "engine_missing",
    message: "node-llama-cpp 3.9.0 is installed, and this cortex works with 3.22.1 only",
  };
  const { status, body } = await neuron.load<WireError>(spec);
  expect({ status, error: body.error }).toMatchObject({ status: 503, error: refusal });
  const estimate = await neuron.call<EstimateResponse>("/models/estimate", { json: { models: [spec] } });
  expect(estimate.body.estimates).toMatchObject([{ error: refusal }]);
});

test("a simulated machine answers through the engine, and does not start without", async () => {
  const devices = parseSimulatedDevices("2x8GiB");
  if (!devices.ok) throw devices.error;
  const simulation = { devices: devices.value, standIn: "cortex-demo" };
  await expect(startTestNeuron({ ...none, simulation })).rejects.toMatchObject({ code: "engine_missing" });
});
