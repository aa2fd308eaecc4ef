import type { FleetSketch, ModelSketch } from "./fleet-generator.ts";

/**
 * Every way to place every copy, without any cleverness: the best figures, class by class (highest first): loaded
 * copies that lost their place, models without a copy, copies without a place, loaded copies that move. Knows copies
 * on one device and on two, pins, floors, drained neurons, protected copies, and one copy per neuron and model.
 *
 * Like a neuron, it splits a copy over two devices in proportion to what is free on them; copies on one device come
 * first, then the wide ones that stay, then those that are loaded, the highest class and the largest first.
 */
export function bestByBruteForce(sketch: FleetSketch): number[] {
  return new BruteForce(sketch).best();
}

interface Copy {
  readonly model: ModelSketch;
  readonly home: {
    readonly neuron: number;
    readonly devices: readonly number[];
    readonly mib: readonly number[];
  } | null;
}

interface CopyPlace {
  readonly neuron: number;
  readonly devices: readonly number[];
  readonly mib: readonly number[];
  readonly moved: boolean;
}

/** What is decided of a copy, and when: of a wide one first whether it stays, and later where it goes. */
interface Question {
  readonly index: number;
  readonly asks: "stay" | "place" | "both";
}

class BruteForce {
  readonly #sketch: FleetSketch;
  readonly #copies: readonly Copy[];
  readonly #questions: readonly Question[];
  readonly #classes: readonly number[];
  readonly #free: number[][];
  readonly #at: (number | null)[];
  readonly #moved: boolean[];
  #best: number[] | undefined;

  constructor(sketch: FleetSketch) {
    this.#sketch = sketch;
    this.#copies = copiesOf(sketch);
    const all = this.#copies.map((copy, index) => ({
      index,
      isWide: isWide(copy),
      isLoaded: copy.home !== null,
    }));
    this.#questions = [
      ...all.filter((copy) => !copy.isWide).map(({ index }) => ({ index, asks: "both" as const })),
      ...all
        .filter((copy) => copy.isWide && copy.isLoaded)
        .map(({ index }) => ({ index, asks: "stay" as const })),
      ...all.filter((copy) => copy.isWide).map(({ index }) => ({ index, asks: "place" as const })),
    ];
    this.#classes = [...new Set(sketch.models.map(classOf))].sort((left, right) => right - left);
    this.#free = sketch.neurons.map(({ devices }) => [...devices]);
    this.#at = this.#copies.map(() => null);
    this.#moved = this.#copies.map(() => false);
  }

  best(): number[] {
    this.#place(0);
    return this.#best ?? [];
  }

  #place(rank: number): void {
    const question = this.#questions[rank];
    if (question === undefined) this.#compare();
    else if (this.#at[question.index] === null) this.#branch(rank, question);
    else this.#place(rank + 1);
  }

  #compare(): void {
    const score = this.#score();
    if (this.#best === undefined || isLess(score, this.#best)) this.#best = score;
  }

  #branch(rank: number, { index, asks }: Question): void {
    const copy = this.#copies[index] as Copy;
    const { home, model } = copy;
    if (asks !== "place" && home !== null && this.#fits(home.neuron, home.devices, home.mib))
      this.#with(rank, { ...home, moved: false });
    if (home !== null && model.protect === true) return;
    if (asks !== "stay") for (const place of this.#placesFor(copy)) this.#with(rank, place);
    this.#place(rank + 1);
  }

  /** As far as memory allows. */
  #mayHold(model: ModelSketch, neuron: number): boolean {
    const { drain, name } = this.#sketch.neurons[neuron] as FleetSketch["neurons"][number];
    const pins = model.pins ?? [];
    const hasCopy = this.#copies.some(
      (other, position) => other.model === model && this.#at[position] === neuron,
    );
    return drain !== true && (pins.length === 0 || pins.includes(name)) && !hasCopy;
  }

  #placesFor({ model, home }: Copy): CopyPlace[] {
    const places: CopyPlace[] = [];
    for (const [neuron, { devices }] of this.#sketch.neurons.entries()) {
      if (!this.#mayHold(model, neuron)) continue;
      for (const chosen of choicesOf(devices, model)) {
        const mib = this.#split(neuron, chosen, model.mib ?? 0);
        const isHome = home?.neuron === neuron && chosen.every((device) => home.devices.includes(device));
        // Loading a wide copy again on its devices changes its split; on one device it changes nothing.
        if (mib !== null && (!isHome || chosen.length > 1))
          places.push({ neuron, devices: chosen, mib, moved: home !== null });
      }
    }
    return places;
  }

  #with(rank: number, place: CopyPlace): void {
    const { index } = this.#questions[rank] as Question;
    const free = this.#free[place.neuron] as number[];
    for (const [position, device] of place.devices.entries())
      free[device] = (free[device] ?? 0) - (place.mib[position] ?? 0);
    this.#at[index] = place.neuron;
    this.#moved[index] = place.moved;
    this.#place(rank + 1);
    this.#at[index] = null;
    this.#moved[index] = false;
    for (const [position, device] of place.devices.entries())
      free[device] = (free[device] ?? 0) + (place.mib[position] ?? 0);
  }

  #fits(neuron: number, devices: readonly number[], mib: readonly number[]): boolean {
    return devices.every((device, position) => (this.#free[neuron]?.[device] ?? 0) >= (mib[position] ?? 0));
  }

  #split(neuron: number, devices: readonly number[], mib: number): number[] | null {
    const free = devices.map((device) => this.#free[neuron]?.[device] ?? 0);
    const total = free.reduce((sum, value) => sum + value, 0);
    if (total < mib || free.some((value) => value <= 0)) return null;
    let left = mib;
    return free.map((value) => {
      const share = Math.min(left, total === 0 ? 0 : Math.ceil((mib * value) / total));
      left -= share;
      return share;
    });
  }

  #score(): number[] {
    return this.#classes.flatMap((priority) => {
      const mine = this.#copies
        .map((copy, index) => ({ copy, index }))
        .filter(({ copy }) => classOf(copy.model) === priority);
      const missing = mine.filter(({ index }) => this.#at[index] === null);
      const models = new Set(mine.map(({ copy }) => copy.model));
      const without = [...models].filter((model) =>
        mine.every(({ copy, index }) => copy.model !== model || this.#at[index] === null),
      );
      const lost = missing.filter(({ copy }) => copy.home !== null);
      return [
        lost.length,
        without.length,
        missing.length,
        mine.filter(({ index }) => this.#moved[index]).length,
      ];
    });
  }
}

const classOf = ({ priority }: ModelSketch): number => priority ?? 100;

const isWide = ({ model }: Copy): boolean => (model.width ?? 1) > 1;

function copiesOf(sketch: FleetSketch): Copy[] {
  const copies = sketch.models.flatMap((model) => {
    const homes = sketch.neurons.flatMap(({ loaded = [], drain }, neuron) =>
      drain === true
        ? []
        : loaded.filter(({ id }) => id === model.id).map(({ devices, mib }) => ({ neuron, devices, mib })),
    );
    return Array.from({ length: model.replicas }, (_, ordinal): Copy => ({
      model,
      home: homes[ordinal] ?? null,
    }));
  });
  return copies.sort(
    (left, right) =>
      Number(left.home === null) - Number(right.home === null) ||
      classOf(right.model) - classOf(left.model) ||
      (right.model.mib ?? 0) - (left.model.mib ?? 0),
  );
}

function choicesOf(devices: readonly number[], model: ModelSketch): number[][] {
  const eligible = devices.flatMap((mib, device) => (mib >= (model.floorMib ?? 0) ? [device] : []));
  if ((model.width ?? 1) === 1) return eligible.map((device) => [device]);
  return eligible.flatMap((first, position) => eligible.slice(position + 1).map((second) => [first, second]));
}

function isLess(left: readonly number[], right: readonly number[]): boolean {
  for (const [position, figure] of left.entries()) {
    if (figure !== right[position]) return figure < (right[position] ?? 0);
  }
  return false;
}
