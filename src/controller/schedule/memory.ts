import { present } from "../../core/present.ts";
import { sharesTotal, splitByWeight, type Shares } from "../observe/device-memory.ts";
import { isSpread, isUnload, type Draft, type FreeMemory } from "./draft.ts";

const NOTHING: Shares = new Map();

/** Free memory as the steps that were decided so far leave it. */
export class TransitionMemory {
  readonly #initial: FreeMemory;
  readonly #free: Map<string, Map<number, number>>;
  readonly #done = new Map<string, Draft[]>();
  /** Neurons on which a step has freed anything. */
  readonly #freed = new Set<string>();

  constructor(free: FreeMemory) {
    this.#initial = free;
    this.#free = new Map([...free].map(([neuron, shares]) => [neuron, new Map(shares)]));
  }

  freeMib(neuron: string, device: number): number {
    return present(this.#freeOn(neuron).get(device), "the memory of device", device);
  }

  #freeOn(neuron: string): Map<number, number> {
    return present(this.#free.get(neuron), "the memory of neuron", neuron);
  }

  /**
   * Devices on which the draft lacks memory now, or would once `returned` is given back as well; a replacement frees
   * its own first. A model on several devices fits as a whole or not at all.
   */
  lacking(draft: Draft, returned = NOTHING): number[] {
    const roomOn = (device: number): number => this.#roomOn(draft, device, returned);
    if (!isSpread(draft))
      return [...draft.takes.keys()].filter((device) => share(draft.takes, device) > roomOn(device));
    const rooms = [...draft.takes.keys()].map((device) => Math.max(0, roomOn(device)));
    const fits =
      rooms.every((mib) => mib > 0) && rooms.reduce((sum, mib) => sum + mib, 0) >= sharesTotal(draft.takes);
    return fits ? [] : [...draft.takes.keys()];
  }

  /** The draft with the split that the neuron would make if it were carried out now. */
  splitNow(draft: Draft): Draft {
    if (!isSpread(draft) || this.lacking(draft).length > 0) return draft;
    const { devices } = draft.change;
    const rooms = devices.map((device) => Math.max(0, this.#roomOn(draft, device, NOTHING)));
    const takes = splitByWeight(sharesTotal(draft.takes), devices, rooms);
    const change = { ...draft.change, deviceMib: devices.map((device) => share(takes, device)) };
    return { ...draft, takes, change };
  }

  #roomOn({ change, frees }: Draft, device: number, returned: Shares): number {
    return this.freeMib(change.neuron, device) + share(frees, device) + share(returned, device);
  }

  carryOut(draft: Draft): void {
    const { neuron } = draft.change;
    const free = this.#freeOn(neuron);
    // A copy may stand on a device that the neuron no longer lists: what it frees there is nobody's.
    for (const [device, mib] of draft.frees) free.set(device, (free.get(device) ?? 0) + mib);
    for (const [device, mib] of draft.takes) free.set(device, this.freeMib(neuron, device) - mib);
    const done = this.#done.get(neuron);
    if (done === undefined) this.#done.set(neuron, [draft]);
    else done.push(draft);
    if (draft.frees.size > 0) this.#freed.add(neuron);
  }

  /**
   * The earlier steps without which this one would not fit, as few as will do. It fits then whatever becomes of the
   * other earlier steps: those that take memory are assumed to have taken it, those that free none to have not.
   */
  neededBy(wanted: Draft): string[] {
    // Where nothing left, nothing made room: so it is wherever an empty fleet is filled.
    if (!this.#freed.has(wanted.change.neuron)) return [];
    const draft = this.splitNow(wanted);
    const earlier = this.#done.get(draft.change.neuron) ?? [];
    const touches = (done: Draft): boolean =>
      [...draft.takes.keys()].some((device) => done.frees.has(device));
    let needed = earlier.filter(touches);
    // A guess may turn out larger than thought: it waits for all that leaves its devices.
    if (!draft.sizeKnown) return needed.map(({ change }) => change.id);
    for (const candidate of needed.toReversed()) {
      const fewer = needed.filter((done) => done !== candidate);
      if (this.#fits(draft, { earlier, certain: fewer })) needed = fewer;
    }
    return needed.map(({ change }) => change.id);
  }

  #fits(
    draft: Draft,
    past: { readonly earlier: readonly Draft[]; readonly certain: readonly Draft[] },
  ): boolean {
    const free = present(this.#initial.get(draft.change.neuron), "the memory of neuron", draft.change.neuron);
    return [...draft.takes].every(([device, mib]) => {
      const change = past.earlier.reduce(
        (total, done) => total + freedAtLeast(done, device, past.certain.includes(done)),
        present(free.get(device), "the memory of device", device) + share(draft.frees, device),
      );
      return mib <= change;
    });
  }
}

/** MiB that a step surely gives to the device (negative: may take from it). */
function freedAtLeast(done: Draft, device: number, certain: boolean): number {
  const gain = share(done.frees, device) - share(done.takes, device);
  if (certain) return gain;
  return isUnload(done) ? 0 : Math.min(0, gain);
}

/** A device on which nothing is held is not listed. */
const share = (shares: Shares, device: number): number => shares.get(device) ?? 0;
