import { expect, test } from "vitest";
import type { NeuronNow } from "../../../src/controller/apply/crowded-rows.ts";
import { movedFacts } from "../../../src/controller/apply/moved-facts.ts";
import { residentShares } from "../../../src/controller/observe/device-memory.ts";
import { factsDigest, neuronFacts } from "../../../src/controller/observe/neuron-facts.ts";
import type { ReachableNeuron } from "../../../src/controller/observe/observed-fleet.ts";
import {
  fleetFromToml,
  observedFleet,
  observedNeuron,
  plan,
  residentModel,
} from "../observed-fleet-builders.ts";

const fleet = fleetFromToml('[[models]]\nid = "m"\nreplicas = 1\nvram_mb = 10\n', ["a"]);
const before = observedNeuron("a", {
  devices: [8000],
  residents: [residentModel({ id: "stray", vramMb: 5 })],
  generation: 3,
});
const document = plan(fleet, observedFleet(before));
const planned = document.neurons[0];
const loadedAsPlanned = residentModel({
  id: "m",
  vramMb: 10,
  specHash: document.declared[0]?.spec_hash ?? "",
});
const nowOf = (neuron: ReachableNeuron): NeuronNow => ({
  ...neuronFacts(neuron),
  shares: residentShares(neuron),
});
const moved = (now: ReachableNeuron): string[] =>
  planned === undefined
    ? ["no neuron"]
    : movedFacts(planned, nowOf(now), { changes: document.changes, ownFleets: ["home", "lab"] });

test.each<[string, Partial<ReachableNeuron>, string[]]>([
  ["nothing", {}, []],
  ["its own load, already done", { generation: 5, models: [...before.models, loadedAsPlanned] }, []],
  ["its own unload, already done", { generation: 5, models: [] }, []],
  [
    "a model that clients asked for, beside which all fits",
    { generation: 5, models: [...before.models, residentModel({ id: "guest", vramMb: 7985 })] },
    [],
  ],
  [
    "one that takes the memory that a row needs",
    { models: [...before.models, residentModel({ id: "guest", vramMb: 7986 })] },
    ['guest is loaded and leaves 9 MB for "load m@a", which takes 10 MB'],
  ],
  [
    "one that leaves no memory, but for what was done already",
    { models: [loadedAsPlanned, residentModel({ id: "guest", vramMb: 7990 })] },
    [],
  ],
  [
    "a model of the plan that a person loaded",
    { models: [...before.models, { ...loadedAsPlanned, origin: { kind: "manual" as const } }] },
    ["m is loaded (manual)"],
  ],
  [
    "its own load, which another fleet did",
    {
      models: [
        ...before.models,
        { ...loadedAsPlanned, origin: { kind: "revision" as const, fleet: "other" } },
      ],
    },
    ["m is loaded (revision, fleet other)"],
  ],
  [
    "its own load, as it was before a rename",
    {
      models: [...before.models, { ...loadedAsPlanned, origin: { kind: "revision" as const, fleet: "lab" } }],
    },
    [],
  ],
  [
    "a copy that another fleet loaded anew",
    {
      models: before.models.map((model) => ({
        ...model,
        origin: { kind: "revision" as const, fleet: "other" },
      })),
    },
    ["stray was loaded anew (revision, fleet other)"],
  ],
  [
    "other settings",
    { models: [residentModel({ id: "stray", vramMb: 5, specHash: "new" })] },
    ["stray has other settings"],
  ],
  [
    "a status",
    { models: [residentModel({ id: "stray", vramMb: 5, status: "loading" })] },
    ["stray went from loaded to loading"],
  ],
  [
    "an unload of its own that is under way",
    { models: [residentModel({ id: "stray", vramMb: 5, status: "unloading" })] },
    [],
  ],
  ["nothing but the generation", { generation: 9 }, []],
  ["a drain", { health: { ...before.health, status: "draining" } }, ["it went from ok to draining"]],
  ["a device lost", { discovery: { ...before.discovery, devices: [] } }, ["device 0 (card 0) is gone"]],
  ["a harness lost", { discovery: { ...before.discovery, harnesses: [] } }, ["it no longer offers llama"]],
  [
    "a smaller device",
    {
      discovery: {
        ...before.discovery,
        devices: before.discovery.devices.map((device) => ({ ...device, vram_total_mb: 4000 })),
      },
    },
    ["device 0 has 4000 MB, not 8000 MB"],
  ],
])("%s", (_title, change, facts) => {
  expect(moved({ ...before, ...change })).toEqual(facts);
});

test("a copy that was on its way out when the plan was made may have left", () => {
  const leaving = { ...before, models: [residentModel({ id: "m", vramMb: 10, status: "unloading" })] };
  const anew = plan(fleet, observedFleet(leaving));
  const [seen] = anew.neurons;
  const now = nowOf({ ...before, generation: 4, models: [] });
  expect(anew.changes.map(({ id }) => id)).toEqual(["load m@a"]);
  expect(seen && movedFacts(seen, now, { changes: anew.changes, ownFleets: ["home"] })).toEqual([]);
});

test("what moves by itself does not make a plan stale", () => {
  const later: ReachableNeuron = {
    ...before,
    models: before.models.map((model) => ({ ...model, last_used_ms: 99, vram_used_mb: 6 })),
    health: {
      ...before.health,
      uptime_secs: 99,
      devices: before.health.devices.map((reading) => ({ ...reading, vram_used_mb: 9 })),
    },
  };
  expect(factsDigest(neuronFacts(later))).toBe(planned?.observation_digest);
});
