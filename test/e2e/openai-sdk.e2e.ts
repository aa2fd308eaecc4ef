import OpenAI from "openai";
import { request } from "undici";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";
import { eventually } from "../support/eventually.ts";
import { applyFleet, type RunningFleet, sourceOf, startFleet } from "../support/fleet/running-fleet.ts";

let fleet: RunningFleet;
let client: OpenAI;
const question = [{ role: "user" as const, content: "Say something." }];

beforeAll(async () => {
  // Logits that never choose the end token: an answer is as long as max_tokens says.
  const modelPath = await tinyModelFile({ endOfText: "never", contextLength: 32_768 });
  fleet = await startFleet({
    neuronNames: ["local"],
    modelPath,
    models: `[[models]]
id = "test/tiny"
source = "${sourceOf(modelPath)}"
replicas = 1
parallel = 1

[aliases]
"tiny" = "test/tiny"
`,
  });
  await applyFleet(fleet);
  client = new OpenAI({ baseURL: `${fleet.gatewayUrl}/v1`, apiKey: "none", maxRetries: 0 });
});

afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

test("lists models and aliases", async () => {
  const models = await client.models.list();
  expect(models.data.map((model) => model.id)).toEqual(["test/tiny", "tiny"]);
  // The gateway learns of an apply by its next look at the neuron.
  await eventually(async () => {
    expect(await client.models.retrieve("test/tiny")).toMatchObject({ object: "model", loaded: true });
  });
});

test("answers whole and streamed with the same text", async () => {
  const body = { model: "test/tiny", messages: question, max_tokens: 24, temperature: 0 };
  const whole = await client.chat.completions.create(body);
  expect(whole.object).toBe("chat.completion");
  expect(whole.choices[0]?.finish_reason).toBe("length");
  expect(whole.usage?.completion_tokens).toBe(24);

  const stream = await client.chat.completions.create({
    ...body,
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let usage: OpenAI.CompletionUsage | null | undefined;
  let finish: string | null | undefined;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    finish = chunk.choices[0]?.finish_reason ?? finish;
    usage = chunk.usage ?? usage;
  }
  expect(text).toBe(whole.choices[0]?.message.content);
  expect(finish).toBe("length");
  expect(usage?.completion_tokens).toBe(24);
});

test("an alias answers like its model", async () => {
  const body = { messages: question, max_tokens: 8, temperature: 0 };
  const [direct, aliased] = [
    await client.chat.completions.create({ ...body, model: "test/tiny" }),
    await client.chat.completions.create({ ...body, model: "tiny" }),
  ];
  expect(aliased.choices[0]?.message.content).toBe(direct.choices[0]?.message.content);
});

test("an unknown model is a 404 in the OpenAI envelope that names the nearest one", async () => {
  const failed = client.chat.completions.create({ model: "test/tony", messages: question });
  await expect(failed).rejects.toThrow(OpenAI.NotFoundError);
  await expect(failed).rejects.toMatchObject({
    status: 404,
    code: "model_not_found",
    type: "invalid_request_error",
  });
  await expect(failed).rejects.toThrow(/test\/tiny/);
});

test("leaving mid-stream frees the only slot at once", async () => {
  const leave = new AbortController();
  const long = await client.chat.completions.create(
    { model: "test/tiny", messages: question, max_tokens: 100_000, stream: true },
    { signal: leave.signal },
  );
  let chunks = 0;
  try {
    for await (const chunk of long) {
      chunks += chunk.choices.length;
      if (chunks === 5) leave.abort();
    }
  } catch (thrown) {
    if (!(thrown instanceof OpenAI.APIUserAbortError)) throw thrown;
  }
  expect(chunks).toBeGreaterThanOrEqual(5);
  // parallel = 1: this would wait for the end of the long answer if its slot were still held.
  const next = await client.chat.completions.create({
    model: "test/tiny",
    messages: question,
    max_tokens: 4,
  });
  expect(next.usage?.completion_tokens).toBe(4);
});

test("sentence vectors have one length and norm 1", async () => {
  const vectors = await client.embeddings.create({
    model: "test/tiny",
    input: ["one", "two"],
    encoding_format: "float",
  });
  expect(vectors.data).toHaveLength(2);
  for (const { embedding } of vectors.data) expect(Math.hypot(...embedding)).toBeCloseTo(1, 3);
});

test("metrics count what was served", async () => {
  const text = await (await request(fleet.metricsUrl)).body.text();
  expect(text).toMatch(/cortex_requests_total\{[^}]*model="test\/tiny"[^}]*\} [1-9]/);
  expect(text).not.toContain("test/tony");
});
