import { seededRandom, type FleetSketch, type LoadedSketch, type ModelSketch } from "./fleet-generator.ts";

type NeuronSketch = FleetSketch["neurons"][number];

/**
 * Fleets of at most 6 devices and 7 copies, tight enough that not everything fits: wide copies, pins, floors, drained
 * neurons, protected models, three classes, and about half of the copies loaded already where they fit.
 */
export function smallFleet(seed: number): FleetSketch {
  const random = seededRandom(seed);
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(random() * items.length)] as Item;
  const upTo = (most: number): number => 1 + Math.floor(random() * most);

  const neurons: NeuronSketch[] = [];
  for (let devices = 1 + upTo(5); devices > 0;) {
    const count = Math.min(devices, upTo(3));
    devices -= count;
    neurons.push({
      name: `n${neurons.length}`,
      devices: Array.from({ length: count }, () => pick([800, 1200, 1600, 2400])),
      drain: random() < 0.1,
    });
  }

  const models: ModelSketch[] = [];
  for (let copies = 2 + upTo(5); copies > 0;) {
    const pins = random() < 0.15 ? neurons.slice(0, 2).map(({ name }) => name) : [];
    const replicas = Math.min(copies, random() < 0.25 ? 2 : 1, pins.length || neurons.length);
    copies -= replicas;
    models.push({
      id: `m${models.length}`,
      mib: upTo(14) * 100,
      replicas,
      width: random() < 0.2 ? 2 : 1,
      priority: pick([100, 100, 200, 300]),
      pins,
      protect: random() < 0.1,
      ...(random() < 0.1 ? { floorMib: 1200 } : {}),
    });
  }

  const loaded = neurons.map((): LoadedSketch[] => []);
  for (const model of models) {
    for (let copy = 0; copy < model.replicas; copy += 1) {
      const number = Math.floor(random() * neurons.length);
      const there = loaded[number] as LoadedSketch[];
      const neuron = neurons[number] as NeuronSketch;
      if (random() > 0.45 || there.some(({ id }) => id === model.id)) continue;
      if (model.pins?.length && !model.pins.includes(neuron.name)) continue;
      const place = firstFit(neuron, there, model);
      if (place !== undefined) there.push(place);
    }
  }
  return { neurons: neurons.map((neuron, number) => ({ ...neuron, loaded: loaded[number] ?? [] })), models };
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
