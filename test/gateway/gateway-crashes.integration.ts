import { describe, expect, test } from "vitest";
import { envelope, residentModel, type FakeNeuron } from "../support/neuron/fake-neuron.ts";
import { ask, fakeNeuron, fleetOf, gatewayFor, jsonOf } from "./gateway-bench.ts";

const MODEL = "org/a";
const CRASHED = envelope("worker_crashed", "the worker was killed by SIGSEGV");
const CONDEMNED = envelope("request_ended_worker", "not run again");

async function fourReplicas() {
  const neurons: FakeNeuron[] = [];
  for (let count = 0; count < 4; count += 1)
    neurons.push(await fakeNeuron({ models: [residentModel(MODEL)] }));
  const fleet = Object.fromEntries(neurons.map((neuron, index) => [`n${index}`, neuron.url]));
  const gateway = await gatewayFor(fleetOf(fleet, [{ id: MODEL }], { short: MODEL }), {
    pollIntervalMs: 600_000,
  });
  const calls = () => neurons.flatMap((neuron) => neuron.callsTo("POST", "/v1/"));
  const answerAll = (answer: FakeNeuron["answer"]) => {
    for (const neuron of neurons) neuron.answer = answer;
  };
  return { gateway, calls, answerAll, neurons };
}

describe("a request whose worker dies", () => {
  test("is tried once more, where it is known for what it did; then it is refused everywhere", async () => {
    const { gateway, calls, answerAll } = await fourReplicas();
    answerAll({ kind: "status", status: 502, body: CRASHED });
    expect((await ask(gateway, MODEL)).status).toBe(502);
    expect(calls().map((call) => call.headers["x-cortex-deaths"])).toEqual([undefined, "1"]);
    // As an SDK sends it again, through an alias and as a stream.
    for (const again of [await ask(gateway, MODEL), await ask(gateway, "short", { stream: true })]) {
      expect(again.status).toBe(422);
      expect((await jsonOf(again))["error"]).toMatchObject({
        code: "request_ended_worker",
        fingerprint: expect.stringMatching(/^[0-9a-f]{24}$/) as unknown,
      });
    }
    expect(calls()).toHaveLength(2);
    answerAll({ kind: "tokens", tokens: ["fine"] });
    expect((await ask(gateway, MODEL, { content: "something else" })).status).toBe(200);
  });

  test("and is condemned by its neuron goes nowhere else", async () => {
    const { gateway, calls, answerAll } = await fourReplicas();
    answerAll({ kind: "status", status: 422, body: CONDEMNED });
    expect(await jsonOf(await ask(gateway, MODEL))).toEqual(CONDEMNED);
    expect((await ask(gateway, MODEL)).status).toBe(422);
    expect(calls()).toHaveLength(1);
  });

  test("and which is answered elsewhere is cleared", async () => {
    const { gateway, calls, neurons } = await fourReplicas();
    // The first in order of names gets the first request.
    for (const neuron of neurons.slice(0, 1)) neuron.answer = { kind: "status", status: 502, body: CRASHED };
    expect((await ask(gateway, MODEL)).status).toBe(200);
    expect((await ask(gateway, MODEL)).status).toBe(200);
    const deaths = calls().map((call) => call.headers["x-cortex-deaths"]);
    // The second one goes to a replica that has not failed, and nothing is held against it.
    expect(deaths).toEqual([undefined, "1", undefined]);
  });
});
