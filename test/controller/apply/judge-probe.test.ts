import { describe, expect, test } from "vitest";
import { judgeProbe, probeQuestion } from "../../../src/controller/apply/judge-probe.ts";
import { modelProbeTableSchema, type ModelProbe } from "../../../src/fleet/schema/probe-table.ts";

const probe = (given: Partial<ModelProbe> = {}): ModelProbe => modelProbeTableSchema.parse(given);

const said = (content: unknown, more: Readonly<Record<string, unknown>> = {}): unknown => ({
  choices: [{ message: { role: "assistant", content, ...more }, finish_reason: "stop" }],
});

const judgedText = (answer: unknown, given: Partial<ModelProbe> = {}): string | undefined =>
  judgeProbe(probeQuestion("m", probe(given), ["text"]), answer, probe(given));

const judgedVector = (embedding: unknown, given: Partial<ModelProbe> = {}): string | undefined =>
  judgeProbe(probeQuestion("e", probe(given), ["embeddings"]), { data: [{ embedding }] }, probe(given));

describe("what a fresh copy is asked", () => {
  test("a small chat, without chance and with an end", () => {
    expect(probeQuestion("m", probe({ prompt: "The capital of France?" }), ["text"])).toEqual({
      path: "/v1/chat/completions",
      body: {
        model: "m",
        messages: [{ role: "user", content: "The capital of France?" }],
        max_tokens: 64,
        temperature: 0,
        stream: false,
      },
    });
  });

  test("a model that only embeds is asked for a vector, one that does both for words", () => {
    expect(probeQuestion("e", probe(), ["embeddings"]).path).toBe("/v1/embeddings");
    expect(probeQuestion("e", probe(), ["text", "embeddings"]).path).toBe("/v1/chat/completions");
    expect(probeQuestion("e", probe(), []).path).toBe("/v1/chat/completions");
  });
});

describe("what its answer is held to", () => {
  test.each([
    ["words, where nothing is expected of them", said("Hello."), {}, undefined],
    ["thoughts alone, of a model that was cut off", said("", { reasoning_content: "Hm" }), {}, undefined],
    ["what is expected, in other letters", said("It is PARIS."), { expect: "Paris" }, undefined],
    ["nothing", said(" "), {}, "its answer is empty"],
    ["no content at all", said(null), {}, "its answer is empty"],
    ["no answer of a chat", { object: "list" }, {}, "it answers with no message"],
    ["no JSON", undefined, {}, "it answers with no message"],
    [
      "something else than expected",
      said("London"),
      { expect: "Paris" },
      'its answer of 6 characters has no "Paris" in it, as `probe.expect` declares',
    ],
    [
      "only thoughts of what is expected",
      said("", { reasoning_content: "Paris?" }),
      { expect: "Paris" },
      'its answer of 0 characters has no "Paris" in it, as `probe.expect` declares',
    ],
    [
      "an answer that was cut off before",
      { choices: [{ message: { content: "Well, " }, finish_reason: "length" }] },
      { expect: "Paris" },
      'its answer of 6 characters, which ended at `probe.max_tokens` has no "Paris" in it, as `probe.expect` declares',
    ],
  ])("%s", (...[, answer, given, wrong]) => {
    expect(judgedText(answer, given)).toBe(wrong);
  });

  test.each([
    ["any vector", [0.1, 0], {}, undefined],
    ["one of the declared length", [0.1, 0.2], { dimensions: 2 }, undefined],
    [
      "one of another length",
      [1],
      { dimensions: 2 },
      "its vector has 1 numbers, and `probe.dimensions` declares 2",
    ],
    ["none", [], {}, "it answers with no vector"],
    ["text", "AAAA", {}, "it answers with no vector"],
    ["zeros", [0, 0], {}, "its vector is nothing but zeros"],
    ["holes", [0.1, null], {}, "its vector has something in it that is no number"],
  ])("a vector: %s", (...[, vector, given, wrong]) => {
    expect(judgedVector(vector, given)).toBe(wrong);
  });

  test("what the model said is not told", () => {
    expect(judgedText(said("the password is hunter2"), { expect: "Paris" })).not.toContain("hunter2");
  });
});
