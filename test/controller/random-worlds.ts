import fc from "fast-check";
import type { ObservedNeuron } from "../../src/controller/observe/observed-fleet.ts";
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
import type { World } from "./plan-worlds.ts";

/*
 * Worlds as operators leave them: every device has its own size and its own foreign processes, copies are split
 * unevenly and measure other than declared, settings changed while a neuron drains, blocks were made wider since. Sizes
 * are declared, for a model of unknown size takes no memory on paper until it was loaded.
 */

/** The name of another fleet that shares the neurons. */
export const OTHERS = "elsewhere";

const NEURONS = ["a", "b", "c", "d"];
const MODELS = ["m1", "m2", "m3", "m4", "m5", "m6", "m7"];
const DEVICE_MB = [4000, 8000, 12_000, 16_000, 24_000];

interface ModelDraft {
  readonly id: string;
  readonly vramMb: number;
  readonly replicas: number;
  readonly width: number;
  readonly floorMb: number | undefined;
  readonly pins: readonly string[];
  readonly priority: number;
  readonly protect: boolean;
}

interface ResidentDraft {
  readonly id: string;
  /** Loaded with the settings of the block. */
  readonly current: boolean;
  /** What it measures beyond what is declared. */
  readonly extraMb: number;
  readonly origin: "revision" | "request" | "manual";
  /** The fleet of these worlds is called home. */
  readonly fleet: "home" | "lab" | undefined;
  readonly lastUsedMs: number;
  readonly firstDevice: number;
  /** On how many devices more or less than the block asks for. */
  readonly wider: number;
  /** Shares of the devices. */
  readonly weights: readonly number[];
  readonly status: "loaded" | "loading" | "unloading";
  /** Loaded for another fleet that shares the neuron. */
  readonly ofOthers: boolean;
}

interface NeuronDraft {
  readonly name: string;
  readonly silent: boolean;
  readonly drain: boolean;
  readonly draining: boolean;
  /** It offers no engine any more, and what is loaded goes on. */
  readonly engineless: boolean;
  readonly devices: readonly { readonly totalMb: number; readonly foreignMb: number }[];
  readonly residents: readonly ResidentDraft[];
}

const oneIn = (count: number): fc.Arbitrary<boolean> => fc.nat(count - 1).map((dice) => dice === 0);

const often = <Value>(usual: Value, ...others: readonly Value[]): fc.Arbitrary<Value> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constant(usual) },
    ...others.map((value) => ({ weight: 1, arbitrary: fc.constant(value) })),
  );

/** What all of a world's machines and models have in common. */
interface Climate {
  readonly deviceMb: readonly number[];
  readonly vramMb: readonly number[];
  readonly widths: fc.Arbitrary<number>;
  readonly pins: fc.Arbitrary<readonly string[]>;
}

const halves = (least: number, most: number): number[] =>
  Array.from({ length: most - least + 1 }, (_unused, step) => (least + step) * 500);

const somePins = (weight: number): fc.Arbitrary<readonly string[]> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant([]) },
    { weight, arbitrary: fc.subarray(NEURONS, { minLength: 1 }) },
  );

const CLIMATES: readonly Climate[] = [
  { deviceMb: DEVICE_MB, vramMb: halves(2, 30), widths: often(1, 2, 2, 3), pins: somePins(2) },
  // Machines of a kind, and models nearly as large as their devices: whoever comes needs another to go.
  { deviceMb: [16_000], vramMb: halves(14, 31), widths: often(1, 2), pins: somePins(6) },
  // Nearly everything spread.
  { deviceMb: [12_000, 24_000], vramMb: halves(6, 60), widths: often(2, 2, 2, 3, 1), pins: somePins(1) },
];

const modelDraft = (id: string, { vramMb, widths, pins }: Climate): fc.Arbitrary<ModelDraft> =>
  fc.record({
    id: fc.constant(id),
    vramMb: fc.constantFrom(...vramMb),
    replicas: often(1, 0, 2, 3),
    width: widths,
    floorMb: often(undefined, 8000, 12_000),
    pins,
    priority: fc.constantFrom(50, 100, 100, 200),
    protect: oneIn(6),
  });

const residentDraft: fc.Arbitrary<ResidentDraft> = fc.record({
  id: fc.constantFrom(...MODELS, "stray"),
  current: oneIn(3).map((changed) => !changed),
  extraMb: often(0, 0, -400, 700),
  origin: fc.constantFrom("revision" as const, "revision" as const, "request" as const, "manual" as const),
  fleet: fc.constantFrom(undefined, "home" as const, "home" as const, "lab" as const),
  lastUsedMs: fc.nat(5),
  firstDevice: fc.nat(3),
  wider: often(0, 1, -1),
  weights: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 4, maxLength: 4 }),
  status: often<ResidentDraft["status"]>("loaded", "loading", "unloading"),
  ofOthers: oneIn(8),
});

const neuronDraft = (name: string, { deviceMb }: Climate): fc.Arbitrary<NeuronDraft> =>
  fc.record({
    name: fc.constant(name),
    silent: oneIn(10),
    drain: oneIn(6),
    draining: oneIn(8),
    engineless: oneIn(15),
    devices: fc.array(fc.record({ totalMb: fc.constantFrom(...deviceMb), foreignMb: often(0, 300, 3000) }), {
      minLength: 1,
      maxLength: 4,
    }),
    residents: fc.uniqueArray(residentDraft, { selector: ({ id }) => id, maxLength: 5 }),
  });

export const randomWorld: fc.Arbitrary<World> = fc
  .constantFrom(...CLIMATES)
  .chain((climate) =>
    fc.record({
      models: someOf(
        MODELS.map((id) => modelDraft(id, climate)),
        2,
      ),
      neurons: someOf(
        NEURONS.map((name) => neuronDraft(name, climate)),
        1,
      ),
    }),
  )
  .map(({ models, neurons }) => {
    const names = neurons.map(({ name }) => name);
    const fleet = fleetFromToml(
      models.map((model) => blockText(model, names)).join(""),
      neurons.map(({ name, drain }) => [name, `drain = ${drain}`] as const),
    );
    const drafts = new Map(models.map((model) => [model.id, model]));
    return { fleet, observed: observedFleet(...neurons.map((neuron) => observe(neuron, fleet, drafts))) };
  });

function someOf<Item>(items: readonly fc.Arbitrary<Item>[], least: number): fc.Arbitrary<Item[]> {
  return fc
    .tuple(fc.tuple(...items), fc.subarray([...items.keys()], { minLength: least }))
    .map(([all, kept]) => all.filter((_item, position) => kept.includes(position)));
}

function blockText(model: ModelDraft, neurons: readonly string[]): string {
  const pins = model.pins.filter((pin) => neurons.includes(pin));
  const lines = [
    `id = "${model.id}"`,
    `vram_mb = ${model.vramMb}`,
    `replicas = ${Math.min(model.replicas, pins.length || neurons.length)}`,
    `min_devices = ${model.width}`,
    `residency_priority = ${model.priority}`,
    `protect = ${model.protect}`,
    `pinned_on = [${pins.map((pin) => `"${pin}"`).join(", ")}]`,
  ];
  if (model.floorMb !== undefined) lines.push(`min_device_vram_mb = ${model.floorMb}`);
  return `[[models]]\n${lines.join("\n")}\n`;
}

/** Residents are dropped where they would not have fitted. */
function observe(draft: NeuronDraft, fleet: Fleet, models: ReadonlyMap<string, ModelDraft>): ObservedNeuron {
  if (draft.silent) return silentNeuron(draft.name);
  const free = draft.devices.map(({ totalMb, foreignMb }) => totalMb - foreignMb);
  const residents = draft.residents.flatMap((resident) => {
    const model = models.get(resident.id);
    const loaded = loadedFrom(resident, model, draft.devices.length);
    const left = free.map((mb, device) => mb - (loaded.deviceVramMb[loaded.devices.indexOf(device)] ?? 0));
    if (left.some((mb) => mb < 0)) return [];
    free.splice(0, free.length, ...left);
    const isCurrent = model !== undefined && resident.current;
    return [
      residentModel({
        ...resident,
        ...loaded,
        specHash: isCurrent ? declaredHash(fleet, resident.id) : "other",
        fleet: resident.ofOthers ? OTHERS : undefined,
      }),
    ];
  });
  return seen(draft, residents, free);
}

function loadedFrom(
  { extraMb, firstDevice, wider, weights }: ResidentDraft,
  model: ModelDraft | undefined,
  deviceCount: number,
): Pick<ResidentModel, "devices"> & { readonly vramMb: number; readonly deviceVramMb: readonly number[] } {
  const width = Math.max(1, Math.min((model?.width ?? 1) + wider, deviceCount));
  const devices = Array.from({ length: width }, (_unused, step) => (firstDevice + step) % deviceCount);
  devices.sort((left, right) => left - right);
  const vramMb = Math.max(500, (model?.vramMb ?? 2000) + extraMb);
  const weight = devices.reduce((total, device) => total + (weights[device] ?? 1), 0);
  const [first = 0, ...others] = devices.map((device) =>
    Math.floor((vramMb * (weights[device] ?? 1)) / weight),
  );
  const rest = vramMb - others.reduce((total, mb) => total + mb, first);
  return { devices, vramMb, deviceVramMb: [first + rest, ...others] };
}

function seen(
  draft: NeuronDraft,
  residents: readonly ResidentModel[],
  free: readonly number[],
): ObservedNeuron {
  const totals = draft.devices.map(({ totalMb }) => totalMb);
  const { draining, engineless } = draft;
  const neuron = observedNeuron(draft.name, { devices: totals, residents, draining });
  const devices = neuron.health.devices.map((reading, index) => ({
    ...reading,
    vram_used_mb: (totals[index] ?? 0) - (free[index] ?? 0),
    vram_free_mb: free[index] ?? 0,
  }));
  const harnesses = engineless ? [] : neuron.discovery.harnesses;
  return {
    ...neuron,
    discovery: { ...neuron.discovery, harnesses },
    health: { ...neuron.health, devices },
  };
}
