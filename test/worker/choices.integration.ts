import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { present } from "../../src/core/present.ts";
import {
  completionSchema,
  type ChatCompletion,
  type ChatCompletionChunk,
  type Completion,
} from "../../src/protocol/openai/chat.ts";
import { spawnWorker, type SpawnedWorker } from "../support/neuron/spawned-worker.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";
import { chunksOf, workerHttp, type WorkerHttp } from "../support/neuron/worker-http.ts";

const messages = [{ role: "user", content: "hello there" }];
const sampled = { messages, max_tokens: 12, temperature: 1, seed: 40 };

let worker: SpawnedWorker;
let http: WorkerHttp;
const complete = async (body: object): Promise<Completion> =>
  completionSchema.parse(
    (await http.post("/v1/completions", { max_tokens: 6, temperature: 0, ...body })).body,
  );
const texts = (answer: ChatCompletion): readonly (string | null)[] =>
  answer.choices.map((choice) => choice.message.content);

const contentOf = (answer: ChatCompletion) => present(answer.choices[0]?.logprobs?.content, "figures");

beforeAll(async () => {
  worker = await spawnWorker(await tinyModelFile({ output: "bytes" }), { parallel: 2 });
  http = workerHttp(worker.socketPath);
});
afterAll(async () => {
  await http.close();
  await worker.stop();
});

const near = <Figured extends { readonly logprob: number }>(one: Figured) => ({
  ...one,
  logprob: expect.closeTo(one.logprob, 4) as number,
});

describe("several choices", () => {
  test("are those of requests with seeds that count up, and cost the prompt once", async () => {
    const [whole, ...single] = await Promise.all([
      http.chat({ ...sampled, n: 4 }),
      ...[0, 1, 2, 3].map((add) => http.chat({ ...sampled, seed: sampled.seed + add })),
    ]);
    expect(whole.choices.map((choice) => choice.index)).toEqual([0, 1, 2, 3]);
    expect(texts(whole)).toEqual(single.flatMap(texts));
    expect(new Set(texts(whole)).size).toBe(4);
    expect(whole.usage).toMatchObject({
      prompt_tokens: single[0]?.usage.prompt_tokens,
      completion_tokens: 48,
      total_tokens: 48 + (single[0]?.usage.prompt_tokens ?? 0),
    });
    expect((await http.health()).slots_busy).toBe(0);
  });

  test("are streamed with their index, one finish each and one usage", async () => {
    const whole = await http.chat({ ...sampled, n: 3 });
    const events = await (
      await http.stream({ ...sampled, n: 3, stream_options: { include_usage: true } })
    ).rest();
    const chunks = chunksOf(events);
    const of = (index: number): readonly ChatCompletionChunk["choices"][number][] =>
      chunks.flatMap((chunk) => chunk.choices).filter((choice) => choice.index === index);
    for (const index of [0, 1, 2]) {
      expect(of(index)[0]?.delta).toEqual({ role: "assistant", content: "" });
      expect(
        of(index)
          .map((choice) => choice.delta.content ?? "")
          .join(""),
      ).toBe(texts(whole)[index]);
      expect(of(index).filter((choice) => choice.finish_reason !== null)).toHaveLength(1);
    }
    expect(chunks.filter((chunk) => (chunk.usage ?? null) !== null)).toHaveLength(1);
    expect(chunks.at(-1)?.usage).toMatchObject({ completion_tokens: 36 });
    expect(events.at(-1)).toBe("data: [DONE]");
  });

  test("take one place in the queue, and end with their client", async () => {
    const stream = await http.stream({ messages, max_tokens: 500, n: 100 });
    await stream.events.next();
    expect(await http.health()).toMatchObject({ slots_busy: 2, queued: 0 });
    const beside = http.chat({ messages, max_tokens: 1 });
    await beside;
    await stream.leave();
    await http.until((health) => health.slots_busy === 0 && health.queued === 0);
  });

  test("of several prompts come in their order", async () => {
    const apart = await Promise.all(["abc", "xyz"].map((prompt) => complete({ prompt })));
    const together = await complete({ prompt: ["abc", "xyz"], n: 2 });
    expect(together.choices.map((choice) => choice.text)).toEqual(
      apart.flatMap((one) => [one.choices[0]?.text, one.choices[0]?.text]),
    );
    expect(together.usage).toMatchObject({ prompt_tokens: 6, completion_tokens: 24 });
    const tokens = ["abc", "xyz"].map((text) => [...Buffer.from(text)].map((byte) => 5 + byte));
    const same = await complete({ prompt: tokens });
    expect(same.choices.map((choice) => choice.text)).toEqual(apart.map((one) => one.choices[0]?.text));
    expect(
      await http.fails("/v1/completions", { prompt: Array.from({ length: 65 }, () => "a"), n: 2 }),
    ).toMatchObject({ code: "unsupported_parameter", param: "n" });
  });
});

describe("logprobs", () => {
  const figured = { messages, max_tokens: 20, logprobs: true, top_logprobs: 5 };

  test("are those of the text, byte for byte, likeliest first", async () => {
    const greedy = await http.chat({ ...figured, temperature: 0 });
    const tokens = contentOf(greedy);
    const bytes = Buffer.from(tokens.flatMap((token) => token.bytes ?? []));
    expect(bytes.toString("utf8")).toBe(texts(greedy)[0]);
    for (const { logprob, top_logprobs: top } of tokens) {
      const figures = top.map((other) => other.logprob);
      expect(figures).toHaveLength(5);
      // Greedy: the likeliest was taken.
      expect(logprob).toBe(figures[0]);
      expect(figures).toEqual(figures.toSorted((a, b) => b - a));
    }
  });

  test("are the model's own, whatever the sampling, and change no answer", async () => {
    const [greedy] = contentOf(await http.chat({ ...figured, temperature: 0 }));
    // The same first token with the same figure, though top-k leaves one token only.
    const [narrow] = contentOf(await http.chat({ ...figured, temperature: 0.3, top_k: 1 }));
    expect(narrow?.token).toBe(greedy?.token);
    expect(narrow?.logprob).toBeCloseTo(present(greedy, "a first token").logprob, 4);
    const seeded = { messages, max_tokens: 20, temperature: 1, seed: 3 };
    const plain = await http.chat(seeded);
    expect(texts(await http.chat({ ...seeded, logprobs: true, top_logprobs: 2 }))).toEqual(texts(plain));
    expect(plain.choices[0]?.logprobs).toBeNull();
  });

  test("of all tokens add up to one", async () => {
    const { choices } = await http.chat({ ...figured, max_tokens: 1, top_logprobs: 20, temperature: 0 });
    const top = choices[0]?.logprobs?.content?.[0]?.top_logprobs ?? [];
    const mass = top.reduce((sum, token) => sum + Math.exp(token.logprob), 0);
    expect(mass).toBeGreaterThan(0.05);
    expect(mass).toBeLessThanOrEqual(1.000_01);
  });

  test.each([{ temperature: 0 }, { temperature: 1, seed: 7 }, { temperature: 0, stop: ["a", "b", "c"] }])(
    "are streamed as they are told whole: %j",
    async (settings) => {
      const request = { ...figured, ...settings };
      const whole = (await http.chat(request)).choices[0];
      const chunks = chunksOf(await (await http.stream(request)).rest());
      const streamed = chunks.flatMap((chunk) => chunk.choices[0]?.logprobs?.content ?? []);
      // The first one's slot may still compute the token behind its end: other steps have other last digits.
      const told = whole?.logprobs?.content ?? [];
      expect(streamed).toEqual(
        told.map((token) => ({ ...near(token), top_logprobs: token.top_logprobs.map(near) })),
      );
      const written = chunks
        .flatMap((one) => one.choices)
        .filter((choice) => (choice.delta.content ?? "") !== "");
      expect(written.every((choice) => (choice.logprobs?.content ?? []).length > 0)).toBe(true);
    },
  );

  test("of legacy completions say where each token begins", async () => {
    const answer = await complete({ prompt: "abc", logprobs: 2, max_tokens: 8 });
    const [choice] = answer.choices;
    expect(choice?.logprobs?.tokens).toHaveLength(8);
    expect(choice?.logprobs?.top_logprobs.every((top) => Object.keys(top).length === 2)).toBe(true);
    expect(choice?.logprobs?.text_offset[0]).toBe(0);
    expect(choice?.logprobs?.token_logprobs.every((logprob) => logprob <= 0)).toBe(true);
    const none = await complete({ prompt: "abc", logprobs: 0 });
    expect(none.choices[0]?.logprobs?.top_logprobs.every((top) => Object.keys(top).length === 0)).toBe(true);
    expect(await http.fails("/v1/completions", { prompt: "abc", logprobs: 1, echo: true })).toMatchObject({
      code: "unsupported_parameter",
      param: "logprobs",
    });
  });

  test("follow the grammar's choice with the model's own figure", async () => {
    const answer = await http.chat({
      ...figured,
      temperature: 0,
      response_format: {
        type: "json_schema",
        json_schema: { name: "x", schema: { enum: ["yes", "no"] } },
      },
    });
    const [choice] = answer.choices;
    const content = choice?.logprobs?.content ?? [];
    expect(content.map((token) => token.token).join("")).toBe(choice?.message.content);
    // The model itself would have written something else.
    expect(content[0]?.top_logprobs.map((top) => top.token)).not.toContain('"');
  });
});
