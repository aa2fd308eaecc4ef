import { describe, expect, test } from "vitest";
import {
  applyFleetEvent,
  initialFleetView,
  needsDiscovery,
  replicaLoad,
  type FleetView,
  type NeuronView,
} from "../../../src/gateway/view/fleet-view.ts";
import { residentModel } from "../../support/neuron/fake-neuron.ts";
import { answerOf, missOf } from "../view-builder.ts";

const neuronOf = (view: FleetView): NeuronView => {
  const neuron = view.neurons.get("a");
  if (neuron === undefined) throw new Error("no such neuron");
  return neuron;
};

describe("health", () => {
  test.each([
    ["nothing yet", "", "unknown", 0],
    ["the first failure before any success", "m", "unhealthy", 1],
    ["an answer", "a", "healthy", 0],
    ["two misses", "amm", "healthy", 2],
    ["three misses", "ammm", "unhealthy", 3],
    ["one answer resets", "ammamm", "healthy", 2],
    ["an answer after the end", "ammma", "healthy", 0],
    ["never seen, then seen", "mma", "healthy", 0],
  ] as const)("%s", (...[, polls, health, misses]) => {
    let view = initialFleetView(["a"]);
    for (const poll of polls) view = applyFleetEvent(view, poll === "a" ? answerOf("a") : missOf("a"));
    expect(neuronOf(view)).toMatchObject({ health, misses });
  });

  test("a neuron outside the fleet changes nothing", () => {
    const view = initialFleetView(["a"]);
    expect(applyFleetEvent(view, answerOf("stranger"))).toBe(view);
  });
});

test("models that a neuron no longer reports are gone; measured load times stay", () => {
  const first = applyFleetEvent(
    initialFleetView(["a"]),
    answerOf("a", { models: [residentModel("org/m", { load_duration_ms: 4200 })] }),
  );
  const second = applyFleetEvent(first, answerOf("a"));
  expect([...neuronOf(second).models.keys()]).toEqual([]);
  expect(second.measuredLoadMs.get("org/m")).toBe(4200);
});

const FILE = {
  bytes: 10,
  architecture: "llama",
  parameters: 8_000_000_000,
  quantization: "Q4_K_M",
  trained_context: 8192,
  embedding_length: 4096,
};

const asLoaded = (changes: object) => answerOf("a", { models: [residentModel("org/m", changes)] });

describe("what models turned out to be", () => {
  test("is kept after they have left, as they were last", () => {
    const first = applyFleetEvent(initialFleetView(["a"]), asLoaded({ file: FILE }));
    const again = applyFleetEvent(first, asLoaded({ file: FILE }));
    expect(again.known).toBe(first.known);
    const other = applyFleetEvent(again, asLoaded({ file: FILE, reasoning: true }));
    const left = applyFleetEvent(other, answerOf("a"));
    expect(left.known.get("org/m")).toEqual({
      file: FILE,
      abilities: { capabilities: ["text"], tool_call: true, reasoning: true },
    });
  });

  test("is what neurons remember of it where it was not seen, and not yet what is loading", () => {
    const answer = answerOf("a", {
      models: [residentModel("org/m", { status: "loading", capabilities: [] })],
    });
    if (answer.kind !== "neuron-answered" || answer.discovery === null) throw new Error("no discovery");
    const abilities = { capabilities: ["text"], tool_call: false, reasoning: false };
    const fact = {
      model_id: "org/m",
      spec_hash: "0",
      source: "measured" as const,
      vram_mb: 1,
      file: FILE,
      abilities,
    };
    const known = { ...answer, discovery: { ...answer.discovery, facts: [fact] } };
    const view = applyFleetEvent(initialFleetView(["a"]), known);
    expect(view.known.get("org/m")).toEqual({ file: FILE, abilities });
  });
});

test("a poll without discovery keeps the devices that were found", () => {
  const first = applyFleetEvent(initialFleetView(["a"]), answerOf("a", { deviceMb: [1, 2] }));
  const second = applyFleetEvent(first, { ...answerOf("a"), discovery: null } as ReturnType<typeof answerOf>);
  expect(neuronOf(second).discovery?.devices).toHaveLength(2);
});

test("devices are asked for at first sight, after a miss, and after a restart", () => {
  const fresh = initialFleetView(["a"]);
  expect(needsDiscovery(neuronOf(fresh), 5)).toBe(true);
  const seen = applyFleetEvent(fresh, answerOf("a", { uptimeSecs: 10 }));
  expect(needsDiscovery(neuronOf(seen), 11)).toBe(false);
  expect(needsDiscovery(neuronOf(seen), 2)).toBe(true);
  expect(needsDiscovery(neuronOf(applyFleetEvent(seen, missOf("a"))), 11)).toBe(true);
});

test.each([
  { reported: 0, atPoll: 0, now: 0, expected: 0 },
  { reported: 3, atPoll: 3, now: 3, expected: 3 },
  { reported: 3, atPoll: 3, now: 5, expected: 5 },
  { reported: 3, atPoll: 3, now: 1, expected: 1 },
  { reported: 7, atPoll: 3, now: 3, expected: 7 },
  { reported: 0, atPoll: 4, now: 2, expected: 2 },
])(
  "load: $reported reported, of which $atPoll ours then, $now now",
  ({ reported, atPoll, now, expected }) => {
    const view = applyFleetEvent(
      initialFleetView(["a"]),
      answerOf("a", { load: { m: reported }, outstanding: { m: atPoll } }),
    );
    expect(replicaLoad(neuronOf(view), "m", now)).toBe(expected);
  },
);
