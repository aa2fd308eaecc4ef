import { describe, expect, test } from "vitest";
import { measureAnswer } from "../../../src/client/measure/io/measure-answer.ts";
import { systemClock } from "../../../src/platform/system-clock.ts";
import { residentModel } from "../../support/neuron/fake-neuron.ts";
import type { Answer } from "../../support/neuron/fake-answer.ts";
import { fakeNeuron, fleetOf, gatewayFor } from "../../gateway/gateway-bench.ts";

const MODEL = "org/a";

async function measured(answer: Answer, changes: { readonly model?: string; readonly dueMs?: number } = {}) {
  const neuron = await fakeNeuron({ models: [residentModel(MODEL)], answer });
  const gateway = await gatewayFor(fleetOf({ n1: neuron.url }, [{ id: MODEL }]));
  const { model = MODEL, ...timing } = changes;
  return measureAnswer({
    baseUrl: gateway.address,
    path: "/v1/chat/completions",
    apiKey: undefined,
    body: { model, messages: [{ role: "user", content: "hi" }] },
    clock: systemClock,
    ...timing,
  });
}

const chunk = (fields: object): string => `data: ${JSON.stringify(fields)}\n\n`;
const text = (content: string) => chunk({ choices: [{ index: 0, delta: { content }, finish_reason: null }] });

describe("measureAnswer", () => {
  test("counts by the last chunk, and has a gap between each two texts", async () => {
    const chunks = [
      text("a"),
      text("b"),
      text("c"),
      chunk({ choices: [], usage: { prompt_tokens: 5, completion_tokens: 9 } }),
      "data: [DONE]\n\n",
    ];
    const answer = await measured({ kind: "raw_stream", chunks });
    expect(answer).toMatchObject({ promptTokens: 5, completionTokens: 9 });
    expect(answer.gapsMs).toHaveLength(2);
    expect(answer.firstTokenMs).toBeLessThanOrEqual(answer.totalMs);
  });

  test("times from when it was due, not from when it could be sent", async () => {
    const answer = await measured(
      { kind: "tokens", tokens: ["a"] },
      { dueMs: systemClock.monotonicMs() - 5000 },
    );
    expect(answer.firstTokenMs).toBeGreaterThanOrEqual(5000);
  });

  test("an answer that breaks off is none", async () => {
    await expect(measured({ kind: "cut", tokens: ["half"] })).rejects.toMatchObject({
      code: "upstream_cut_stream",
    });
  });

  test("a refusal is the endpoint's own", async () => {
    await expect(measured({ kind: "tokens", tokens: [] }, { model: "org/none" })).rejects.toMatchObject({
      code: "model_not_found",
    });
  });
});
