import fc from "fast-check";
import type { ObservedFleet, ObservedNeuron } from "../../src/controller/observe/observed-fleet.ts";
import type { Fleet } from "../../src/fleet/schema/fleet-schema.ts";
import type { ResidentModel } from "../../src/protocol/neuron-api.ts";
import {
  declaredHash,
  fleetFromToml,
  observedFleet,
  observedNeuron,
  residentModel,
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
  /** The fleet of these worlds is called home. */
  readonly fleet: "home" | "lab" | undefined;
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

export interface WorldOptions {
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
        fleet: fc.constantFrom(undefined, "home" as const, "home" as const, "lab" as const),
        lastUsedMs: fc.integer({ min: 0, max: 5 }),
        device: fc.nat(2),
        status: fc.constantFrom("loaded" as const, "loaded" as const, "loading" as const),
      }),
      { selector: (draft) => draft.id, maxLength: 4 },
    ),
  });

/** A fleet and what is seen of it. */
export interface World {
  readonly fleet: Fleet;
  readonly observed: ObservedFleet;
}

export const world = (options: WorldOptions): fc.Arbitrary<World> =>
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
      const drafts = new Map(models.map((model) => [model.id, model]));
      return { fleet, observed: observedFleet(...neurons.map((neuron) => observe(neuron, fleet, drafts))) };
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

/** Residents are dropped where they would not have fitted. */
function observe(draft: NeuronDraft, fleet: Fleet, models: ReadonlyMap<string, ModelDraft>): ObservedNeuron {
  if (draft.silent) return silentNeuron(draft.name);
  const free = draft.devices.map((totalMb) => totalMb - draft.foreignMb);
  const residents: ResidentModel[] = [];
  for (const resident of draft.residents) {
    const model = models.get(resident.id);
    const vramMb = model?.vramMb ?? 2000;
    const width = model?.minDevices ?? 1;
    const devices = devicesFor(resident.device, { width, count: draft.devices.length });
    const deviceVramMb = evenly(vramMb, devices.length);
    if (!takeAway(free, devices, deviceVramMb)) continue;
    const specHash = model !== undefined && resident.current ? declaredHash(fleet, resident.id) : "other";
    const measured = model?.vramMb !== undefined;
    residents.push(residentModel({ ...resident, vramMb, specHash, measured, devices, deviceVramMb }));
  }
  const foreign = draft.devices.map(() => draft.foreignMb);
  const neuron = observedNeuron(draft.name, { devices: draft.devices, residents, foreign });
  const used = draft.devices.map((totalMb, index) => totalMb - (free[index] ?? 0));
  const readings = neuron.health.devices.map((reading) => ({
    ...reading,
    vram_used_mb: used[reading.index] ?? 0,
    vram_free_mb: free[reading.index] ?? 0,
  }));
  return { ...neuron, health: { ...neuron.health, devices: readings } };
}

/** Whole MiB that add up; the first device takes the rest. */
function evenly(vramMb: number, count: number): number[] {
  const part = Math.floor(vramMb / count);
  return Array.from({ length: count }, (_unused, index) =>
    index === 0 ? vramMb - part * (count - 1) : part,
  );
}

/** False, and nothing taken, where some device has too little. */
function takeAway(free: number[], devices: readonly number[], amounts: readonly number[]): boolean {
  const left = devices.map((device, position) => (free[device] ?? 0) - (amounts[position] ?? 0));
  if (left.some((mb) => mb < 0)) return false;
  for (const [position, device] of devices.entries()) free[device] = left[position] ?? 0;
  return true;
}

/** As many devices as the model asks for, if the neuron has them. */
function devicesFor(
  first: number,
  { width, count }: { readonly width: number; readonly count: number },
): number[] {
  const taken = Array.from({ length: Math.min(width, count) }, (_unused, step) => (first + step) % count);
  return taken.toSorted((left, right) => left - right);
}

/** The same facts in another order. */
export const shuffled = (input: World, seed: readonly number[]): World => {
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
export const hasCopiesToSpareByHand = (fleet: Fleet, observed: ObservedFleet): boolean =>
  fleet.models.some(({ id, replicas }) => {
    const byHand = observed.neurons.flatMap((neuron) =>
      neuron.reachable
        ? neuron.models.filter((model) => model.id === id && model.origin.kind === "manual")
        : [],
    );
    return replicas > 0 && byHand.length > replicas;
  });

export const ANY: WorldOptions = { maxDevices: 2, knownSizes: false };
