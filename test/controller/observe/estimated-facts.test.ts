import { expect, test } from "vitest";
import { factOf, sortedFacts } from "../../../src/controller/observe/estimated-facts.ts";
import type { ModelEstimate } from "../../../src/protocol/neuron-api.ts";

const estimate = (changes: Partial<ModelEstimate>): ModelEstimate => ({
  model_id: "m",
  spec_hash: "h",
  source: "metadata",
  vram_mb: 1000,
  weights_mb: 700,
  cache_mb: 200,
  compute_mb: 50,
  cache_bytes_per_token: 512,
  file_bytes: 1,
  context: 1024,
  parallel: 1,
  load_secs: null,
  load_secs_source: null,
  devices: [],
  fits_now: { ok: true },
  ...changes,
});

test.each([
  ["the header", estimate({}), [["metadata", 1000]]],
  ["a past load", estimate({ source: "measured" }), [["measured", 1000]]],
  ["the header beside a declaration", estimate({ source: "declared" }), [["metadata", 950]]],
  ["a declaration alone", estimate({ source: "declared", cache_bytes_per_token: undefined }), []],
  ["the size of a file", estimate({ source: "file_size", cache_bytes_per_token: undefined }), []],
] as const)("%s", (_name, told, expected) => {
  expect(factOf(told).map(({ source, vram_mb: mib }) => [source, mib])).toEqual(expected);
});

test("what a load would fetch goes with the fact, where the neuron tells it", () => {
  expect(factOf(estimate({ fetch_bytes: 9 }))).toMatchObject([{ fetch_bytes: 9 }]);
  expect(factOf(estimate({}))[0]).not.toHaveProperty("fetch_bytes");
});

test("facts stand once each, in one order", () => {
  const facts = [
    ...factOf(estimate({ model_id: "b" })),
    ...factOf(estimate({ model_id: "a" })),
    ...factOf(estimate({ model_id: "b" })),
  ];
  expect(sortedFacts(facts).map(({ model_id }) => model_id)).toEqual(["a", "b"]);
});
