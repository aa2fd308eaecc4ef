import { FreeIndex } from "./free-index.ts";
import { splitByWeight } from "../../observe/device-memory.ts";
import { devicesOf, type Guest, type Place, type PlacementProblem, type ProblemModel } from "./problem.ts";

/** A value of a typed array at an index that is known to exist. */
export const at = (values: Int32Array | Uint8Array, index: number): number => values[index] as number;

/**
 * A placement while it is being made: what is free on each device and where each copy is. Starts from the fleet as it
 * is (copies at home, guests in place); everything that happens can be taken back.
 */
export class Board {
  readonly problem: PlacementProblem;
  /** Free MiB by device; negative where more is loaded than the device can promise. */
  readonly free: Int32Array;
  /** The same without guests: what declared copies leave to models on demand. */
  readonly roomy: Int32Array;
  /** The most that is free on one device of each neuron. */
  readonly largestFree: Int32Array;
  readonly byFree: FreeIndex;
  /** By applicant; undefined while it has no place. */
  readonly places: (Place | undefined)[];
  /** By applicant: 1 while the copy stays exactly as it is loaded. */
  readonly untouched: Uint8Array;
  /** By guest: 1 once it was asked to leave. */
  readonly evicted: Uint8Array;
  /** The applicant for which a guest or a present copy left its place: by guest, by applicant; -1 for none. */
  readonly guestLeftFor: Int32Array;
  readonly copyLeftFor: Int32Array;
  /** Applicants by neuron. */
  readonly hosted: number[][];
  readonly guestsAt: readonly (readonly number[])[];
  /** When each applicant was placed, to load them in an order in which they fit. */
  readonly rank: Int32Array;
  #placed = 0;

  constructor(problem: PlacementProblem) {
    const { devices, neurons, applicants, guests } = problem;
    this.problem = problem;
    this.free = Int32Array.from(devices, ({ roomMib }) => roomMib);
    this.roomy = Int32Array.from(this.free);
    this.byFree = new FreeIndex(this.free);
    this.largestFree = new Int32Array(neurons.length);
    this.places = applicants.map(() => undefined);
    this.untouched = new Uint8Array(applicants.length);
    this.evicted = new Uint8Array(guests.length);
    this.guestLeftFor = new Int32Array(guests.length).fill(-1);
    this.copyLeftFor = new Int32Array(applicants.length).fill(-1);
    this.rank = new Int32Array(applicants.length);
    this.hosted = neurons.map(() => []);
    const guestsAt: number[][] = neurons.map(() => []);
    for (const [number, { place }] of guests.entries()) {
      guestsAt[place.neuron]?.push(number);
      this.#shiftFree(place, -1);
    }
    this.guestsAt = guestsAt;
    for (const neuron of neurons.keys()) this.#refresh(neuron);
    for (const [applicant, { home }] of applicants.entries())
      if (home !== null) this.stay(applicant, home.place);
  }

  /** Another board with the same placement. */
  clone(): Board {
    const clone = new Board(this.problem);
    for (const applicant of clone.places.keys()) clone.lift(applicant);
    const inOrder = [...this.places.keys()].sort((left, right) => at(this.rank, left) - at(this.rank, right));
    for (const applicant of inOrder) {
      const place = this.places[applicant];
      if (place !== undefined) clone.putBack(applicant, place, at(this.untouched, applicant));
    }
    clone.copyLeftFor.set(this.copyLeftFor);
    for (const [guest, isEvicted] of this.evicted.entries())
      if (isEvicted === 1) clone.evict(guest, at(this.guestLeftFor, guest));
    return clone;
  }

  /** Leaves a present copy as it is loaded. */
  stay(applicant: number, home: Place): void {
    this.put(applicant, home);
    this.untouched[applicant] = 1;
  }

  put(applicant: number, place: Place): void {
    this.places[applicant] = place;
    this.untouched[applicant] = 0;
    this.rank[applicant] = this.#placed;
    this.#placed += 1;
    this.hosted[place.neuron]?.push(applicant);
    this.#shiftFree(place, -1);
    this.#shift(this.roomy, place, -1);
    this.#refresh(place.neuron);
  }

  /** Takes a copy off its place and returns the place. */
  lift(applicant: number): Place | undefined {
    const place = this.places[applicant];
    if (place === undefined) return undefined;
    this.places[applicant] = undefined;
    this.untouched[applicant] = 0;
    const hosted = this.hosted[place.neuron] ?? [];
    hosted.splice(hosted.indexOf(applicant), 1);
    this.#shiftFree(place, 1);
    this.#shift(this.roomy, place, 1);
    this.#refresh(place.neuron);
    return place;
  }

  /** Undoes a `lift`. */
  putBack(applicant: number, place: Place, wasUntouched: number): void {
    this.put(applicant, place);
    this.untouched[applicant] = wasUntouched;
  }

  /** What is seen on the board while this copy is nowhere; afterwards all is as it was. */
  without<Seen>(applicant: number, look: () => Seen): Seen {
    const place = this.places[applicant];
    if (place === undefined) return look();
    const [untouched, rank] = [at(this.untouched, applicant), at(this.rank, applicant)];
    this.lift(applicant);
    try {
      return look();
    } finally {
      this.putBack(applicant, place, untouched);
      this.rank[applicant] = rank;
    }
  }

  evict(guest: number, inFavourOf: number): void {
    this.#guest(guest, 1, inFavourOf);
  }

  readmit(guest: number): void {
    this.#guest(guest, 0, -1);
  }

  /** Whether the neuron has, or is to have, a copy of the model. */
  hosts(model: ProblemModel, neuron: number): boolean {
    if (model.closed.has(neuron)) return true;
    for (const applicant of model.applicants) if (this.places[applicant]?.neuron === neuron) return true;
    return false;
  }

  modelOf(applicant: number): ProblemModel {
    return this.problem.models[this.problem.applicants[applicant]?.model ?? -1] as ProblemModel;
  }

  /** The split that the neuron would make on these devices now. */
  split(model: ProblemModel, devices: readonly number[]): readonly number[] {
    if (devices.length === 1) return [model.mib];
    const weights = devices.map((device) => Math.max(0, at(this.free, device)));
    const shares = splitByWeight(model.mib, devices, weights);
    return devices.map((device) => shares.get(device) ?? 0);
  }

  #guest(guest: number, evicted: 0 | 1, inFavourOf: number): void {
    const { place } = this.problem.guests[guest] as Guest;
    this.evicted[guest] = evicted;
    this.guestLeftFor[guest] = inFavourOf;
    this.#shiftFree(place, evicted === 1 ? 1 : -1);
    this.#refresh(place.neuron);
  }

  #shift(memory: Int32Array, place: Place, sign: 1 | -1): void {
    for (const [position, device] of place.devices.entries())
      memory[device] = at(memory, device) + sign * (place.mib[position] ?? 0);
  }

  #shiftFree(place: Place, sign: 1 | -1): void {
    this.#shift(this.free, place, sign);
    for (const device of place.devices) this.byFree.move(device, at(this.free, device));
  }

  #refresh(neuron: number): void {
    const { firstDevice, deviceCount } = this.problem.neurons[neuron] ?? { firstDevice: 0, deviceCount: 0 };
    let largest = -1;
    for (let device = firstDevice; device < firstDevice + deviceCount; device += 1)
      largest = Math.max(largest, at(this.free, device));
    this.largestFree[neuron] = largest;
  }
}

type Site = Pick<Place, "neuron" | "devices">;

/** Whether both are the same devices, whatever is held on them. */
export const isSamePlace = (left: Site, right: Site): boolean =>
  left.neuron === right.neuron &&
  left.devices.length === right.devices.length &&
  left.devices.every((device) => right.devices.includes(device));

/** MiB of a place on one device. */
export const shareOn = (place: Place | undefined, device: number): number =>
  place?.mib[place.devices.indexOf(device)] ?? 0;

/** Sets of devices worth trying: each eligible one, or neighbours by free memory for wide models. */
export function windowsOn(board: Board, model: ProblemModel, neuron: number): readonly (readonly number[])[] {
  const { problem, free } = board;
  if (model.width === 1 && model.floorMib === 0) return problem.singles[neuron] ?? [];
  const eligible = devicesOf(problem, neuron)
    .filter((device) => (problem.devices[device]?.totalMib ?? 0) >= model.floorMib)
    .sort((left, right) => at(free, right) - at(free, left) || left - right);
  return eligible
    .slice(0, eligible.length - model.width + 1)
    .map((_, start) => eligible.slice(start, start + model.width).sort((left, right) => left - right));
}
