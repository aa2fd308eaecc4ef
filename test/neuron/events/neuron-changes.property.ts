import fc from "fast-check";
import { expect, test } from "vitest";
import { changesBetween } from "../../../src/neuron/events/neuron-changes.ts";
import { applyNeuronEvent, type NeuronObservation } from "../../../src/protocol/neuron-events.ts";
import type { Job } from "../../../src/protocol/neuron-api.ts";
import { discoveryOf } from "../../gateway/view-builder.ts";
import { residentModel, TEST_DEVICE } from "../../support/neuron/fake-neuron.ts";

const jobOf = (id: string, progress: number): Job => ({
  id,
  kind: "load",
  model_id: "m",
  state: "loading",
  progress,
  created_at_ms: 0,
  ended_at_ms: null,
  error: null,
});

const some = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d"));
const observation: fc.Arbitrary<NeuronObservation> = fc
  .record({
    generation: fc.nat(3),
    models: some,
    jobs: some,
    usedMib: fc.nat(2),
    figure: fc.nat(1),
    draining: fc.boolean(),
    devices: fc.nat(1),
  })
  .map(({ generation, models, jobs, usedMib, figure, draining, devices }) => ({
    generation,
    discovery: discoveryOf(devices === 0 ? [] : [TEST_DEVICE]),
    health: { status: draining ? "draining" : "ok", uptime_secs: 1, devices: [], models: [] },
    models: models.map((id) => residentModel(id, { vram_used_mb: usedMib })),
    jobs: jobs.map((id) => jobOf(id, figure)),
  }));

const ordered = (seen: NeuronObservation | null) =>
  seen === null
    ? null
    : {
        ...seen,
        models: seen.models.toSorted((left, right) => left.id.localeCompare(right.id)),
        jobs: seen.jobs.toSorted((left, right) => left.id.localeCompare(right.id)),
      };

test("the changes between two observations lead from the first to the second", () => {
  fc.assert(
    fc.property(observation, observation, (before, after) => {
      let seen: NeuronObservation | null = before;
      for (const event of changesBetween(before, after)) seen = applyNeuronEvent(seen, event);
      expect(ordered(seen)).toEqual(ordered(after));
    }),
    { numRuns: 500 },
  );
});

test("between equal observations nothing is told, however much time has passed", () => {
  fc.assert(
    fc.property(observation, (seen) => {
      const later = { ...structuredClone(seen), health: { ...seen.health, uptime_secs: 99 } };
      expect(changesBetween(seen, later)).toEqual([]);
    }),
  );
});
