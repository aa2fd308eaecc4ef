import { present } from "../../../core/present.ts";
import { FreeIndex } from "./free-index.ts";
import { splitByWeight } from "../../observe/device-memory.ts";
import {
  at,
  byNo,
  figures,
  itemAt,
  type ApplicantNo,
  type ByNo,
  type DeviceNo,
  type Figures,
  type GuestNo,
  type NeuronNo,
} from "./numbers.ts";
import {
  eligibleOn,
  shareAt,
  type Place,
  type PlacementProblem,
  type ProblemModel,
  type Prospect,
} from "./problem.ts";

/** In lists of applicants for whom somebody left: for none. */
const NOBODY = -1;

/**
 * A placement while it is being made: what is free on each device and where each copy is. Starts from the fleet as it
 * is (copies at home, guests in place); everything that happens can be taken back. Only the board writes what it shows.
 */
export class Board {
  readonly problem: PlacementProblem;
  /** Free MiB by device; negative where more is loaded than the device can promise. */
  readonly free: Figures<DeviceNo>;
  /** The same without guests: what declared copies leave to models on demand. */
  readonly roomy: Figures<DeviceNo>;
  /** The most that is free on one device of each neuron. */
  readonly largestFree: Figures<NeuronNo>;
  readonly byFree: Pick<FreeIndex, "count" | "drawerFor" | "devicesIn">;
  /** Undefined while it has no place. */
  readonly places: ByNo<ApplicantNo, Place | undefined>;
  /** 1 while the copy stays exactly as it is loaded. */
  readonly untouched: Figures<ApplicantNo>;
  /** 1 once it has left before its new settings are loaded where it stood, to let another copy in first. */
  readonly leftEarly: Figures<ApplicantNo>;
  /** 1 once it was asked to leave. */
  readonly evicted: Figures<GuestNo>;
  /** The copies on each neuron. */
  readonly hosted: ByNo<NeuronNo, readonly ApplicantNo[]>;
  readonly guestsAt: ByNo<NeuronNo, readonly GuestNo[]>;
  /** When each applicant was placed, to load them in an order in which they fit. */
  readonly rank: Figures<ApplicantNo>;

  // The same arrays, to be written.
  readonly #free: Int32Array;
  readonly #roomy: Int32Array;
  readonly #largestFree: Int32Array;
  readonly #byFree: FreeIndex;
  readonly #places: (Place | undefined)[];
  readonly #untouched: Uint8Array;
  readonly #leftEarly: Uint8Array;
  readonly #evicted: Uint8Array;
  readonly #hosted: ByNo<NeuronNo, ApplicantNo[]>;
  readonly #rank: Int32Array;
  /** The applicant for which a guest, or a present copy, left its place. */
  readonly #guestLeftFor: Int32Array;
  readonly #copyLeftFor: Int32Array;
  #nextRank = 0;

  constructor(problem: PlacementProblem) {
    const { devices, neurons, applicants, guests } = problem;
    this.problem = problem;
    this.#free = Int32Array.from(devices, ({ roomMib }) => roomMib);
    this.#roomy = Int32Array.from(this.#free);
    this.#byFree = new FreeIndex(this.#free);
    this.#largestFree = new Int32Array(neurons.length);
    this.#places = applicants.map(() => undefined);
    this.#untouched = new Uint8Array(applicants.length);
    this.#leftEarly = new Uint8Array(applicants.length);
    this.#evicted = new Uint8Array(guests.length);
    this.#guestLeftFor = new Int32Array(guests.length).fill(NOBODY);
    this.#copyLeftFor = new Int32Array(applicants.length).fill(NOBODY);
    this.#rank = new Int32Array(applicants.length);
    this.#hosted = byNo(neurons.map(() => []));
    this.free = figures(this.#free);
    this.roomy = figures(this.#roomy);
    this.byFree = this.#byFree;
    this.largestFree = figures(this.#largestFree);
    this.places = byNo(this.#places);
    this.untouched = figures(this.#untouched);
    this.leftEarly = figures(this.#leftEarly);
    this.evicted = figures(this.#evicted);
    this.hosted = this.#hosted;
    this.rank = figures(this.#rank);
    this.guestsAt = this.#seatGuests();
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
    clone.adoptBeneficiaries(this);
    clone.#leftEarly.set(this.#leftEarly);
    for (const [guest, isEvicted] of this.evicted.entries())
      if (isEvicted === 1) clone.evict(guest, this.guestLeftFor(guest));
    return clone;
  }

  /** Leaves a present copy as it is loaded. */
  stay(applicant: ApplicantNo, home: Place): void {
    this.put(applicant, home);
    this.#untouched[applicant] = 1;
    this.#copyLeftFor[applicant] = NOBODY;
  }

  put(applicant: ApplicantNo, place: Place): void {
    this.#places[applicant] = place;
    this.#untouched[applicant] = 0;
    this.#rank[applicant] = this.#nextRank;
    this.#nextRank += 1;
    itemAt(this.#hosted, place.neuron).push(applicant);
    this.#shiftFree(place, -1);
    shift(this.#roomy, place, -1);
    this.#refresh(place.neuron);
  }

  /** Takes a copy off its place and returns the place. */
  lift(applicant: ApplicantNo): Place | undefined {
    const place = this.places[applicant];
    if (place === undefined) return undefined;
    this.#places[applicant] = undefined;
    this.#untouched[applicant] = 0;
    const hosted = itemAt(this.#hosted, place.neuron);
    hosted.splice(hosted.indexOf(applicant), 1);
    this.#shiftFree(place, 1);
    shift(this.#roomy, place, 1);
    this.#refresh(place.neuron);
    return place;
  }

  /** Takes a copy off its place for the sake of another one; for whom a present one left is kept in mind. */
  liftFor(applicant: ApplicantNo, inFavourOf: ApplicantNo): void {
    if (at(this.untouched, applicant) === 1) this.#copyLeftFor[applicant] = inFavourOf;
    this.lift(applicant);
  }

  /** Takes a copy down although it comes back to where it stands: another one has to be there first. */
  liftEarly(applicant: ApplicantNo, inFavourOf: ApplicantNo): void {
    this.#leftEarly[applicant] = 1;
    this.#copyLeftFor[applicant] = inFavourOf;
    this.lift(applicant);
  }

  /** Undoes a `lift`. */
  putBack(applicant: ApplicantNo, place: Place, wasUntouched: number): void {
    this.put(applicant, place);
    this.#untouched[applicant] = wasUntouched;
  }

  /** What is seen on the board while this copy is nowhere; afterwards all is as it was. */
  without<Seen>(applicant: ApplicantNo, look: () => Seen): Seen {
    const place = this.places[applicant];
    if (place === undefined) return look();
    const [untouched, rank] = [at(this.untouched, applicant), at(this.rank, applicant)];
    this.lift(applicant);
    try {
      return look();
    } finally {
      this.putBack(applicant, place, untouched);
      this.#rank[applicant] = rank;
    }
  }

  /** Asks a guest to leave; `inFavourOf` is undefined when it is not for one applicant. */
  evict(guest: GuestNo, inFavourOf: ApplicantNo | undefined): void {
    this.#setEvicted(guest, 1);
    this.noteGuestLeftFor(guest, inFavourOf);
  }

  readmit(guest: GuestNo): void {
    this.#setEvicted(guest, 0);
    this.noteGuestLeftFor(guest, undefined);
  }

  /** The applicant for which a guest left, where it is known. */
  guestLeftFor(guest: GuestNo): ApplicantNo | undefined {
    return somebody(this.#guestLeftFor[guest]);
  }

  /** The applicant for which a present copy left its home, where it is known. */
  copyLeftFor(applicant: ApplicantNo): ApplicantNo | undefined {
    return somebody(this.#copyLeftFor[applicant]);
  }

  noteGuestLeftFor(guest: GuestNo, inFavourOf: ApplicantNo | undefined): void {
    this.#guestLeftFor[guest] = inFavourOf ?? NOBODY;
  }

  noteCopyLeftFor(applicant: ApplicantNo, inFavourOf: ApplicantNo | undefined): void {
    this.#copyLeftFor[applicant] = inFavourOf ?? NOBODY;
  }

  /** Present copies left their homes for whom they left them on the other board. */
  adoptBeneficiaries(other: Board): void {
    this.#copyLeftFor.set(other.#copyLeftFor);
  }

  /** Whether the neuron has, or is to have, a copy of the model. */
  hosts(model: ProblemModel, neuron: NeuronNo): boolean {
    if (model.closed.has(neuron)) return true;
    for (const applicant of model.applicants) if (this.places[applicant]?.neuron === neuron) return true;
    return false;
  }

  modelOf(applicant: ApplicantNo): ProblemModel {
    return itemAt(this.problem.models, itemAt(this.problem.applicants, applicant).model);
  }

  /** Whether what is held there fits into what is free, device by device. */
  hasFree(place: Place): boolean {
    return place.devices.every((device, position) => at(this.free, device) >= shareAt(place, position));
  }

  /** The split that the neuron would make on these devices now. */
  split(model: ProblemModel, devices: readonly DeviceNo[]): readonly number[] {
    if (devices.length === 1) return [model.mib];
    const weights = devices.map((device) => Math.max(0, at(this.free, device)));
    const shares = splitByWeight(model.mib, devices, weights);
    return devices.map((device) => present(shares.get(device), "the share of device", device));
  }

  #seatGuests(): Board["guestsAt"] {
    const { neurons, guests } = this.problem;
    const guestsAt = byNo<NeuronNo, GuestNo[]>(neurons.map(() => []));
    for (const [guest, { place }] of guests.entries()) {
      itemAt(guestsAt, place.neuron).push(guest);
      this.#shiftFree(place, -1);
    }
    return guestsAt;
  }

  #setEvicted(guest: GuestNo, evicted: 0 | 1): void {
    const { place } = itemAt(this.problem.guests, guest);
    this.#evicted[guest] = evicted;
    this.#shiftFree(place, evicted === 1 ? 1 : -1);
    this.#refresh(place.neuron);
  }

  #shiftFree(place: Place, sign: 1 | -1): void {
    shift(this.#free, place, sign);
    for (const device of place.devices) this.#byFree.move(device, at(this.free, device));
  }

  #refresh(neuron: NeuronNo): void {
    const { firstDevice, deviceCount } = itemAt(this.problem.neurons, neuron);
    let largest = -1;
    for (let device: number = firstDevice; device < firstDevice + deviceCount; device += 1)
      largest = Math.max(largest, this.#free[device] as number);
    this.#largestFree[neuron] = largest;
  }
}

const somebody = (applicant: number | undefined): ApplicantNo | undefined =>
  applicant === NOBODY ? undefined : (applicant as ApplicantNo | undefined);

function shift(memory: Int32Array, place: Place, sign: 1 | -1): void {
  for (const [position, device] of place.devices.entries())
    memory[device] = (memory[device] as number) + sign * shareAt(place, position);
}

type Site = Pick<Place, "neuron" | "devices">;

/** Whether both are the same devices, whatever is held on them. */
export const isSamePlace = (left: Site, right: Site): boolean =>
  left.neuron === right.neuron &&
  left.devices.length === right.devices.length &&
  left.devices.every((device) => right.devices.includes(device));

/** MiB of a place on one device; 0 when the device is none of its own. */
export const shareOn = (place: Place | undefined, device: DeviceNo): number =>
  place?.mib[place.devices.indexOf(device)] ?? 0;

/** Copies that come, or come anew, to some of these devices, the largest first. */
export const newcomersOn = (board: Board, { neuron, devices }: Site): ApplicantNo[] =>
  itemAt(board.hosted, neuron)
    .filter((applicant) => at(board.untouched, applicant) === 0)
    .filter((applicant) => board.places[applicant]?.devices.some((device) => devices.includes(device)))
    .toSorted((left, right) => board.modelOf(right).mib - board.modelOf(left).mib || left - right);

/** Sets of devices worth trying: each eligible one, or neighbours by free memory for wide models. */
export function windowsOn(board: Board, prospect: Prospect): readonly (readonly DeviceNo[])[] {
  const { model, neuron } = prospect;
  const { problem, free } = board;
  if (model.width === 1 && model.floorMib === 0) return itemAt(problem.singles, neuron);
  const eligible = eligibleOn(problem, prospect).sort(
    (left, right) => at(free, right) - at(free, left) || left - right,
  );
  return eligible
    .slice(0, eligible.length - model.width + 1)
    .map((_, start) => eligible.slice(start, start + model.width).sort((left, right) => left - right));
}
