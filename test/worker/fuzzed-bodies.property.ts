import fc from "fast-check";
import { Client } from "undici";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { isErrorCode } from "../../src/core/errors.ts";
import { errorEnvelopeSchema } from "../../src/protocol/error-envelope.ts";
import { runsOf } from "../support/long-runs.ts";
import { spawnWorker, type SpawnedWorker } from "../support/neuron/spawned-worker.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";
import { workerHttp } from "../support/neuron/worker-http.ts";

// Whatever a body holds, the answer is an answer or the envelope of an expected error, and the worker lives on.

let worker: SpawnedWorker;
let client: Client;

beforeAll(async () => {
  // A vocabulary whose tokenizer recurses, and answers that end by themselves now and then.
  worker = await spawnWorker(await tinyModelFile({ preTokenizer: "tekken", endOfText: 0 }), { parallel: 2 });
  client = new Client("http://localhost", {
    socketPath: worker.socketPath,
    pipelining: 0,
    bodyTimeout: 0,
    headersTimeout: 0,
  });
});
afterAll(async () => {
  await client.destroy();
  await worker.stop();
});

const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 20 }),
  fc.constantFrom(
    "",
    " ",
    "\u0000",
    "\ud800",
    "<|im_end|>",
    "<|im_start|>system\n",
    "<tool_call>",
    "{{ messages }}",
    "{% for",
    "</think>",
    "__proto__",
  ),
  fc
    .tuple(fc.constantFrom("a", " ", "漢", "\n", "!"), fc.constantFrom(1, 900, 40_000))
    .map(([unit, count]) => unit.repeat(count)),
);
const number = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.constantFrom(0.5, -0.1, 1e300, -1e300, 2 ** 31, 2 ** 32 - 1, 2 ** 53, 1e-320),
  fc.double({ noNaN: true }),
);
const anything = fc.oneof({ depthSize: "small" }, fc.jsonValue(), text, number, fc.constant(null));
const nearly = (usual: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 6, arbitrary: usual }, { weight: 1, arbitrary: anything });

const schema = fc.letrec<{ schema: unknown }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 4 },
    fc.record({
      type: nearly(fc.constantFrom("string", "integer", "number", "boolean", "null", ["string", "null"])),
    }),
    fc.record(
      { type: fc.constant("string"), minLength: number, maxLength: number },
      { requiredKeys: ["type"] },
    ),
    fc.record({ type: fc.constant("integer"), minimum: number, maximum: number }, { requiredKeys: ["type"] }),
    fc.record({ enum: fc.array(fc.jsonValue(), { maxLength: 3 }) }),
    fc.record({ $ref: fc.constantFrom("#", "#/properties/a", "#/$defs/x", "other", "#/%") }),
    fc.record({ anyOf: fc.array(tie("schema"), { maxLength: 3 }) }),
    fc.record(
      { type: fc.constant("array"), items: tie("schema"), minItems: number, maxItems: number },
      { requiredKeys: ["type"] },
    ),
    fc.record(
      {
        type: fc.constant("object"),
        properties: fc.dictionary(text, tie("schema"), { maxKeys: 3 }),
        required: fc.array(text, { maxLength: 2 }),
      },
      { requiredKeys: ["type"] },
    ),
    anything,
  ),
})).schema;

const call = fc.record({
  id: text,
  type: fc.constant("function"),
  function: fc.record({ name: nearly(text), arguments: nearly(fc.json()) }),
});
const message = fc.record(
  {
    role: nearly(fc.constantFrom("system", "user", "assistant", "tool", "developer")),
    content: nearly(
      fc.oneof(
        text,
        fc.array(fc.record({ type: fc.constantFrom("text", "image_url"), text }), { maxLength: 2 }),
      ),
    ),
    tool_calls: nearly(fc.array(call, { maxLength: 2 })),
    name: nearly(text),
  },
  { requiredKeys: ["role", "content"] },
);
const tool = fc.record({
  type: nearly(fc.constant("function")),
  function: fc.record(
    { name: fc.oneof(fc.constant("f"), text), description: text, parameters: schema, strict: fc.boolean() },
    { requiredKeys: ["name"] },
  ),
});
const bias = fc.oneof(
  fc.dictionary(fc.nat(300).map(String), number, { maxKeys: 5 }),
  // Everything but the end is forbidden, or nearly everything.
  fc.nat(261).map((spared): Record<string, number> => {
    const forbidden = Array.from({ length: 262 }, (_, token) => token).filter(
      (token) => token !== 4 && token !== 2 && token !== spared,
    );
    return Object.fromEntries(forbidden.map((token): [string, number] => [String(token), -100]));
  }),
);
const common = {
  model: fc.constant("tiny"),
  max_tokens: nearly(fc.nat(6)),
  stream: nearly(fc.boolean()),
  temperature: nearly(fc.double({ min: 0, max: 2, noNaN: true })),
  top_p: nearly(fc.constantFrom(0, 0.5, 1)),
  top_k: nearly(fc.integer({ min: -1, max: 50 })),
  seed: nearly(fc.integer()),
  n: nearly(fc.constantFrom(1, 1, 2, 3)),
  stop: nearly(fc.oneof(text, fc.array(text, { maxLength: 3 }))),
  logit_bias: nearly(bias),
  frequency_penalty: nearly(fc.constantFrom(-2, 0, 2)),
  repetition_penalty: nearly(fc.constantFrom(0.1, 1, 10)),
  ignore_eos: nearly(fc.boolean()),
};
const usual = { requiredKeys: ["model", "max_tokens"] as ["model", "max_tokens"] };
const chat = fc.record(
  {
    ...common,
    messages: nearly(fc.array(message, { minLength: 1, maxLength: 4 })),
    tools: nearly(fc.array(tool, { maxLength: 2 })),
    tool_choice: nearly(
      fc.constantFrom("none", "auto", "required", { type: "function", function: { name: "f" } }),
    ),
    response_format: nearly(
      fc.oneof(
        fc.constant({ type: "json_object" }),
        schema.map((inner) => ({ type: "json_schema", json_schema: { name: "x", schema: inner } })),
      ),
    ),
    logprobs: nearly(fc.boolean()),
    top_logprobs: nearly(fc.constant(0)),
    chat_template_kwargs: nearly(fc.dictionary(text, anything, { maxKeys: 2 })),
  },
  { requiredKeys: ["model", "max_tokens", "messages"] },
);
const body = fc.oneof(
  { weight: 10, arbitrary: fc.tuple(fc.constant("/v1/chat/completions"), chat) },
  {
    weight: 3,
    arbitrary: fc.tuple(
      fc.constant("/v1/completions"),
      fc.record(
        {
          ...common,
          prompt: nearly(
            fc.oneof(text, fc.array(fc.nat(300), { maxLength: 5 }), fc.array(text, { maxLength: 3 })),
          ),
          logprobs: nearly(fc.nat(3)),
          echo: nearly(fc.boolean()),
        },
        usual,
      ),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(
      fc.constant("/v1/embeddings"),
      fc.record({
        model: fc.constant("tiny"),
        input: nearly(fc.oneof(text, fc.array(text, { maxLength: 3 }))),
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constantFrom("/v1/tokenize", "/v1/count_tokens", "/v1/detokenize", "/v1/rerank"),
      fc.record(
        {
          model: fc.constant("tiny"),
          prompt: nearly(text),
          tokens: nearly(fc.array(fc.nat(300), { maxLength: 5 })),
          query: nearly(text),
          documents: nearly(fc.array(text, { maxLength: 3 })),
        },
        { requiredKeys: ["model"] },
      ),
    ),
  },
);
/** Now and then the text of the body is broken, or nested beyond reason. */
const raw = fc.oneof(
  { weight: 30, arbitrary: body.map(([path, value]): [string, string] => [path, JSON.stringify(value)]) },
  {
    weight: 1,
    arbitrary: body.chain(([path, value]) =>
      fc.nat(50).map((cut): [string, string] => [path, JSON.stringify(value).slice(0, -cut - 1)]),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<[string, string]>(
      [
        "/v1/chat/completions",
        `{"model":"tiny","messages":[{"role":"user","content":"a"}],"max_tokens":2,"response_format":{"type":"json_schema","json_schema":{"schema":${'{"items":'.repeat(20_000)}true${"}".repeat(20_000)}}}}`,
      ],
      [
        "/v1/chat/completions",
        `{"model":"tiny","max_tokens":2,"messages":[{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":"${"[".repeat(20_000)}${"]".repeat(20_000)}"}}]}]}`,
      ],
      ["/v1/completions", "[".repeat(100_000)],
    ),
  },
);

const answerSchema = z.looseObject({ model: z.literal("tiny") });

function checkAnswer(status: number, answered: string): void {
  if (status !== 200) checkError(JSON.parse(answered));
  else if (answered.startsWith("{")) answerSchema.parse(JSON.parse(answered));
  else checkStream(answered);
}

function checkStream(events: string): void {
  const last = events.trimEnd().split("\n\n").at(-1) ?? "";
  if (last === "data: [DONE]") return;
  checkError(JSON.parse(last.replace("data: ", "")));
}

function checkError(answer: unknown): void {
  const { error } = errorEnvelopeSchema.parse(answer);
  expect(error.code, error.message).toSatisfy(isErrorCode);
  expect(error.code, error.message).not.toBe("internal_error");
}

test(
  "always an answer or an envelope, and a worker that lives",
  async () => {
    await fc.assert(
      fc.asyncProperty(raw, async ([path, given]) => {
        const response = await client.request({
          method: "POST",
          path,
          headers: { "content-type": "application/json" },
          body: given,
        });
        const answered = await response.body.text();
        checkAnswer(response.statusCode, answered);
      }),
      { numRuns: runsOf({ ci: 1000, fuzz: 10_000 }), endOnFailure: true },
    );
    const http = workerHttp(worker.socketPath);
    expect(await http.health()).toMatchObject({ slots_busy: 0, queued: 0 });
    await http.close();
  },
  runsOf({ ci: 60_000, fuzz: 3_600_000 }),
);
