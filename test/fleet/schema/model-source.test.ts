import { expect, test } from "vitest";
import { modelBlockSchema } from "../../../src/fleet/schema/fleet-schema.ts";
import { effectiveSource, parseSource } from "../../../src/fleet/schema/model-source.ts";
import { modelSpecFromBlock } from "../../../src/protocol/model-spec.ts";
import { specHash } from "../../../src/protocol/spec-hash.ts";

test.each([
  ["a.gguf", { kind: "store", name: "a.gguf" }],
  ["dir/a", { kind: "store", name: "dir/a" }],
  ["file:/srv/a b.gguf", { kind: "file", path: "/srv/a b.gguf" }],
  ["file:///srv/a.gguf", { kind: "file", path: "/srv/a.gguf" }],
  ["https://models.example/a.gguf?x=1", { kind: "https", url: "https://models.example/a.gguf?x=1" }],
  ["hf:org/repo", { kind: "hf", repository: "org/repo", revision: undefined, file: undefined }],
  ["hf:org/repo:Q4_K_M", { kind: "hf", repository: "org/repo", revision: undefined, file: "Q4_K_M" }],
  [
    "hf:org/re.po@refs/pr/1:a/b.gguf",
    { kind: "hf", repository: "org/re.po", revision: "refs/pr/1", file: "a/b.gguf" },
  ],
])("%s is read", (source, expected) => {
  expect(parseSource(source)).toEqual({ ok: true, value: expected });
});

test.each([
  [{ source: "a.gguf" }, "a.gguf"],
  [{}, undefined],
  [{ source: "hf:org/repo", quant: "Q6_K" }, "hf:org/repo:Q6_K"],
  [{ source: "hf:org/repo:Q6_K", revision: "v1" }, "hf:org/repo@v1:Q6_K"],
  [{ source: "hf:org/repo@v1:Q6_K", revision: "v1", quant: "Q6_K" }, "hf:org/repo@v1:Q6_K"],
])("%j means %s", (settings, expected) => {
  expect(effectiveSource(modelBlockSchema.parse({ id: "m", ...settings }))).toBe(expected);
});

const hashOf = (settings: object) =>
  specHash(modelSpecFromBlock(modelBlockSchema.parse({ id: "m", ...settings })));

test("one source written in two ways is one model to a neuron; another pin or engine is another", () => {
  const written = hashOf({ source: "hf:org/repo@v1:Q6_K" });
  expect(hashOf({ source: "hf:org/repo", revision: "v1", quant: "Q6_K" })).toBe(written);
  const engine = { harness: "openai", endpoint: "http://a:1" };
  const others = [
    hashOf({ source: "hf:org/repo:Q6_K" }),
    hashOf({ source: "hf:org/repo@v2:Q6_K" }),
    hashOf(engine),
    hashOf({ ...engine, endpoint: "http://a:2" }),
    hashOf({ ...engine, served_as: "x" }),
    written,
  ];
  expect(new Set(others).size).toBe(others.length);
});

test("the hash of a model without the new settings stays what it was", () => {
  expect(hashOf({ source: "a.gguf", context: 4096 })).toBe("b0e1e78c0f370d9f");
});
