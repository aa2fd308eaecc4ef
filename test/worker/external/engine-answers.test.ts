import { describe, expect, test } from "vitest";
import { factsOf, type ProbeAnswers } from "../../../src/worker/external/engine-facts.ts";
import { readRefusal } from "../../../src/worker/external/engine-refusal.ts";
import { graphicsMemoryOf, groupOf, residentKib } from "../../../src/worker/external/process-memory.ts";

describe("what an engine says when it refuses, in our words", () => {
  test.each([
    // OpenAI, llama-server, vLLM of before, FastAPI, a page
    [400, '{"error":{"message":"bad n","type":"x"}}', "engine_refused", "bad n"],
    [400, '{"object":"error","message":"bad n","code":400}', "engine_refused", "bad n"],
    [422, '{"detail":[{"loc":["body","n"],"msg":"bad"}]}', "engine_refused", "n: bad"],
    [404, '{"detail":"Not Found"}', "engine_refused", "Not Found"],
    [
      400,
      "<html>proxy.internal</html>",
      "engine_refused",
      "the external engine refused the request with HTTP 400",
    ],
    [
      400,
      '{"error":{"message":"request (9 tokens) exceeds the available context size"}}',
      "context_length_exceeded",
      "request (9 tokens) exceeds the available context size",
    ],
    [
      400,
      `{"message":"This model's maximum context length is 512 tokens."}`,
      "context_length_exceeded",
      "This model's maximum context length is 512 tokens.",
    ],
    [
      401,
      '{"error":"token sk-1 is wrong"}',
      "engine_denied",
      "the external engine refuses the neuron's token",
    ],
    [429, "{}", "queue_full", "the external engine takes no more requests now"],
    [
      503,
      '{"error":{"message":"Loading model"}}',
      "queue_full",
      "the external engine takes no more requests now",
    ],
    [500, '{"detail":"/opt/x.py line 3"}', "engine_error", "the external engine answered with HTTP 500"],
    [302, "", "engine_error", "the external engine answered with HTTP 302"],
  ] as const)("%d %s", (...[status, text, code, message]) => {
    expect(readRefusal(status, text)).toMatchObject({ code, message });
  });
});

const PROBED = { modelId: "m", external: {}, contextTokens: undefined, parallel: 3, memoryBytes: 5 };
const NOTHING: ProbeAnswers = {
  models: null,
  props: null,
  chat: null,
  tools: null,
  completion: null,
  embedding: null,
  rerank: null,
};
const models = { data: [{ id: "m", max_model_len: 4096 }] };

describe("what an engine is", () => {
  test("by what it answers", () => {
    expect(factsOf(PROBED, { ...NOTHING, models, chat: {}, tools: {}, embedding: {} })).toMatchObject({
      capabilities: ["text", "tools", "embeddings"],
      context_tokens: 4096,
      parallel: 3,
      memory_bytes: 5,
      tool_call: true,
    });
  });

  test("llama-server tells slots and the context of each", () => {
    const props = { total_slots: 2, default_generation_settings: { n_ctx: 512 } };
    const llama = { data: [{ id: "m", meta: { n_ctx_train: 32_768, n_params: 10 } }] };
    expect(factsOf(PROBED, { ...NOTHING, models: llama, props, chat: {} })).toMatchObject({
      context_tokens: 512,
      trained_context_tokens: 32_768,
      parallel: 2,
      parameter_count: 10,
    });
  });

  test("memory that nobody could measure is the declared one, and says so", () => {
    const attached = { ...PROBED, memoryBytes: null, external: { vram_bytes: 9 } };
    expect(factsOf(attached, { ...NOTHING, models, chat: {} })).toMatchObject({
      memory_bytes: 9,
      memory_source: "declared",
    });
  });

  test("refusals name what to write", () => {
    const chat = {};
    expect(() => factsOf(PROBED, { ...NOTHING, models: { data: [{ id: "other" }] }, chat })).toThrow(
      expect.objectContaining({
        code: "engine_unsuitable",
        next: 'declare served_as = "other" for the model',
      }),
    );
    expect(() => factsOf(PROBED, { ...NOTHING, models: { data: [{ id: "m" }] }, chat })).toThrow(
      expect.objectContaining({ next: "declare `context` for the model" }),
    );
    expect(() => factsOf(PROBED, { ...NOTHING, models })).toThrow("neither chats");
  });
});

test("memory of a group of processes", () => {
  expect(groupOf("77 (a) b) S 1 42 42 0 -1")).toBe(42);
  expect(residentKib("Name:\tx\nVmRSS:\t    1234 kB\n")).toBe(1234);
  expect(graphicsMemoryOf("10, 300\n11, [N/A]\n12, 50\n", new Set([10, 11]))).toBe(300);
  expect(graphicsMemoryOf("12, 50\n", new Set([10]))).toBeNull();
});
