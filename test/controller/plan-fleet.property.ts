import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ObservedFleet, ObservedNeuron } from "../../src/controller/observed-fleet.ts";
import type { Fleet } from "../../src/fleet/fleet-schema.ts";
import type { ResidentModel } from "../../src/protocol/neuron-api.ts";
import {
  afterPlan,
  declaredHash,
  fleetFromToml,
  observedFleet,
  observedNeuron,
  plan,
  residentModel,
  residentsAfter,
  rowsOf,
  silentNeuron,
} from "./observed-fleet-builders.ts";

const NEURONS = ["a", "b", "c", "d"];
const MODELS = ["m1", "m2", "m3", "m4", "m5", "m6"];

interface ModelDraft {
  readonly id: string;
  readonly replicas: number;
  readonly vramMb: number | undefined;
  readonly minDevices: number;
  readonly floorMb: number | undefined;
  readonly pins: readonly string[];
  readonly priority: number;
  readonly protect: boolean;
}

interface ResidentDraft {
  readonly id: string;
  readonly current: boolean;
  readonly origin: "revision" | "request" | "manual";
  readonly lastUsedMs: number;
  readonly device: number;
  readonly status: "loaded" | "loading";
}

interface NeuronDraft {
  readonly name: string;
  readonly silent: boolean;
  readonly drain: boolean;
  readonly devices: readonly number[];
  readonly foreignMb: number;
  readonly residents: readonly ResidentDraft[];
}

const sizeMb = fc.integer({ min: 1, max: 16 }).map((size) => size * 1000);

const rarely = fc.integer({ min: 0, max: 7 }).map((dice) => dice === 0);

interface WorldOptions {
  readonly maxDevices: number;
  readonly knownSizes: boolean;
}

const modelDraft = (id: string, { maxDevices, knownSizes }: WorldOptions): fc.Arbitrary<ModelDraft> =>
  fc.record({
    id: fc.constant(id),
    replicas: fc.integer({ min: 0, max: 3 }),
    vramMb: knownSizes ? sizeMb : fc.option(sizeMb, { nil: undefined, freq: 8 }),
    minDevices: fc.integer({ min: 1, max: maxDevices }),
    floorMb: fc.option(fc.constantFrom(4000, 12_000), { nil: undefined, freq: 3 }),
    pins: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.subarray(NEURONS, { minLength: 3 }) },
    ),
    priority: fc.constantFrom(50, 100, 100, 200),
    protect: rarely,
  });

const neuronDraft = (name: string): fc.Arbitrary<NeuronDraft> =>
  fc.record({
    name: fc.constant(name),
    silent: rarely,
    drain: rarely,
    devices: fc.array(fc.constantFrom(4000, 8000, 12_000, 24_000), { minLength: 1, maxLength: 3 }),
    foreignMb: fc.constantFrom(0, 0, 500),
    residents: fc.uniqueArray(
      fc.record({
        id: fc.constantFrom(...MODELS, "stray"),
        current: fc.boolean(),
        origin: fc.constantFrom("revision" as const, "request" as const, "manual" as const),
        lastUsedMs: fc.integer({ min: 0, max: 5 }),
        device: fc.nat(2),
        status: fc.constantFrom("loaded" as const, "loaded" as const, "loading" as const),
      }),
      { selector: (draft) => draft.id, maxLength: 4 },
    ),
  });

interface World {
  readonly fleet: Fleet;
  readonly observed: ObservedFleet;
}

const world = (options: WorldOptions): fc.Arbitrary<World> =>
  fc
    .record({
      models: fc.tuple(...MODELS.map((id) => modelDraft(id, options))),
      neurons: fc.tuple(...NEURONS.map(neuronDraft)),
    })
    .map(({ models, neurons }) => {
      const fleet = fleetFromToml(
        models.map(blockText).join(""),
        neurons.map(({ name, drain }) => [name, `drain = ${drain}`] as const),
      );
      const sizes = new Map(models.map((model) => [model.id, model.vramMb]));
      return { fleet, observed: observedFleet(...neurons.map((neuron) => observe(neuron, fleet, sizes))) };
    });

function blockText(model: ModelDraft): string {
  const lines = [
    `id = "${model.id}"`,
    `replicas = ${Math.min(model.replicas, model.pins.length || NEURONS.length)}`,
    `min_devices = ${model.minDevices}`,
    `residency_priority = ${model.priority}`,
    `protect = ${model.protect}`,
    `pinned_on = [${model.pins.map((pin) => `"${pin}"`).join(", ")}]`,
  ];
  if (model.vramMb !== undefined) lines.push(`vram_mb = ${model.vramMb}`);
  if (model.floorMb !== undefined) lines.push(`min_device_vram_mb = ${model.floorMb}`);
  return `[[models]]\n${lines.join("\n")}\n`;
}

/** Residents are on one device each and are dropped where they would not have fitted. */
function observe(
  draft: NeuronDraft,
  fleet: Fleet,
  sizes: ReadonlyMap<string, number | undefined>,
): ObservedNeuron {
  if (draft.silent) return silentNeuron(draft.name);
  const free = draft.devices.map((totalMb) => totalMb - draft.foreignMb);
  const residents: ResidentModel[] = [];
  for (const resident of draft.residents) {
    const device = resident.device % draft.devices.length;
    const isDeclared = sizes.has(resident.id);
    const vramMb = sizes.get(resident.id) ?? 2000;
    if (vramMb > (free[device] ?? 0)) continue;
    free[device] = (free[device] ?? 0) - vramMb;
    const specHash = isDeclared && resident.current ? declaredHash(fleet, resident.id) : "other";
    const measured = sizes.get(resident.id) !== undefined;
    residents.push(residentModel({ ...resident, vramMb, specHash, measured, devices: [device] }));
  }
  const foreign = draft.devices.map(() => draft.foreignMb);
  return observedNeuron(draft.name, { devices: draft.devices, residents, foreign });
}

function heldOn(model: ResidentModel, device: number): number {
  const position = model.devices.indexOf(device);
  if (position === -1) return 0;
  return model.device_vram_mb?.[position] ?? model.vram_used_mb / model.devices.length;
}

const shuffled = (input: World, seed: readonly number[]): World => {
  const shuffle = <Item>(items: readonly Item[]): Item[] =>
    items
      .map((item, index) => ({ item, key: seed[index % seed.length] ?? 0 }))
      .toSorted((left, right) => left.key - right.key)
      .map(({ item }) => item);
  return {
    fleet: { ...input.fleet, models: shuffle(input.fleet.models), neurons: shuffle(input.fleet.neurons) },
    observed: {
      ...input.observed,
      neurons: shuffle(
        input.observed.neurons.map((neuron) =>
          neuron.reachable ? { ...neuron, models: shuffle(neuron.models) } : neuron,
        ),
      ),
    },
  };
};

/** A copy loaded by hand that is one too many is left alone, until the plan takes another of the copies away. */
const hasCopiesToSpareByHand = (fleet: Fleet, observed: ObservedFleet): boolean =>
  fleet.models.some(({ id, replicas }) => {
    const byHand = observed.neurons.flatMap((neuron) =>
      neuron.reachable
        ? neuron.models.filter((model) => model.id === id && model.origin.kind === "manual")
        : [],
    );
    return replicas > 0 && byHand.length > replicas;
  });

const ANY: WorldOptions = { maxDevices: 2, knownSizes: false };

describe("laws of the plan", () => {
  test("no device is over its memory when the plan is done", () => {
    fc.assert(
      fc.property(world(ANY), ({ fleet, observed }) => {
        for (const neuron of plan(fleet, observed).neurons)
          for (const device of neuron.devices)
            expect(device.vram_after_mb).toBeLessThanOrEqual(device.vram_total_mb);
      }),
      { numRuns: 800 },
    );
  });

  test("no device is over its memory after any step on the way", () => {
    fc.assert(
      fc.property(world(ANY), ({ fleet, observed }) => {
        const document = plan(fleet, observed);
        const loaded = new Map(
          observed.neurons.flatMap((neuron) => (neuron.reachable ? [[neuron.name, neuron.models]] : [])),
        );
        for (const change of document.changes) {
          const models = residentsAfter(loaded.get(change.neuron) ?? [], change);
          loaded.set(change.neuron, models);
          const neuron = observed.neurons.find(({ name }) => name === change.neuron);
          if (neuron?.reachable !== true)
            throw new Error(`${change.id} touches a neuron that does not answer`);
          for (const device of neuron.discovery.devices) {
            const used = models.reduce((total, model) => total + heldOn(model, device.index), 0);
            expect(used, change.id).toBeLessThanOrEqual(device.vram_total_mb);
          }
        }
      }),
      { numRuns: 800 },
    );
  });

  // Sizes are known here: a model of unknown size takes no memory on paper until it was loaded and measured.
  test("carrying a plan out and planning again finds nothing to do", () => {
    let changed = 0;
    fc.assert(
      fc.property(world({ maxDevices: 2, knownSizes: true }), ({ fleet, observed }) => {
        fc.pre(!hasCopiesToSpareByHand(fleet, observed));
        const first = plan(fleet, observed);
        changed += first.changes.length;
        const second = plan(fleet, afterPlan(observed, first));
        expect(rowsOf(second), rowsOf(first).join("\n")).toEqual([]);
        expect(second.unplaced.map(({ model_id }) => model_id)).toEqual(
          first.unplaced.map(({ model_id }) => model_id),
        );
      }),
      { numRuns: 800 },
    );
    expect(changed).toBeGreaterThan(800);
  });

  test("the order of files and answers makes no difference", () => {
    fc.assert(
      fc.property(world(ANY), fc.array(fc.nat(), { minLength: 8, maxLength: 8 }), (input, seed) => {
        const straight = plan(input.fleet, input.observed);
        const other = shuffled(input, seed);
        const turned = plan(other.fleet, other.observed);
        expect(turned.changes).toEqual(straight.changes);
        expect(turned.unplaced).toEqual(straight.unplaced);
      }),
      { numRuns: 500 },
    );
  });

  test("nothing is placed where the file forbids it, and no neuron gets two copies", () => {
    fc.assert(
      fc.property(world(ANY), ({ fleet, observed }) => {
        const document = plan(fleet, observed);
        for (const change of document.changes.filter(({ kind }) => kind !== "unload")) {
          const block = fleet.models.find(({ id }) => id === change.model_id);
          const neuron = observed.neurons.find(({ name }) => name === change.neuron);
          if (block === undefined || neuron?.reachable !== true) throw new Error(change.id);
          expect(fleet.neurons.find(({ name }) => name === change.neuron)?.drain).toBe(false);
          expect(block.pinned_on.length === 0 || block.pinned_on.includes(change.neuron)).toBe(true);
          expect(change.devices).toHaveLength(block.min_devices);
          for (const index of change.devices)
            expect(neuron.discovery.devices[index]?.vram_total_mb).toBeGreaterThanOrEqual(
              block.min_device_vram_mb ?? 0,
            );
        }
        const after = afterPlan(observed, document);
        for (const neuron of after.neurons) {
          const ids = neuron.reachable ? neuron.models.map(({ id }) => id) : [];
          expect(new Set(ids).size).toBe(ids.length);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("what a person loaded by hand and no longer counts as a copy is never touched", () => {
    fc.assert(
      fc.property(world(ANY), ({ fleet, observed }) => {
        for (const change of plan(fleet, observed).changes.filter(({ kind }) => kind === "unload")) {
          const neuron = observed.neurons.find(({ name }) => name === change.neuron);
          const resident =
            neuron?.reachable === true ? neuron.models.find(({ id }) => id === change.model_id) : undefined;
          const isDeclared = fleet.models.some(({ id, replicas }) => id === change.model_id && replicas > 0);
          expect(resident?.origin.kind === "manual" && !isDeclared, change.id).toBe(false);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("a step depends only on steps before it", () => {
    fc.assert(
      fc.property(world(ANY), ({ fleet, observed }) => {
        const seen = new Set<string>();
        for (const change of plan(fleet, observed).changes) {
          for (const id of change.depends_on) expect(seen.has(id), `${change.id} waits for ${id}`).toBe(true);
          expect(seen.has(change.id)).toBe(false);
          seen.add(change.id);
        }
      }),
      { numRuns: 500 },
    );
  });
});
