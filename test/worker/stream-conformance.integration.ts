import OpenAI from "openai";
import { Agent, fetch as undiciFetch } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChatCompletion, ChatCompletionChunk } from "../../src/protocol/openai/chat.ts";
import { spawnWorker, type SpawnedWorker } from "../support/neuron/spawned-worker.ts";
import { CHATML_HERMES_TEMPLATE } from "../support/neuron/gguf-writer.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";
import { chunksOf, workerHttp, type WorkerHttp } from "../support/neuron/worker-http.ts";

// The shape of a stream, whatever is asked: what every client of OpenAI's API relies on, on the real engine.

const messages = [{ role: "user", content: "hello there" }];
const tool = (name: string) => ({
  type: "function",
  function: {
    name,
    parameters: {
      type: "object",
      properties: {
        city: { type: "string", maxLength: 6 },
        days: { type: "integer", minimum: 1, maximum: 9 },
      },
      required: ["city", "days"],
    },
  },
});
const schema = {
  type: "json_schema",
  json_schema: {
    name: "x",
    schema: { type: "object", properties: { a: { type: "string", maxLength: 9 } }, required: ["a"] },
  },
};

const REQUESTS: readonly (readonly [string, Record<string, unknown>])[] = [
  ["plain text", { max_tokens: 20 }],
  ["no tokens at all", { max_tokens: 0 }],
  ["three choices", { max_tokens: 9, n: 3, temperature: 1, seed: 5 }],
  ["a stop string", { max_tokens: 60, stop: ["a", "e", "7"] }],
  ["figures", { max_tokens: 9, logprobs: true, top_logprobs: 2 }],
  ["a schema", { max_tokens: 80, response_format: schema }],
  ["a tool that must be called", { max_tokens: 120, tools: [tool("one")], tool_choice: "required" }],
  [
    "two tools, one call",
    {
      max_tokens: 120,
      tools: [tool("one"), tool("two")],
      tool_choice: "required",
      parallel_tool_calls: false,
    },
  ],
  ["several choices with calls", { max_tokens: 120, n: 2, tools: [tool("one")], tool_choice: "required" }],
  ["a call that is cut off", { max_tokens: 22, tools: [tool("one")], tool_choice: "required" }],
];

interface Written {
  content: string;
  reasoning: string;
  calls: { id: string; name: string; arguments: string }[];
  finish: string | null;
}

/** Reads a choice as strict clients do; throws where a chunk is out of place. */
function readChoice(chunks: readonly ChatCompletionChunk[], index: number): Written {
  const written: Written = { content: "", reasoning: "", calls: [], finish: null };
  const deltas = chunks.flatMap((chunk) => chunk.choices).filter((choice) => choice.index === index);
  for (const [at, { delta, finish_reason: finish }] of deltas.entries()) {
    if ((delta.role === "assistant") !== (at === 0)) throw new Error("the role comes first, and once");
    if (written.finish !== null) throw new Error("something follows the finish");
    written.content += delta.content ?? "";
    written.reasoning += delta.reasoning_content ?? "";
    for (const call of delta.tool_calls ?? []) readCall(written, call);
    written.finish = finish;
  }
  return written;
}

type CallDelta = NonNullable<ChatCompletionChunk["choices"][number]["delta"]["tool_calls"]>[number];

function readCall({ calls }: Written, delta: CallDelta): void {
  const known = calls[delta.index];
  if (known === undefined) {
    const { id = "", function: called } = delta;
    if (delta.index !== calls.length || id === "" || called.name === undefined) {
      throw new Error("a call begins in order, with its id and its name");
    }
    calls.push({ id, name: called.name, arguments: called.arguments ?? "" });
    return;
  }
  if (delta.id !== undefined || delta.function.name !== undefined) throw new Error("id and name come once");
  known.arguments += delta.function.arguments ?? "";
}

const wholeChoice = (answer: ChatCompletion, index: number) => {
  const choice = answer.choices[index];
  return {
    content: choice?.message.content ?? "",
    reasoning: choice?.message.reasoning_content ?? "",
    calls: (choice?.message.tool_calls ?? []).map((call) => call.function),
    finish: choice?.finish_reason,
  };
};

describe.each([
  ["a model of text and calls", {}],
  ["a model that reasons", { chatTemplate: `${CHATML_HERMES_TEMPLATE}{{- '<think>\\n' }}` }],
])("%s", (_name, options) => {
  let worker: SpawnedWorker;
  let http: WorkerHttp;
  let client: OpenAI;
  let dispatcher: Agent;

  beforeAll(async () => {
    worker = await spawnWorker(await tinyModelFile({ endOfText: 0, ...options }), { parallel: 2 });
    http = workerHttp(worker.socketPath);
    dispatcher = new Agent({ connect: { socketPath: worker.socketPath } });
    client = new OpenAI({
      apiKey: "none",
      baseURL: "http://localhost/v1",
      fetch: ((url: string, init: object) =>
        undiciFetch(url, { ...init, dispatcher })) as unknown as typeof fetch,
    });
  });
  afterAll(async () => {
    await dispatcher.close();
    await http.close();
    await worker.stop();
  });

  test.each(REQUESTS)("%s: chunk by chunk what it is as a whole", async (_what, fields) => {
    const request = { messages, temperature: 0, ...fields };
    const whole = await http.chat(request);
    const events = await (await http.stream({ ...request, stream_options: { include_usage: true } })).rest();
    expect(events.at(-1)).toBe("data: [DONE]");
    const chunks = chunksOf(events);
    expect(new Set(chunks.map(({ id, created, model }) => `${id} ${created} ${model}`)).size).toBe(1);
    const withUsage = chunks.filter((chunk) => (chunk.usage ?? null) !== null);
    expect(withUsage).toEqual([chunks.at(-1)]);
    expect(withUsage[0]?.choices).toEqual([]);
    const { prompt_tokens, completion_tokens, total_tokens } = whole.usage;
    expect(withUsage[0]?.usage).toMatchObject({ prompt_tokens, completion_tokens, total_tokens });
    for (const index of whole.choices.keys()) {
      const written = readChoice(chunks, index);
      const calls = written.calls.map(({ name, arguments: given }) => ({ name, arguments: given }));
      expect({ ...written, calls }).toEqual(wholeChoice(whole, index));
    }
    const ids = chunks.flatMap((chunk) =>
      chunk.choices.flatMap((choice) => (choice.delta.tool_calls ?? []).flatMap((call) => call.id ?? [])),
    );
    expect(new Set(ids).size).toBe(ids.length);
  });

  test.each(REQUESTS)("%s: OpenAI's own client reads the same", async (_what, fields) => {
    const request = { messages, temperature: 0, ...fields };
    const whole = await http.chat(request);
    const body = { model: "tiny", ...request } as unknown as OpenAI.ChatCompletionCreateParamsStreaming;
    const cut = whole.choices.some((choice) => choice.finish_reason === "length");
    const read = await client.chat.completions
      .stream({ ...body, stream: true })
      .finalChatCompletion()
      .catch((thrown: unknown) => (cut ? null : Promise.reject(thrown as Error)));
    const expected = read === null ? [] : whole.choices.map((choice) => choice.finish_reason);
    expect((read?.choices ?? []).map((choice) => choice.finish_reason)).toEqual(expected);
    const contents = read === null ? [] : whole.choices.map((choice) => choice.message.content ?? "");
    expect((read?.choices ?? []).map((choice) => choice.message.content ?? "")).toEqual(contents);
  });
});
