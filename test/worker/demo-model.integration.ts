import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { shippedModelsDirectory } from "../../src/platform/package-paths.ts";
import { startTestNeuron, type TestNeuron } from "../support/neuron/neuron-under-test.ts";

// The figures of the demo model are measured by tools/demo-model; here a few prompts show that what ships does what
// `cortex up` promises: words, tool calls, structure and sentence vectors, through the real engine.
const MODEL = "cortex-demo";
const FILE = `${shippedModelsDirectory()}${MODEL}.gguf`;

let neuron: TestNeuron;
let client: OpenAI;

beforeAll(async () => {
  neuron = await startTestNeuron({ modelRoots: [shippedModelsDirectory()] }, { workerEntry: undefined });
  const loaded = await neuron.call("/models/load?wait=1", { json: { model_id: MODEL, parallel: 2 } });
  if (loaded.status !== 200) throw new Error(JSON.stringify(loaded.body));
  client = new OpenAI({ baseURL: `${neuron.base}/v1`, apiKey: "none", maxRetries: 0 });
});

afterAll(() => neuron[Symbol.asyncDispose]());

const say = async (content: string, more: Partial<OpenAI.ChatCompletionCreateParamsNonStreaming> = {}) => {
  const answer = await client.chat.completions.create({
    model: MODEL,
    messages: [{ role: "user", content }],
    temperature: 0,
    max_tokens: 128,
    ...more,
  });
  const [choice] = answer.choices;
  if (choice === undefined) throw new Error("no choice");
  return choice;
};

const functionTool = (
  name: string,
  description: string,
  properties: Record<string, { readonly type: string }>,
) => ({
  type: "function" as const,
  function: {
    name,
    description,
    parameters: { type: "object", properties, required: Object.keys(properties) },
  },
});

const TOOLS = [
  functionTool("get_weather", "Current weather in a city", { city: { type: "string" } }),
  functionTool("get_time", "Local time in a city", { city: { type: "string" } }),
];

test("the shipped file is the one whose digest stands beside it, and small", async () => {
  const digest = createHash("sha256")
    .update(await readFile(FILE))
    .digest("hex");
  expect((await readFile(`${FILE}.sha256`, "utf8")).split(/\s/)[0]).toBe(digest);
  expect((await stat(FILE)).size).toBeLessThanOrEqual(8_000_000);
});

describe("in words", () => {
  test.each([
    ["What is cortex?", /cortex/i],
    ["Who are you?", /demo model/i],
    ["Which port does the gateway use?", /31313/],
    ["What is 7 + 5?", /\b12\b/],
  ])("%s", async (question, expected) => {
    const { message, finish_reason: finish } = await say(question);
    expect(message.content).toMatch(expected);
    expect(finish).toBe("stop");
  });

  test("what it does not know it says it does not know", async () => {
    expect((await say("Who painted the Mona Lisa?")).message.content).toMatch(
      /do not know|don't know|cannot|can't/i,
    );
  });
});

describe("tools", () => {
  test("a call with an argument it has never seen, whole and streamed alike", async () => {
    const question = "What is the weather in Zurvenik?";
    const { message, finish_reason: finish } = await say(question, { tools: TOOLS });
    expect(finish).toBe("tool_calls");
    expect(message.tool_calls).toMatchObject([{ type: "function", function: { name: "get_weather" } }]);
    const [call] = message.tool_calls ?? [];
    const expected = call?.type === "function" ? call.function.arguments : "";
    expect(JSON.parse(expected)).toEqual({ city: "Zurvenik" });

    const stream = client.chat.completions.stream({
      model: MODEL,
      messages: [{ role: "user", content: question }],
      tools: TOOLS,
      temperature: 0,
    });
    const streamed = await stream.finalMessage();
    expect(streamed.tool_calls).toMatchObject([{ function: { name: "get_weather", arguments: expected } }]);
  });

  test("the result of a call becomes an answer in words", async () => {
    const call = {
      id: "call_1",
      type: "function" as const,
      function: { name: "get_weather", arguments: '{"city":"Oslo"}' },
    };
    const { message } = await say("", {
      tools: TOOLS,
      messages: [
        { role: "user", content: "What is the weather in Oslo?" },
        { role: "assistant", content: null, tool_calls: [call] },
        { role: "tool", tool_call_id: "call_1", content: '{"temperature": 4, "condition": "rain"}' },
      ],
    });
    expect(message.tool_calls ?? []).toEqual([]);
    expect(message.content).toMatch(/\b4\b/);
  });
});

test("a JSON schema holds whatever is asked", async () => {
  const schema = {
    type: "object",
    properties: { name: { type: "string" }, city: { type: "string" } },
    required: ["name", "city"],
    additionalProperties: false,
  };
  const { message } = await say("Extract name and city as JSON: Milo Tarven lives in Brenholt.", {
    response_format: { type: "json_schema", json_schema: { name: "person", schema, strict: true } },
  });
  expect(Object.keys(JSON.parse(message.content ?? "") as object).toSorted()).toEqual(["city", "name"]);
});

test("sentence vectors: a paraphrase is nearer than a stranger", async () => {
  const triples = [
    ["Which port does the gateway use?", "On what port does the gateway listen?", "What is 12 plus 9?"],
    ["What is the weather in Oslo?", "Tell me the weather in Oslo", "Who are you?"],
    ["What does cortex plan do?", "Explain the plan command", "Good morning!"],
  ] as const;
  for (const triple of triples) {
    const { data } = await client.embeddings.create({
      model: MODEL,
      input: [...triple],
      encoding_format: "float",
    });
    const [anchor, paraphrase, stranger] = data.map(({ embedding }) => embedding);
    expect(similarity(anchor, paraphrase), triple.join(" | ")).toBeGreaterThan(similarity(anchor, stranger));
  }
});

function similarity(left: readonly number[] = [], right: readonly number[] = []): number {
  return left.reduce((sum, value, index) => sum + value * (right[index] ?? 0), 0);
}
