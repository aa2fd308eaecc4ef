import { describe, expect, test } from "vitest";
import { remedyText, summaryOf } from "../../../src/controller/place/explain/refusals.ts";
import type {
  Placement,
  PlacementOptions,
  UnplacedExplanation,
  WhyHere,
} from "../../../src/controller/place/board/placement.ts";
import { placeModels } from "../../../src/controller/place/place-models.ts";
import type { ModelFact } from "../../../src/protocol/neuron-api.ts";
import {
  placementWorld,
  worldOf,
  type FleetSketch,
  type LoadedSketch,
  type ModelSketch,
} from "../../support/fleet/fleet-generator.ts";
import { declaredHash, silentNeuron } from "../observed-fleet-builders.ts";

const placed = (sketch: FleetSketch, options?: PlacementOptions): Placement =>
  placeModels(placementWorld(sketch, options));

const model = (id: string, mib: number, more: Partial<ModelSketch> = {}): ModelSketch => ({
  id,
  mib,
  replicas: 1,
  ...more,
});

const on = (id: string, mib: number, more: Partial<LoadedSketch> = {}): LoadedSketch => ({
  id,
  devices: [0],
  mib: [mib],
  ...more,
});

const placesOf = (placement: Placement): string[] =>
  placement.assignments.map(
    ({ modelId, ordinal, neuron, devices, status }) =>
      `${modelId}/${ordinal} ${status} ${neuron}:${devices.join("+")}`,
  );

function whyHere(placement: Placement, id: string): WhyHere {
  const found = placement.assignments.find(({ modelId }) => modelId === id);
  if (found === undefined) throw new Error(`${id} has no place`);
  return placement.explain(found);
}

function explained(placement: Placement, id: string): UnplacedExplanation {
  const found = placement.explanations.find(({ modelId }) => modelId === id);
  if (found === undefined) throw new Error(`${id} has a place`);
  return found;
}

const remediesOf = (explanation: UnplacedExplanation): string[] =>
  explanation.remedies.map((remedy) => remedyText(remedy, explanation));

describe("where copies go", () => {
  test("while there is room, models keep devices to themselves", () => {
    const placement = placed({
      neurons: [
        { name: "a", devices: [8000, 8000] },
        { name: "b", devices: [6000] },
      ],
      models: [model("x", 2000), model("y", 2000), model("z", 2000)],
    });
    expect(placesOf(placement)).toEqual(["x/0 new a:0", "y/0 new a:1", "z/0 new b:0"]);
  });

  test("when it is tight, they are packed", () => {
    const placement = placed({
      neurons: [
        { name: "a", devices: [8000] },
        { name: "b", devices: [6000] },
      ],
      models: [model("x", 3000), model("y", 3000), model("z", 8000)],
    });
    expect(placesOf(placement)).toEqual(["x/0 new b:0", "y/0 new b:0", "z/0 new a:0"]);
    expect(placement.gap).toMatchObject({ kind: "optimal", percent: 0 });
  });

  test("the last place of a model on demand is spared", () => {
    const neurons = [
      { name: "big", devices: [24_000] },
      { name: "small", devices: [12_000] },
    ];
    const roomy = placed({ neurons, models: [model("x", 4000)] });
    const watched = placed({ neurons, models: [model("x", 4000), model("demand", 22_000, { replicas: 0 })] });
    expect(placesOf(roomy)).toEqual(["x/0 new big:0"]);
    expect(placesOf(watched)).toEqual(["x/0 new small:0"]);
    expect(whyHere(watched, "x").rule).toBe("spares_on_demand_room");
  });

  test("headroom stays free on every device", () => {
    const sketch = { neurons: [{ name: "a", devices: [8000] }], models: [model("x", 7500)] };
    expect(placesOf(placed(sketch))).toEqual(["x/0 new a:0"]);
    expect(placesOf(placed(sketch, { headroomMib: 1000 }))).toEqual([]);
  });

  test("a wide model is split as the neuron splits it", () => {
    const [assignment] = placed({
      neurons: [{ name: "a", devices: [4000, 8000, 16_000] }],
      models: [model("x", 12_000, { width: 2 })],
    }).assignments;
    expect([assignment?.devices, assignment?.deviceMib]).toEqual([
      [1, 2],
      [4000, 8000],
    ]);
  });

  test("every place has its reason", () => {
    const placement = placed({
      neurons: [
        { name: "a", devices: [8000], loaded: [on("kept", 1000)] },
        { name: "b", devices: [6000] },
        { name: "c", devices: [16_000], drain: true, loaded: [on("moved", 5000)] },
      ],
      models: [model("kept", 1000), model("moved", 5000), model("only", 900, { pins: ["b"] })],
    });
    expect(
      placement.assignments.map((assignment) => [
        assignment.modelId,
        assignment.status,
        assignment.movedFrom,
        placement.explain(assignment).rule,
      ]),
    ).toEqual([
      ["kept", "kept", null, "stays"],
      ["moved", "moved", "c", "most_free"],
      ["only", "new", null, "only_place"],
    ]);
    expect(whyHere(placement, "moved")).toMatchObject({
      possible: 2,
      runnerUp: { neuron: "b", freeAfterMib: 100 },
      freeAfterMib: 2000,
    });
  });
});

describe("what moves, and for whom", () => {
  const neurons = [
    { name: "a", devices: [8000], loaded: [on("small", 3000)] },
    { name: "b", devices: [4000] },
  ];

  test("a copy moves on when that is the only way to place another of its class", () => {
    const placement = placed({ neurons, models: [model("small", 3000), model("large", 8000)] });
    expect(placesOf(placement)).toEqual(["large/0 new a:0", "small/0 moved b:0"]);
    expect(placement.displaced).toEqual([{ modelId: "small", neuron: "a", inFavourOf: "large" }]);
    expect(whyHere(placement, "small").movedFor).toBe("large");
  });

  test("a copy of a higher class stays where it is", () => {
    const placement = placed({
      neurons,
      models: [model("small", 3000, { priority: 200 }), model("large", 8000)],
    });
    expect(placesOf(placement)).toEqual(["small/0 kept a:0"]);
    expect(explained(placement, "large").blockers).toEqual([
      {
        neuron: "a",
        modelId: "small",
        mib: 3000,
        priority: 200,
        because: "higher_class",
        largestHoleMib: null,
      },
    ]);
  });

  test("a protected copy stays where it is, whatever comes", () => {
    const placement = placed({
      neurons,
      models: [model("small", 3000, { protect: true }), model("large", 8000, { priority: 900 })],
    });
    expect(placesOf(placement)).toEqual(["small/0 kept a:0"]);
    expect(explained(placement, "large").blockers[0]?.because).toBe("protected");
  });

  test("a higher class displaces as little as will do", () => {
    const placement = placed({
      neurons: [{ name: "a", devices: [10_000], loaded: [on("p", 2000), on("q", 3000), on("r", 5000)] }],
      models: [model("p", 2000), model("q", 3000), model("r", 5000), model("high", 3000, { priority: 200 })],
    });
    expect(placement.displaced).toEqual([{ modelId: "q", neuron: "a", inFavourOf: "high" }]);
    expect(placement.explanations.map(({ modelId }) => modelId)).toEqual(["q"]);
    expect(placement.gap).toMatchObject({ kind: "optimal" });
  });

  test("guests leave before residents move", () => {
    const placement = placed({
      neurons: [
        {
          name: "a",
          devices: [8000],
          loaded: [on("resident", 3000), on("guest", 4000, { origin: "request" })],
        },
        { name: "b", devices: [3500] },
      ],
      models: [model("resident", 3000), model("guest", 4000, { replicas: 0 }), model("new", 5000)],
    });
    expect(placesOf(placement)).toEqual(["new/0 new a:0", "resident/0 kept a:0"]);
    expect(placement.displaced).toEqual([{ modelId: "guest", neuron: "a", inFavourOf: "new" }]);
  });
});

describe("why a copy has no place", () => {
  test("never: every check of every neuron is told, and the nearest miss", () => {
    const explanation = explained(
      placed({
        neurons: [
          { name: "beast", devices: [16_000, 16_000] },
          { name: "benjy", devices: [24_000] },
        ],
        models: [model("x", 48_000, { width: 2, floorMib: 20_000 })],
      }),
      "x",
    );
    expect(explanation.layer).toBe("never");
    const failing = explanation.verdicts.map(({ neuron, checks }) => [
      neuron,
      checks.filter(({ ok }) => !ok).map(({ check, slack }) => `${check} ${slack}`),
    ]);
    expect(failing).toEqual([
      ["beast", ["min_device_vram_mb -4000"]],
      ["benjy", ["min_devices -1"]],
    ]);
    expect(explanation.failures).toEqual({ min_device_vram_mb: 1, min_devices: 1 });
    expect(summaryOf(explanation)).toContain("even empty");
    expect(remediesOf(explanation)).toEqual([
      "want less: `replicas = 0` (now 1) in the block of x",
      "add 2 devices with 24000 MB free each to one neuron, for x",
    ]);
  });

  test("never: more copies than neurons that could hold one", () => {
    const explanation = explained(
      placed({
        neurons: [
          { name: "a", devices: [8000] },
          { name: "b", devices: [3000] },
        ],
        models: [model("x", 4000, { replicas: 2 })],
      }),
      "x",
    );
    expect(explanation).toMatchObject({
      layer: "never",
      missing: 1,
      nearest: { neuron: "b", shortMib: 1000 },
    });
    expect(summaryOf(explanation)).toContain("a holds a copy already");
  });

  test("not now: what is in the way was loaded by hand", () => {
    const explanation = explained(
      placed({
        neurons: [{ name: "a", devices: [8000], loaded: [on("stray", 5000, { origin: "manual" })] }],
        models: [model("x", 4000)],
      }),
      "x",
    );
    expect(explanation.layer).toBe("not_now");
    expect(explanation.blockers).toMatchObject([
      { modelId: "stray", because: "loaded_by_hand", neuron: "a" },
    ]);
    expect(summaryOf(explanation)).toBe(
      "does not fit now: fits on a without stray (5000 MB, was loaded by hand)",
    );
  });

  test("joint: the smallest set that cannot be together, and the line that matters", () => {
    const explanation = explained(
      placed({
        neurons: [
          { name: "a", devices: [10_000] },
          { name: "b", devices: [10_000] },
        ],
        models: [model("p", 6000, { pins: ["a"] }), model("q", 5000, { pins: ["a"] }), model("small", 1000)],
      }),
      "q",
    );
    expect(explanation.layer).toBe("joint");
    expect(explanation.conflict).toEqual({
      models: [
        { modelId: "p", copies: 1, mib: 6000 },
        { modelId: "q", copies: 1, mib: 5000 },
      ],
      lines: [
        { table: "models", id: "p", key: "pinned_on" },
        { table: "models", id: "q", key: "pinned_on" },
      ],
      needMib: 11_000,
      haveMib: 10_000,
      neurons: ["a"],
    });
    expect(remediesOf(explanation)).toEqual([
      "if it really takes no more than 4000 MB, declare `vram_mb = 4000` (now 5000) for q; it then fits on a",
      'allow b: `pinned_on = ["a", "b"]` in the block of q',
      "raise `residency_priority` of q to 101 (now 100); it then fits on a",
      "lower `replicas` of p to 0 (now 1); it then fits on a",
      "want less: `replicas = 0` (now 1) in the block of q",
      "add a device with 5000 MB free to a, for q",
    ]);
  });

  test("a drain that keeps it out is named, and so are devices it could be spread over", () => {
    const explanation = explained(
      placed({
        neurons: [
          { name: "drained", devices: [16_000], drain: true },
          { name: "pair", devices: [6000, 6000] },
        ],
        models: [model("x", 10_000)],
      }),
      "x",
    );
    expect(explanation.layer).toBe("not_now");
    expect(explanation.remedies.map(({ kind, to, neuron }) => [kind, to, neuron])).toEqual([
      ["min_devices", "2", "pair"],
      ["drain", "false", "drained"],
      ["replicas", "0", null],
      ["device", "a device with 10000 MB free", null],
    ]);
  });

  test("with the file's header known, the context that fits is a number", () => {
    const world = placementWorld({
      neurons: [{ name: "a", devices: [8000] }],
      models: [model("x", 1, { context: 32_768 })],
    });
    const fact: ModelFact = {
      model_id: "x",
      spec_hash: declaredHash(world.fleet, "x"),
      source: "metadata",
      vram_mb: 9000,
      cache_bytes_per_token: 128 * 1024,
    };
    const neurons = world.observed.neurons.map((neuron) =>
      neuron.reachable ? { ...neuron, discovery: { ...neuron.discovery, facts: [fact] } } : neuron,
    );
    const explanation = explained(placeModels(worldOf(world.fleet, { ...world.observed, neurons })), "x");
    expect(explanation.need).toMatchObject({ mib: 9000, source: "metadata", confidence: "medium" });
    // 1000 MiB short, 8 tokens to the MiB.
    expect(explanation.remedies[0]).toMatchObject({
      kind: "context",
      from: "32768",
      to: "24576",
      neuron: "a",
    });
  });

  test("a fleet with too many unplaced models explains those that are asked about", () => {
    const neurons = Array.from({ length: 120 }, (_, number) => ({ name: `n${number}`, devices: [1000] }));
    const models = Array.from({ length: 150 }, (_, number) => model(`m${number}`, 5000));
    const placement = placed({ neurons, models }, { explainFully: ["m99"] });
    expect(explained(placement, "m99")).toMatchObject({
      brief: false,
      failures: { capacity: 120, memory: 120 },
    });
    expect(explained(placement, "m99").verdicts).toHaveLength(50);
    expect(placement.explanations.filter(({ brief }) => brief).length).toBeGreaterThan(50);
    expect(placement.explanations).toHaveLength(150);
  });
});

describe("neurons that do not answer", () => {
  test("a silent neuron may hold it: nothing is said to fit never, and the copy is not missing", () => {
    const world = placementWorld({
      neurons: [
        { name: "a", devices: [1000] },
        { name: "b", devices: [1000] },
      ],
      models: [model("x", 4000, { replicas: 2 })],
    });
    const neurons = world.observed.neurons.map((neuron) =>
      neuron.name === "b" ? silentNeuron("b") : neuron,
    );
    const placement = placeModels(worldOf(world.fleet, { ...world.observed, neurons }));
    expect(placement.unknown).toEqual([{ modelId: "x", replicas: 1, neurons: ["b"] }]);
    expect(explained(placement, "x")).toMatchObject({ missing: 1, layer: "never" });
    expect(explained(placement, "x").remedies.map(({ kind }) => kind)).toContain("neuron_back");
  });
});

test("without explanations there is a placement all the same", () => {
  const sketch = { neurons: [{ name: "a", devices: [1000] }], models: [model("x", 4000)] };
  const placement = placed(sketch, { explain: false });
  expect(placement.explanations.map(({ modelId }) => modelId)).toEqual(["x"]);
  expect(placement.explanations[0]).toMatchObject({ brief: true, remedies: [] });
});
