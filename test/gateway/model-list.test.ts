import { expect, test } from "vitest";
import { modelEntries } from "../../src/gateway/model-list.ts";
import { modelEntrySchema } from "../../src/protocol/gateway-api.ts";
import { residentModel } from "../support/neuron/fake-neuron.ts";
import { indexOf, viewOf } from "./view-builder.ts";

const CREATED = 1_787_000_000;
const LISTED = { createdSecs: CREATED, leavesAtMs: () => null };

test("catalogue, residents and aliases in order of id, each by the schema", () => {
  const fleet = indexOf(
    { b: {}, a: {} },
    [
      { id: "org/z", cost: { input: 0 } },
      { id: "org/cold", limit: { context: 8192, output: 1024 }, capabilities: ["vision", "text"] },
    ],
    { "Fleet/fast": "org/z", lost: "org/nowhere", "org/cold": "org/z" },
  );
  const view = viewOf({
    a: {
      models: [
        residentModel("org/z", {
          limit: { context: 9000, input: 8000, output: 1000 },
          capabilities: ["text"],
        }),
      ],
    },
    b: {
      models: [
        residentModel("org/z", {
          limit: { context: 4000, output: 500 },
          capabilities: ["vision"],
          reasoning: true,
        }),
        residentModel("org/stray", { status: "loading", limit: null }),
      ],
    },
  });
  const entries = modelEntries(fleet, view, LISTED);
  for (const entry of entries) expect(modelEntrySchema.parse(entry)).toEqual(entry);
  expect(entries.map((entry) => entry.id)).toEqual(["Fleet/fast", "org/cold", "org/stray", "org/z"]);
  const [alias, cold, stray, loaded] = entries;
  expect(loaded).toEqual({
    id: "org/z",
    object: "model",
    created: CREATED,
    owned_by: "cortex",
    loaded: true,
    feasible_on: ["a", "b"],
    locations: [
      { node: "a", status: "loaded", vram_estimate_mb: 1000 },
      { node: "b", status: "loaded", vram_estimate_mb: 1000 },
    ],
    capabilities: ["text", "vision"],
    limit: { context: 4000, output: 500 },
    cost: { input: 0, output: 0 },
    tool_call: true,
    reasoning: true,
    max_model_len: 4000,
    max_output_tokens: 500,
  });
  expect(alias).toEqual({ ...loaded, id: "Fleet/fast", alias_of: "org/z" });
  expect(cold).toMatchObject({
    loaded: false,
    locations: [],
    capabilities: ["text", "vision"],
    max_model_len: 8192,
  });
  expect(cold).not.toHaveProperty("cost");
  expect(stray).toMatchObject({
    loaded: false,
    feasible_on: [],
    locations: [{ node: "b", status: "loading" }],
  });
  expect(stray).not.toHaveProperty("max_model_len");
});

test("a model that is not loaded has the context that the files declare for it", () => {
  const fleet = indexOf({ a: {} }, [
    { id: "org/context", context: 8192 },
    { id: "org/limit", context: 8192, limit: { context: 4096, output: 512 } },
  ]);
  expect(modelEntries(fleet, viewOf({}), LISTED)).toMatchObject([
    { id: "org/context", limit: { context: 8192 }, max_model_len: 8192 },
    { id: "org/limit", limit: { context: 4096, output: 512 }, max_model_len: 4096 },
  ]);
});

test("an unhealthy neuron's models are not shown", () => {
  const fleet = indexOf({ a: {} }, [{ id: "org/m" }]);
  expect(modelEntries(fleet, viewOf({ a: "unhealthy" }), LISTED)).toMatchObject([
    { id: "org/m", loaded: false, feasible_on: [], locations: [] },
  ]);
});
