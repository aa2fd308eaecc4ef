import { afterAll, describe, expect, test } from "vitest";
import { openingBytes } from "../../../src/protocol/openai/conversation-opening.ts";
import { DIALECT_ROUTES } from "../../../src/gateway/dialect/dialect-routes.ts";
import { TranslationThread } from "../../../src/gateway/dialect/io/translation-thread.ts";
import {
  LONG_BODY_BYTES,
  translateBody,
  type OpenAiRequest,
} from "../../../src/gateway/dialect/translate-body.ts";

const LONG = "so it goes ".repeat(LONG_BODY_BYTES / 10);
const TOOL = { name: "look", description: "looks", parameters: { type: "object", properties: {} } };
const CHAT = [
  { role: "user", content: LONG },
  { role: "assistant", content: "yes" },
  { role: "user", content: "and?" },
];

/** Long requests, by route: with what forms the answer, and without. */
const REQUESTS: Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>> = {
  "/v1/messages": [
    { max_tokens: 9, messages: CHAT },
    {
      max_tokens: 9,
      messages: CHAT,
      system: LONG,
      stream: true,
      tools: [{ name: "look", input_schema: {} }],
    },
  ],
  "/v1/messages/count_tokens": [{ messages: CHAT, system: "be brief" }],
  "/v1/responses": [
    { input: LONG },
    { input: CHAT, instructions: "be brief", stream: true, tools: [{ type: "function", ...TOOL }] },
  ],
  "/api/chat": [
    { messages: CHAT },
    {
      messages: CHAT,
      stream: false,
      tools: [{ type: "function", function: TOOL }],
      options: { num_predict: 4 },
    },
    { messages: [], options: { stop: [LONG] } },
  ],
  "/api/generate": [
    { prompt: LONG, stream: false },
    { prompt: LONG, system: "be brief" },
    { prompt: LONG, raw: true },
    { prompt: "", options: { stop: [LONG] } },
  ],
  "/api/embed": [{ input: [LONG, "b"] }],
  "/api/embeddings": [{ prompt: LONG }],
};

const context = () => {
  let ids = 0;
  return {
    depth: 9,
    identity: { newId: () => `id${(ids += 1)}`, nowSecs: 1_700_000_000, elapsedMs: () => 5 },
    isKnown: (model: string) => model === "org/a",
  };
};

const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
const CHUNK = {
  id: "c",
  object: "chat.completion.chunk",
  created: 1,
  model: "org/a",
  choices: [{ index: 0, delta: { role: "assistant", content: "yes" }, finish_reason: null }],
};
const WHOLE = {
  id: "c",
  object: "chat.completion",
  created: 1,
  model: "org/a",
  count: 7,
  data: [{ index: 0, embedding: [1, 2] }],
  choices: [{ index: 0, message: { role: "assistant", content: "yes" }, text: "yes", finish_reason: "stop" }],
  usage,
};

/** Of the opening as much as is looked at. */
const seen = ({ facts: { opening, ...facts } }: OpenAiRequest) => ({
  ...facts,
  opening: opening === null ? null : openingBytes(opening),
});

function attempt(work: () => unknown): unknown {
  try {
    return work();
  } catch (thrown) {
    return String(thrown);
  }
}

/** What becomes of the same answer, whole and streamed. */
function answers({ answer }: OpenAiRequest): unknown {
  return {
    whole: attempt(() => answer.whole(WHOLE)),
    stream: attempt(() => {
      const stream = answer.stream(() => 3);
      const end = { ...CHUNK, choices: [{ index: 0, delta: {}, finish_reason: "stop" }], usage };
      return [stream.keepAlive(), stream.chunk(CHUNK), stream.chunk(end), stream.done()];
    }),
  };
}

describe("a long request of a dialect, translated in a thread", () => {
  const thread = new TranslationThread();
  afterAll(async () => {
    await thread.close();
  });

  const cases = DIALECT_ROUTES.flatMap((route) =>
    (REQUESTS[route.path] ?? []).map((request, index) => ({ route, request, path: route.path, index })),
  );

  test("every route has some", () => {
    expect(DIALECT_ROUTES.filter(({ path }) => REQUESTS[path] === undefined)).toEqual([]);
  });

  test.each(cases)("$path $index is the same as on the spot", async ({ route, request }) => {
    const body = Buffer.from(JSON.stringify({ model: "org/a", ...request }));
    expect(body.length).toBeGreaterThan(LONG_BODY_BYTES);
    const there = await thread.translate(route, body, context());
    const here = translateBody(route, body, context());
    expect(seen(there)).toEqual(seen(here));
    expect(there.path).toBe(here.path);
    expect(there.body.equals(here.body)).toBe(true);
    expect(answers(there)).toEqual(answers(here));
  });

  const [route] = DIALECT_ROUTES.filter(({ path }) => path === "/v1/messages");
  if (route === undefined) throw new Error("no such route");

  test("what is wrong with it is said as on the spot, and the thread goes on", async () => {
    const wrong = Buffer.from(JSON.stringify({ model: "org/a", messages: CHAT, max_tokens: "many" }));
    await expect(thread.translate(route, wrong, context())).rejects.toMatchObject({
      code: "invalid_request_body",
      param: "max_tokens",
    });
    const half = wrong.subarray(0, wrong.length - 2);
    await expect(thread.translate(route, half, context())).rejects.toMatchObject({ code: "malformed_json" });
    const good = Buffer.from(JSON.stringify({ model: "org/a", messages: CHAT, max_tokens: 4 }));
    expect((await thread.translate(route, good, context())).facts.maxOutputTokens).toBe(4);
  });

  test("settings that are as long as a conversation are refused: they would be read on the gateway's own thread", async () => {
    const tools = Array.from({ length: 6000 }, (_, index) => ({
      ...TOOL,
      name: `look${index}`,
      input_schema: {},
    }));
    const body = Buffer.from(JSON.stringify({ model: "org/a", messages: CHAT, max_tokens: 4, tools }));
    await expect(thread.translate(route, body, context())).rejects.toThrow(
      /beside its conversation .* 512 KiB/,
    );
  });

  test("a body that takes more memory than there is refused, and what else ends the thread is no fault of the request", async () => {
    const small = new TranslationThread({ memoryMb: 16 });
    const messages = Array.from({ length: 200_000 }, () => ({ role: "user", content: "so" }));
    const body = Buffer.from(JSON.stringify({ model: "org/a", messages, max_tokens: 4 }));
    await expect(small.translate(route, body, context())).rejects.toMatchObject({
      code: "invalid_request_body",
    });
    const good = Buffer.from(JSON.stringify({ model: "org/a", messages: CHAT, max_tokens: 4 }));
    const refusal = small.translate(route, good, context()).catch((thrown: unknown) => thrown);
    // The thread is there after a turn, and takes many to begin.
    await new Promise((resolve) => setImmediate(resolve));
    await small.close();
    expect(await refusal).toMatchObject({ code: "internal_error" });
  });
});
