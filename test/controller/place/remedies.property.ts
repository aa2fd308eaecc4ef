import fc from "fast-check";
import { expect, test } from "vitest";
import type { ObservedFleet, ObservedNeuron } from "../../../src/controller/observe/observed-fleet.ts";
import type { ResidentModel } from "../../../src/protocol/neuron-api.ts";
import type { PlanDocument } from "../../../src/protocol/plan-document.ts";
import type { ExplainedUnplaced } from "../../../src/protocol/plan-unplaced.ts";
import { plan, quickPlan } from "../observed-fleet-builders.ts";
import { runsOf } from "../../support/long-runs.ts";
import { ANY, world, type World } from "../plan-worlds.ts";
import { randomWorld } from "../random-worlds.ts";

type OfferedRemedy = ExplainedUnplaced["remedies"][number];

/** The world as its owner would change it, taking the advice by the letter. */
function edited({ fleet, observed }: World, { line, to, kind, neuron }: OfferedRemedy): World {
  if (line === null) return { fleet, observed: changedOn(observed, { kind, neuron, to }) };
  const isFlag = line.key === "drain" || line.key === "protect";
  const value = isFlag ? to === "true" : (JSON.parse(to) as unknown);
  const change = <Block extends object>(block: Block, id: string): Block =>
    id === line.id ? { ...block, [line.key]: value } : block;
  return line.table === "neurons"
    ? { observed, fleet: { ...fleet, neurons: fleet.neurons.map((block) => change(block, block.name)) } }
    : { observed, fleet: { ...fleet, models: fleet.models.map((block) => change(block, block.id)) } };
}

/** The machine after somebody resumed it, ended its other processes, or unloaded a model by hand. */
function changedOn(observed: ObservedFleet, { kind, neuron: where, to }: HandWork): ObservedFleet {
  // Another neuron than the one that is resumed may be the one with room then.
  const name = kind === "resume" ? to : where;
  const neurons = observed.neurons.map((neuron): ObservedNeuron => {
    if (!neuron.reachable || neuron.name !== name) return neuron;
    if (kind === "resume") return { ...neuron, health: { ...neuron.health, status: "ok" } };
    const models = kind === "unload" ? neuron.models.filter(({ id }) => id !== to) : neuron.models;
    const devices = neuron.health.devices.map((reading) => {
      const held = heldOf(models, reading.index);
      const others = Math.max(0, reading.vram_used_mb - heldOf(neuron.models, reading.index));
      const used = kind === "unload" ? held + others : held;
      return { ...reading, vram_used_mb: used };
    });
    return { ...neuron, models, health: { ...neuron.health, devices } };
  });
  return { ...observed, neurons };
}

const heldOf = (models: readonly ResidentModel[], index: number): number =>
  models.reduce((sum, model) => sum + (model.device_vram_mb?.[model.devices.indexOf(index)] ?? 0), 0);

type HandWork = Pick<OfferedRemedy, "kind" | "neuron" | "to">;

/** Copies that are seen nowhere: missing, or at best on a neuron that does not answer. */
const open = ({ unplaced, unknown }: PlanDocument, modelId: string): number =>
  (unplaced.find(({ model_id }) => model_id === modelId)?.missing_replicas ?? 0) +
  (unknown.find(({ model_id }) => model_id === modelId)?.replicas ?? 0);

// Half of the advice to lower another model's `replicas`, and a tenth of that to end a drain, used to help nobody.
test("advice that was tried does help whoever takes it, at the price that is named", () => {
  let taken = 0;
  const kinds = new Set<string>();
  fc.assert(
    fc.property(fc.oneof(world(ANY), randomWorld), ({ fleet, observed }) => {
      const before = plan(fleet, observed);
      for (const { model_id, remedies } of before.unplaced) {
        for (const remedy of remedies.filter(({ tried }) => tried)) {
          taken += 1;
          kinds.add(remedy.kind);
          const world = edited({ fleet, observed }, remedy);
          const after = quickPlan(world.fleet, world.observed);
          expect(open(after, model_id), remedy.text).toBeLessThan(open(before, model_id));
          const losers = after.declared
            .map((row) => row.model_id)
            .filter((other) => other !== model_id && open(after, other) > open(before, other));
          expect(remedy.costs, remedy.text).toEqual(losers.toSorted());
        }
      }
    }),
    { numRuns: runsOf({ ci: 60, fuzz: 400 }) },
  );
  expect(taken).toBeGreaterThan(20);
  expect(["resume", "unload", "foreign_memory"].filter((kind) => kinds.has(kind))).not.toEqual([]);
});
