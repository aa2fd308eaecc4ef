import { request } from "undici";
import { expect, test } from "vitest";
import { chatCompletionSchema } from "../../src/protocol/openai/chat.ts";
import { residentModels, sourceOf, startFleet } from "../support/fleet/running-fleet.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";

test("a model pinned on the second of three neurons loads there, on the first request, once, under 20 requests at once", async () => {
  const modelPath = await tinyModelFile({ endOfText: "never", contextLength: 32_768 });
  await using fleet = await startFleet({
    neuronNames: ["first", "second", "third"],
    modelPath,
    models: `[[models]]
id = "test/pinned"
source = "${sourceOf(modelPath)}"
pinned_on = ["second"]
parallel = 4
`,
  });
  const ask = async () => {
    const response = await request(`${fleet.gatewayUrl}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        model: "test/pinned",
        messages: [{ role: "user", content: "hi" }],
        max_tokens: 4,
      }),
    });
    return { status: response.statusCode, body: await response.body.json() };
  };
  const answers = await Promise.all(Array.from({ length: 20 }, ask));
  for (const answer of answers) {
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    expect(chatCompletionSchema.parse(answer.body).usage.completion_tokens).toBe(4);
  }
  expect(await residentModels(fleet.neuronUrls["first"] ?? "")).toEqual([]);
  expect(await residentModels(fleet.neuronUrls["third"] ?? "")).toEqual([]);
  expect(await residentModels(fleet.neuronUrls["second"] ?? "")).toMatchObject([
    { id: "test/pinned", status: "loaded" },
  ]);
  const jobs = await (await request(`${fleet.neuronUrls["second"]}/jobs`)).body.json();
  expect(JSON.stringify(jobs).match(/"kind":"load"/g)).toHaveLength(1);
});
