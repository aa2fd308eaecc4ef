import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rerankResponseSchema, type RerankResponse } from "../../src/protocol/openai/rerank.ts";
import {
  countTokensResponseSchema,
  detokenizeResponseSchema,
  tokenizeResponseSchema,
} from "../../src/protocol/openai/tokenize.ts";
import { spawnWorker, type SpawnedWorker } from "../support/neuron/spawned-worker.ts";
import { tinyModelFile } from "../support/neuron/tiny-model.ts";
import { workerHttp, type WorkerHttp } from "../support/neuron/worker-http.ts";

const RERANK = "/v1/rerank";

describe.each([{ reranks: false }, { reranks: true }])("a worker whose model has $reranks", ({ reranks }) => {
  let worker: SpawnedWorker;
  let http: WorkerHttp;
  const rank = async (body: object): Promise<RerankResponse> =>
    rerankResponseSchema.parse((await http.post(RERANK, body)).body);

  beforeAll(async () => {
    worker = await spawnWorker(await tinyModelFile({ reranks }));
    http = workerHttp(worker.socketPath);
  });
  afterAll(async () => {
    await http.close();
    await worker.stop();
  });

  test("says whether it ranks", () => {
    expect(worker.facts.capabilities.includes("rerank")).toBe(reranks);
  });

  test("text goes to tokens and back, and is counted", async () => {
    const prompt = "hello <|im_end|> wörld";
    const { tokens, count, max_model_len } = tokenizeResponseSchema.parse(
      (await http.post("/v1/tokenize", { prompt })).body,
    );
    expect(count).toBe(tokens.length);
    expect(max_model_len).toBe(1024);
    const back = detokenizeResponseSchema.parse((await http.post("/v1/detokenize", { tokens })).body);
    expect(back.prompt).toBe(prompt);
    const counted = await http.post("/v1/count_tokens", { prompt });
    expect(countTokensResponseSchema.parse(counted.body)).toEqual({ model: "tiny", count, max_model_len });
  });

  test("a conversation counts as many tokens as its answer says that it had", async () => {
    const messages = [{ role: "user", content: "hello there" }];
    const counted = await http.post("/v1/count_tokens", { messages });
    const answer = await http.chat({ messages, max_tokens: 1 });
    expect(countTokensResponseSchema.parse(counted.body).count).toBe(answer.usage.prompt_tokens);
  });

  test("what is no token has no text", async () => {
    expect(await http.fails("/v1/detokenize", { tokens: [999_999] })).toMatchObject({
      code: "invalid_request_body",
      param: "tokens",
    });
  });

  test.runIf(reranks)("documents come best first, whoever stands beside them", async () => {
    const documents = ["a cat", "something else", { text: "zzzz" }, "a cat"];
    const answer = await rank({ query: "what is it", documents, return_documents: true });
    const scores = answer.results.map((result) => result.relevance_score);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    expect(answer.results.map((result) => result.index).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
    expect(new Set(scores).size).toBe(3);
    const first = answer.results.find((result) => result.index === 0);
    expect(first?.document?.text).toBe("a cat");
    const alone = await rank({ query: "what is it", documents: ["a cat"] });
    expect(alone.results).toEqual([{ index: 0, relevance_score: first?.relevance_score }]);
    expect(alone.usage.total_tokens).toBeGreaterThan(0);
    expect((await rank({ query: "what is it", documents, top_n: 2 })).results).toHaveLength(2);
  });

  test.runIf(reranks)("what cannot be ranked is refused by name", async () => {
    const long = await http.fails(RERANK, { query: "q", documents: ["a", "x".repeat(3000)] });
    expect(long).toMatchObject({ code: "context_length_exceeded", param: "documents.1" });
    expect(await http.fails(RERANK, { query: "q", documents: [] })).toMatchObject({ param: "documents" });
    expect(await http.fails(RERANK, { query: "q", documents: ["a"], max_chunks_per_doc: 3 })).toMatchObject({
      code: "unsupported_parameter",
      param: "max_chunks_per_doc",
    });
  });

  test.runIf(!reranks)("a model without a classifier ranks nothing", async () => {
    expect(await http.fails(RERANK, { query: "q", documents: ["a"] })).toMatchObject({
      status: 422,
      code: "wrong_modality",
    });
  });
});
