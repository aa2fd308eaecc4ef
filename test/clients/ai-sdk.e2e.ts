import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, isStepCount, Output, streamText, tool, type LanguageModel } from "ai";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { eventually } from "../support/eventually.ts";
import {
  applyFleet,
  type RunningFleet,
  sourceOf,
  startFleet,
  workerPids,
} from "../support/fleet/running-fleet.ts";

const DEMO_MODEL = fileURLToPath(new URL("../../assets/demo/cortex-demo.gguf", import.meta.url));

let fleet: RunningFleet;
let models: Readonly<Record<string, (name: string) => LanguageModel>>;

beforeAll(async () => {
  fleet = await startFleet({
    neuronNames: ["local"],
    modelPath: DEMO_MODEL,
    models: `[[models]]
id = "cortex/demo"
source = "${sourceOf(DEMO_MODEL)}"
replicas = 1
parallel = 1
`,
  });
  await applyFleet(fleet);
  const openai = createOpenAICompatible({
    name: "cortex",
    baseURL: `${fleet.gatewayUrl}/v1`,
    apiKey: "none",
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
  const anthropic = createAnthropic({ baseURL: `${fleet.gatewayUrl}/v1`, apiKey: "none" });
  models = { "openai-compatible": (name) => openai(name), anthropic: (name) => anthropic(name) };
});

afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
});

const PROVIDERS = ["openai-compatible", "anthropic"] as const;

const modelOf = (provider: string, name = "cortex/demo"): LanguageModel => {
  const model = models[provider];
  if (model === undefined) throw new Error(`no provider ${provider}`);
  return model(name);
};

const question = (provider: string) => ({
  model: modelOf(provider),
  prompt: "What is cortex?",
  temperature: 0,
  maxOutputTokens: 128,
  maxRetries: 0,
});

/** The demo model says little of its own accord: a list that has to be long is long enough to leave or to die in. */
const long = (provider: string) => ({
  ...question(provider),
  maxOutputTokens: 1500,
  output: Output.object({ schema: z.object({ list: z.array(z.boolean()).min(300) }) }),
  onError: () => undefined,
});

const shortAnswer = async (provider: string): Promise<string> =>
  (await generateText({ ...question(provider), maxOutputTokens: 4 })).text;

/** Kinds of parts of a stream; an error may be one of them, or be thrown. */
async function partsOf(
  stream: AsyncIterable<{ readonly type: string }>,
  onText: () => void = () => undefined,
): Promise<readonly string[]> {
  const kinds: string[] = [];
  try {
    for await (const { type } of stream) {
      kinds.push(type);
      if (type === "text-delta") onText();
    }
  } catch {
    kinds.push("error");
  }
  return kinds;
}

describe.each(PROVIDERS)("`ai` with its %s provider over the real engine", (provider) => {
  test("whole and streamed say the same, with the same usage", async () => {
    const whole = await generateText(question(provider));
    expect(whole.text).not.toBe("");
    expect(whole.finishReason).toBe("stop");
    const streamed = streamText(question(provider));
    await streamed.consumeStream();
    expect(await streamed.text).toBe(whole.text);
    const usage = await streamed.usage;
    expect(usage.outputTokens).toBe(whole.usage.outputTokens);
    expect(usage.inputTokens).toBe(whole.usage.inputTokens);
    expect(usage.inputTokens).toBeGreaterThan(0);
    const cut = await generateText({ ...question(provider), maxOutputTokens: 3 });
    expect(cut.finishReason).toBe("length");
  });

  test("a tool is called and its result is answered, whole and streamed", async () => {
    const asked: unknown[] = [];
    const session = {
      ...question(provider),
      prompt: "What is the weather in Lisbon?",
      tools: {
        get_weather: tool({
          description: "Get the current weather in a city",
          inputSchema: z.object({ city: z.string() }),
          execute: (input) => {
            asked.push(input);
            return "18 degrees and sunny";
          },
        }),
      },
      stopWhen: isStepCount(3),
    };
    const whole = await generateText(session);
    expect(asked[0]).toEqual({ city: "Lisbon" });
    expect(whole.steps.length).toBeGreaterThan(1);
    asked.length = 0;
    const streamed = streamText(session);
    await streamed.consumeStream();
    expect(asked[0]).toEqual({ city: "Lisbon" });
    expect((await streamed.steps).length).toBeGreaterThan(1);
  });

  test("an answer is held to its schema", async () => {
    const schema = z.object({ colour: z.enum(["red", "green"]), bright: z.boolean() });
    const { output } = await generateText({
      ...question(provider),
      prompt: "Name a colour.",
      output: Output.object({ schema }),
    });
    expect(schema.parse(output)).toEqual(output);
  });

  test("errors are the SDK's, and say whether asking again can help", async () => {
    const unknown = generateText({ ...question(provider), model: modelOf(provider, "org/none") });
    const error: unknown = await unknown.catch((thrown: unknown) => thrown);
    expect(APICallError.isInstance(error)).toBe(true);
    expect(error).toMatchObject({ statusCode: 404, isRetryable: false });
    const long = generateText({ ...question(provider), prompt: "word ".repeat(20_000) });
    await expect(long).rejects.toMatchObject({ statusCode: 400, isRetryable: false });
  });

  test("leaving frees the only slot", async () => {
    const leaving = new AbortController();
    const stream = streamText({ ...long(provider), abortSignal: leaving.signal });
    const kinds = await partsOf(stream.fullStream, () => {
      leaving.abort();
    });
    expect(kinds).toContain("abort");
    expect(await shortAnswer(provider)).not.toBe("");
  });

  test("a worker that dies in the middle is an error, never an answer", async () => {
    const [pid] = await workerPids(fleet);
    if (pid === undefined) throw new Error("no worker");
    const stream = streamText(long(provider));
    const kinds = await partsOf(stream.fullStream, () => {
      process.kill(pid, "SIGKILL");
    });
    expect(kinds).toContain("error");
    expect(kinds).not.toContain("finish");
    await eventually(async () => {
      expect(await shortAnswer(provider)).not.toBe("");
    });
  });
});
