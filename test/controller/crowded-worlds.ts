import {
  placementWorld,
  seededRandom,
  type FleetSketch,
  type LoadedSketch,
  type ModelSketch,
  type PlacementWorld,
} from "../support/fleet/fleet-generator.ts";

/*
 * Fleets with little room in which much has to change: most models are loaded, many with old settings and another size,
 * some are pinned, protected or on a neuron that is drained. Here the order of the changes decides what can be done.
 */
export const crowdedWorld = (seed: number): PlacementWorld => placementWorld(new Crowd(seed).sketch());

const NEURONS = ["a", "b", "c"] as const;

class Crowd {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  sketch(): FleetSketch {
    const names = NEURONS.slice(0, this.#pick([1, 2, 2, 3]));
    const neurons = names.map((name) => {
      const devices = Array.from({ length: this.#pick([1, 2, 2, 3]) }, () =>
        this.#pick([24_000, 24_000, 23_700, 16_000]),
      );
      const loaded: LoadedSketch[] = [];
      return { name, devices, drain: this.#happens(0.12), loaded, free: [...devices] };
    });
    const models = Array.from({ length: 7 }, (_unused, number) => this.#model(`m${number + 1}`, names));
    for (const model of models) if (this.#happens(0.7)) this.#load(model, this.#pick(neurons));
    return { neurons: neurons.map(({ free: _free, ...neuron }) => neuron), models };
  }

  #model(id: string, neurons: readonly string[]): ModelSketch & { readonly mib: number } {
    const width = this.#pick([1, 1, 2, 2]);
    return {
      id,
      mib: (4 + Math.floor(this.#random() * (width === 1 ? 42 : 80))) * 500,
      replicas: 1,
      width,
      priority: this.#pick([100, 100, 100, 50]),
      pins: this.#happens(0.2) ? [this.#pick(neurons)] : [],
      protect: this.#happens(0.2),
    };
  }

  /** Where it fits; else it is not loaded. */
  #load(
    { id, mib, width = 1 }: ModelSketch & { readonly mib: number },
    neuron: { readonly devices: readonly number[]; readonly loaded: LoadedSketch[]; readonly free: number[] },
  ): void {
    const wanted = this.#happens(0.85) ? width : this.#pick([1, 2]);
    const devices = [...neuron.devices.keys()]
      .map((device) => ({ device, draw: this.#random() }))
      .toSorted((left, right) => left.draw - right.draw)
      .slice(0, wanted)
      .map(({ device }) => device)
      .toSorted((left, right) => left - right);
    const current = this.#happens(0.6);
    const size = Math.round(mib * (current ? 1 : this.#pick([0.5, 0.7, 0.9, 1, 1.1])));
    const shares = this.#shares(size, devices.length);
    const left = devices.map((device, position) => (neuron.free[device] ?? 0) - (shares[position] ?? 0));
    if (left.some((free) => free < 0)) return;
    for (const [position, device] of devices.entries()) neuron.free[device] = left[position] ?? 0;
    neuron.loaded.push({ id, devices, mib: shares, current });
  }

  #shares(size: number, count: number): number[] {
    const weights = Array.from({ length: count }, () => 1 + this.#random());
    const sum = weights.reduce((total, weight) => total + weight, 0);
    const [, ...others] = weights.map((weight) => Math.floor((size * weight) / sum));
    return [others.reduce((rest, share) => rest - share, size), ...others];
  }

  #pick<Item>(items: readonly Item[]): Item {
    const item = items[Math.floor(this.#random() * items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }

  #happens(chance: number): boolean {
    return this.#random() < chance;
  }
}
