import { sharesTotal, splitByWeight, type Shares } from "../observe/device-memory.ts";
import { isSpread, isUnload, type Draft, type FreeMemory } from "./draft.ts";

const NOTHING: Shares = new Map();

/** Free memory as the steps that were decided so far leave it. */
export class TransitionMemory {
  readonly #initial: FreeMemory;
  readonly #free: Map<string, Map<number, number>>;
  readonly #done = new Map<string, Draft[]>();

  constructor(free: FreeMemory) {
    this.#initial = free;
    this.#free = new Map([...free].map(([neuron, shares]) => [neuron, new Map(shares)]));
  }

  freeMb(neuron: string, device: number): number {
    return this.#free.get(neuron)?.get(device) ?? 0;
  }

  /**
   * Devices on which the draft lacks memory now, or would once `returned` is given back as well; a replacement frees
   * its own first. A model on several devices fits as a whole or not at all.
   */
  lacking(draft: Draft, returned = NOTHING): number[] {
    const roomOn = (device: number): number => this.#roomOn(draft, device, returned);
    if (!isSpread(draft))
      return [...draft.takes].flatMap(([device, mb]) => (mb > roomOn(device) ? [device] : []));
    const rooms = [...draft.takes.keys()].map((device) => Math.max(0, roomOn(device)));
    const fits =
      rooms.every((mb) => mb > 0) && rooms.reduce((sum, mb) => sum + mb, 0) >= sharesTotal(draft.takes);
    return fits ? [] : [...draft.takes.keys()];
  }

  /** The draft with the split that the neuron would make if it were carried out now. */
  settled(draft: Draft): Draft {
    if (!isSpread(draft) || this.lacking(draft).length > 0) return draft;
    const { devices } = draft.change;
    const rooms = devices.map((device) => Math.max(0, this.#roomOn(draft, device, NOTHING)));
    const takes = splitByWeight(sharesTotal(draft.takes), devices, rooms);
    const change = { ...draft.change, device_vram_mb: devices.map((device) => share(takes, device)) };
    return { ...draft, takes, change };
  }

  #roomOn({ change, frees }: Draft, device: number, returned: Shares): number {
    return this.freeMb(change.neuron, device) + share(frees, device) + share(returned, device);
  }

  carryOut(draft: Draft): void {
    const free = this.#free.get(draft.change.neuron);
    for (const [device, mb] of draft.frees) free?.set(device, (free.get(device) ?? 0) + mb);
    for (const [device, mb] of draft.takes) free?.set(device, (free.get(device) ?? 0) - mb);
    const { neuron } = draft.change;
    this.#done.set(neuron, [...(this.#done.get(neuron) ?? []), draft]);
  }

  /**
   * The earlier steps without which this one would not fit, as few as will do. It fits then whatever becomes of the
   * other earlier steps: those that take memory are assumed to have taken it, those that free none to have not.
   */
  neededBy(draft: Draft): string[] {
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
    const free = this.#initial.get(draft.change.neuron) ?? new Map<number, number>();
    return [...draft.takes].every(([device, mb]) => {
      const change = past.earlier.reduce(
        (total, done) => total + freedAtLeast(done, device, past.certain.includes(done)),
        (free.get(device) ?? 0) + (draft.frees.get(device) ?? 0),
      );
      return mb <= change;
    });
  }
}

/** MiB that a step surely gives to the device (negative: may take from it). */
function freedAtLeast(done: Draft, device: number, certain: boolean): number {
  const gain = share(done.frees, device) - share(done.takes, device);
  if (certain) return gain;
  return isUnload(done) ? 0 : Math.min(0, gain);
}

const share = (shares: Shares, device: number): number => shares.get(device) ?? 0;
