import fc from "fast-check";
import { expect, test } from "vitest";
import type { Fleet } from "../../../src/fleet/schema/fleet-schema.ts";
import type { ExplainedUnplaced } from "../../../src/protocol/plan-unplaced.ts";
import { plan, quickPlan } from "../observed-fleet-builders.ts";
import { ANY, world } from "../plan-worlds.ts";

type OfferedRemedy = ExplainedUnplaced["remedies"][number];

/** The fleet as its owner would edit it, taking the advice by the letter. */
function edited(fleet: Fleet, { line, to }: OfferedRemedy): Fleet {
  if (line === null) throw new Error("advice without a line of the files");
  const value = line.key === "drain" ? to === "true" : (JSON.parse(to) as unknown);
  const change = <Block extends object>(block: Block, id: string): Block =>
    id === line.id ? { ...block, [line.key]: value } : block;
  return line.table === "neurons"
    ? { ...fleet, neurons: fleet.neurons.map((block) => change(block, block.name)) }
    : { ...fleet, models: fleet.models.map((block) => change(block, block.id)) };
}

const missing = (unplaced: readonly ExplainedUnplaced[], modelId: string): number =>
  unplaced.find(({ model_id }) => model_id === modelId)?.missing_replicas ?? 0;

// Half of the advice to lower another model's `replicas`, and a tenth of that to end a drain, used to help nobody.
test("advice that was tried does help whoever takes it, at the price that is named", () => {
  let taken = 0;
  fc.assert(
    fc.property(world(ANY), ({ fleet, observed }) => {
      const { unplaced } = plan(fleet, observed);
      for (const { model_id, missing_replicas, remedies } of unplaced) {
        for (const remedy of remedies.filter(({ tried }) => tried)) {
          taken += 1;
          const after = quickPlan(edited(fleet, remedy), observed).unplaced;
          expect(missing(after, model_id), remedy.text).toBeLessThan(missing_replicas);
          const losers = after
            .filter((row) => row.model_id !== model_id)
            .filter((row) => row.missing_replicas > missing(unplaced, row.model_id))
            .map((row) => row.model_id);
          expect(remedy.costs, remedy.text).toEqual(losers.toSorted());
        }
      }
    }),
    { numRuns: 60 },
  );
  expect(taken).toBeGreaterThan(20);
});
