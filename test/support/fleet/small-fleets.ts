import { seededRandom, type FleetSketch, type LoadedSketch, type ModelSketch } from "./fleet-generator.ts";

type NeuronSketch = FleetSketch["neurons"][number];

/**
 * Fleets of at most 6 devices and 7 copies, tight enough that not everything fits: wide copies, pins, floors, drained
 * neurons, protected models, three classes, and about half of the copies loaded already where they fit.
 */
export function smallFleet(seed: number): FleetSketch {
  const dice = new Dice(seed);
  const neurons = drawNeurons(dice);
  const models = drawModels(dice, neurons);
  const loaded = drawLoaded(dice, { neurons, models });
  return { neurons: neurons.map((neuron, number) => ({ ...neuron, loaded: loaded[number] ?? [] })), models };
}

class Dice {
  readonly random: () => number;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.random() * items.length)] as Item;
  }

  upTo(most: number): number {
    return 1 + Math.floor(this.random() * most);
  }

  happens(chance: number): boolean {
    return this.random() < chance;
  }
}

function drawNeurons(dice: Dice): NeuronSketch[] {
  const neurons: NeuronSketch[] = [];
  for (let devices = 1 + dice.upTo(5); devices > 0;) {
    const count = Math.min(devices, dice.upTo(3));
    devices -= count;
    neurons.push({
      name: `n${neurons.length}`,
      devices: Array.from({ length: count }, () => dice.pick([800, 1200, 1600, 2400])),
      drain: dice.happens(0.1),
    });
  }
  return neurons;
}

function drawModels(dice: Dice, neurons: readonly NeuronSketch[]): ModelSketch[] {
  const models: ModelSketch[] = [];
  for (let copies = 2 + dice.upTo(5); copies > 0;) {
    const pins = dice.happens(0.15) ? neurons.slice(0, 2).map(({ name }) => name) : [];
    const replicas = Math.min(copies, dice.happens(0.25) ? 2 : 1, pins.length || neurons.length);
    copies -= replicas;
    models.push({
      id: `m${models.length}`,
      mib: dice.upTo(14) * 100,
      replicas,
      width: dice.happens(0.2) ? 2 : 1,
      priority: dice.pick([100, 100, 200, 300]),
      pins,
      protect: dice.happens(0.1),
      ...(dice.happens(0.1) ? { floorMib: 1200 } : {}),
    });
  }
  return models;
}

function drawLoaded(
  dice: Dice,
  { neurons, models }: { readonly neurons: readonly NeuronSketch[]; readonly models: readonly ModelSketch[] },
): LoadedSketch[][] {
  const loaded = neurons.map((): LoadedSketch[] => []);
  for (const model of models.flatMap((each) => Array.from({ length: each.replicas }, () => each))) {
    const number = dice.upTo(neurons.length) - 1;
    const there = loaded[number] as LoadedSketch[];
    const neuron = neurons[number] as NeuronSketch;
    if (!dice.happens(0.45) || there.some(({ id }) => id === model.id)) continue;
    if (model.pins?.length && !model.pins.includes(neuron.name)) continue;
    const place = firstFit(neuron, there, model);
    if (place !== undefined) there.push(place);
  }
  return loaded;
}

function firstFit(
  neuron: NeuronSketch,
  there: readonly LoadedSketch[],
  model: ModelSketch,
): LoadedSketch | undefined {
  const mib = model.mib ?? 0;
  const free = neuron.devices.map((total, device) =>
    there.reduce((left, copy) => left - (copy.mib[copy.devices.indexOf(device)] ?? 0), total),
  );
  const eligible = neuron.devices.flatMap((total, device) =>
    total >= (model.floorMib ?? 0) ? [device] : [],
  );
  if ((model.width ?? 1) === 1) {
    const device = eligible.find((candidate) => (free[candidate] ?? 0) >= mib);
    return device === undefined ? undefined : { id: model.id, devices: [device], mib: [mib] };
  }
  const [first, second] = eligible;
  if (first === undefined || second === undefined) return undefined;
  const [here, beside] = [free[first] ?? 0, free[second] ?? 0];
  if (here <= 0 || beside <= 0 || here + beside < mib) return undefined;
  const share = Math.min(mib, Math.ceil((mib * here) / (here + beside)));
  return { id: model.id, devices: [first, second], mib: [share, mib - share] };
}
