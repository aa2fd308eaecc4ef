import { describe, expect, test } from "vitest";
import { decide, type Decision } from "../../../src/gateway/routing/route-request.ts";
import { residentModel } from "../../support/neuron/fake-neuron.ts";
import { factsOf, indexOf, viewOf } from "../view-builder.ts";

const THREE = { a: {}, b: {}, c: {} };
const MODEL = { id: "org/m" };
const loading = residentModel("org/m", { status: "loading" });
const unloading = residentModel("org/m", { status: "unloading" });
const squeezed = residentModel("org/m", {
  servable: { ok: false, reason: "insufficient_vram", detail: "tight" },
});

/** "serve a", "refuse model_not_found" and so on. */
const told = (decision: Decision): string =>
  decision.kind === "refuse"
    ? `refuse ${decision.error.code}`
    : decision.kind === "serve"
      ? `serve ${decision.neuron}`
      : "wait";

const refusal = (decision: Decision) => {
  if (decision.kind !== "refuse") throw new Error(`expected a refusal, got ${told(decision)}`);
  return decision.error;
};

const openAtA = (count: number) =>
  factsOf("org/m", { outstanding: (neuron) => (neuron === "a" ? count : 0) });

describe("replicas", () => {
  const fleet = indexOf(THREE, [MODEL], { nick: "org/m" });
  const both = { models: ["org/m"] };
  test.each([
    { what: "the only one", neurons: { a: {}, b: both, c: {} }, expected: "serve b" },
    { what: "ties go by name", neurons: { a: {}, b: both, c: both }, expected: "serve b" },
    {
      what: "least in flight",
      neurons: { a: {}, b: { ...both, load: { "org/m": 3 } }, c: { ...both, load: { "org/m": 2 } } },
      expected: "serve c",
    },
    {
      what: "other models' load does not count",
      neurons: { a: {}, b: { ...both, load: { "org/x": 9 } }, c: { ...both, load: { "org/m": 1 } } },
      expected: "serve b",
    },
    {
      what: "a copy that cannot serve is skipped",
      neurons: { a: { models: [squeezed] }, b: both },
      expected: "serve b",
    },
    {
      what: "a leaving copy is skipped",
      neurons: { a: { models: [unloading] }, b: both },
      expected: "serve b",
    },
    {
      what: "a draining neuron is skipped",
      neurons: { a: { ...both, draining: true }, b: both },
      expected: "serve b",
    },
    {
      what: "a loaded copy goes before a loading one",
      neurons: { a: { models: [loading] }, b: both },
      expected: "serve b",
    },
    {
      what: "a model outside the files is served too",
      neurons: { c: { models: ["org/x"] } },
      model: "org/x",
      expected: "serve c",
    },
    { what: "an alias", neurons: { b: both }, model: "nick", expected: "serve b" },
  ])("$what", ({ neurons, expected, model = "org/m" }) => {
    expect(told(decide(factsOf(model), fleet, viewOf(neurons)))).toBe(expected);
  });

  test("own open requests count, but not twice once the neuron has reported them", () => {
    const view = viewOf({
      a: { ...both, load: { "org/m": 3 }, outstanding: { "org/m": 3 } },
      b: { ...both, load: { "org/m": 4 } },
    });
    expect(told(decide(openAtA(3), fleet, view))).toBe("serve a");
    expect(told(decide(openAtA(5), fleet, view))).toBe("serve b");
  });

  test("a neuron that just failed is taken only when nothing else serves, a dead one not at all", () => {
    const two = viewOf({ a: both, b: { ...both, load: { "org/m": 9 } } });
    expect(told(decide(factsOf("org/m", { avoid: new Set(["a"]) }), fleet, two))).toBe("serve b");
    const one = viewOf({ a: both });
    expect(told(decide(factsOf("org/m", { avoid: new Set(["a"]) }), fleet, one))).toBe("serve a");
    expect(told(decide(factsOf("org/m", { excluded: new Set(["a"]) }), fleet, one))).not.toBe("serve a");
  });

  test("a neuron that is being emptied serves only what no other has", () => {
    const emptied = indexOf({ a: { drain: true }, b: {} }, [MODEL]);
    expect(
      told(decide(factsOf("org/m"), emptied, viewOf({ a: both, b: { ...both, load: { "org/m": 9 } } }))),
    ).toBe("serve b");
    expect(told(decide(factsOf("org/m"), emptied, viewOf({ a: both, b: {} })))).toBe("serve a");
  });

  test("the decision says what was considered", () => {
    const view = viewOf({ a: { models: [squeezed] }, b: { ...both, load: { "org/m": 2 } } });
    expect(decide(factsOf("org/m"), fleet, view).considered).toEqual([
      { neuron: "a", verdict: "not servable" },
      { neuron: "b", verdict: "serves", figure: 2 },
    ]);
  });
});

describe("models that nobody serves", () => {
  test.each([
    { what: "wait where they could be loaded", neurons: { a: {}, b: {}, c: {} }, expected: "wait" },
    { what: "wait for a load in progress", neurons: { b: { models: [loading] } }, expected: "wait" },
    { what: "wait for a copy to leave", neurons: { a: { models: [unloading] } }, expected: "wait" },
  ])("$what", ({ neurons, expected }) => {
    expect(told(decide(factsOf("org/m"), indexOf(THREE, [MODEL]), viewOf(neurons)))).toBe(expected);
  });

  test("that are in no file wait only while some neuron loads them", () => {
    const fleet = indexOf({ a: {} }, []);
    expect(told(decide(factsOf("org/m"), fleet, viewOf({ a: { models: [loading] } })))).toBe("wait");
    expect(told(decide(factsOf("org/m"), fleet, viewOf({ a: { models: [unloading] } })))).toBe(
      "refuse feasible_neuron_unhealthy",
    );
  });

  test("the decision says who could load it and who could not", () => {
    const fleet = indexOf(THREE, [{ ...MODEL, pinned_on: ["a", "b"] }]);
    const { considered } = decide(factsOf("org/m"), fleet, viewOf({ a: {}, b: { draining: true }, c: {} }));
    expect(considered).toEqual([
      { neuron: "c", verdict: 'not in pinned_on = ["a", "b"]' },
      { neuron: "b", verdict: "draining" },
      { neuron: "a", verdict: "could load it" },
    ]);
  });
});

describe("refusals", () => {
  test("an unknown model is 404 with the nearest name", () => {
    const fleet = indexOf({ a: {} }, [{ id: "Qwen/Qwen3-8B" }], { fast: "Qwen/Qwen3-8B" });
    const error = refusal(decide(factsOf("Qwen/Qwen3-8b-"), fleet, viewOf({ a: {} })));
    expect(error).toMatchObject({ code: "model_not_found", param: "model" });
    expect(error.message).toContain(`did you mean "Qwen/Qwen3-8B"?`);
  });

  test("a name of any length makes a short message", () => {
    const error = refusal(
      decide(factsOf("x".repeat(100_000)), indexOf({ a: {} }, [MODEL]), viewOf({ a: {} })),
    );
    expect(error.message.length).toBeLessThan(200);
  });

  test.each([
    {
      what: "none answers",
      neurons: { a: "unhealthy", b: "unknown" } as const,
      expected: "no_healthy_neuron",
    },
    { what: "there is none", neurons: {}, expected: "no_healthy_neuron" },
    {
      what: "the one that could hold it does not answer",
      neurons: { a: "unhealthy", b: {} } as const,
      expected: "feasible_neuron_unhealthy",
    },
    {
      what: "the one that could hold it drains",
      neurons: { a: { draining: true }, b: {} },
      expected: "feasible_neuron_unhealthy",
    },
    { what: "only the wrong ones are there", neurons: { b: {} }, expected: "no_feasible_neuron" },
  ])("$what", ({ neurons, expected }) => {
    const declared = Object.fromEntries(Object.keys(neurons).map((name) => [name, {}]));
    const fleet = indexOf(declared, [{ ...MODEL, pinned_on: ["a"] }]);
    expect(told(decide(factsOf("org/m"), fleet, viewOf(neurons)))).toBe(`refuse ${expected}`);
  });

  test("what can never be says why for each neuron, in the files' words", () => {
    const fleet = indexOf({ a: {}, b: {}, c: { drain: true }, d: {} }, [
      { ...MODEL, min_devices: 2, min_device_vram_mb: 20_000, pinned_on: ["a", "b", "c"] },
    ]);
    const view = viewOf({ a: { deviceMb: [24_000] }, b: { deviceMb: [24_000, 8000] }, c: {}, d: {} });
    const error = refusal(decide(factsOf("org/m"), fleet, view));
    expect(error.code).toBe("no_feasible_neuron");
    expect(error.message).toContain("a: min_devices = 2, but it has 1");
    expect(error.message).toContain(
      "b: min_device_vram_mb = 20000 on 2 device(s), but only 1 of its devices",
    );
    expect(error.message).toContain("c: drain = true");
    expect(error.message).toContain(`d: not in pinned_on = ["a", "b", "c"]`);
  });

  test("a model larger than any machine is none that will ever fit", () => {
    const fleet = indexOf({ a: {}, b: {} }, [{ ...MODEL, vram_mb: 30_000 }]);
    const view = viewOf({ a: { deviceMb: [24_000] }, b: { deviceMb: [12_000, 12_000] } });
    const error = refusal(decide(factsOf("org/m"), fleet, view));
    expect(error.code).toBe("no_feasible_neuron");
    expect(error.message).toContain("a: vram_mb = 30000, but its largest device has 24000");
    expect(error.retryAfterSecs).toBeUndefined();
  });

  test("a copy that cannot serve, and nowhere else to load: the neuron's reason", () => {
    const error = refusal(
      decide(factsOf("org/m"), indexOf({ a: {} }, [MODEL]), viewOf({ a: { models: [squeezed] } })),
    );
    expect(error).toMatchObject({ code: "insufficient_vram", message: "org/m is loaded on a, but: tight" });
  });

  test("models of an unhealthy neuron are not routable, but not unknown either", () => {
    let view = viewOf({ a: { models: ["org/x"] }, b: {} });
    view = {
      ...view,
      neurons: new Map(view.neurons).set("a", { ...required(view.neurons.get("a")), health: "unhealthy" }),
    };
    expect(told(decide(factsOf("org/x"), indexOf({ a: {}, b: {} }, []), view))).toBe(
      "refuse feasible_neuron_unhealthy",
    );
  });
});

function required<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error("missing");
  return value;
}
