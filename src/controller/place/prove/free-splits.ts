import { type Board, isSamePlace, shareOn } from "../board/board.ts";
import { at, itemAt, type ApplicantNo, type DeviceNo, type NeuronNo } from "../board/numbers.ts";
import { devicesOf, type Place, type ProblemModel } from "../board/problem.ts";
import { demandOf, orderOfLoads, sharesExist, type Effort, type Load } from "../search/load-order.ts";

/*
 * How a complete search counts spread copies that come: what each takes of which device depends on the order of the
 * loads, and that is not known before all of them have their devices. So they take nothing on the board, and a
 * placement is pursued while there are any shares at all with which they fit beside the others. Once everybody has a
 * place, each neuron is asked for a real order of its loads.
 */
export class FreeSplits {
  readonly #board: Board;
  readonly #effort: Effort;
  readonly #devices: readonly (readonly DeviceNo[])[];
  /** Whether there is an order, by all that it depends on. */
  readonly #known = new Map<string, boolean>();

  /** `board`: changes as the search goes on. */
  constructor(board: Board, effort: Effort) {
    this.#board = board;
    this.#effort = effort;
    this.#devices = board.problem.neurons.map((_, neuron) => devicesOf(board.problem, neuron));
  }

  /** What a copy that comes takes on the board. */
  sharesOf = ({ width, mib }: ProblemModel, devices: readonly DeviceNo[]): readonly number[] =>
    width === 1 ? [mib] : devices.map(() => 0);

  /** Whether all that has its devices on this neuron can fit. */
  fitOn(neuron: NeuronNo): boolean {
    return this.#fit(neuron, undefined);
  }

  /** The same beside somebody who is not on the board. */
  fitBeside(place: Place): boolean {
    return this.#fit(place.neuron, place);
  }

  #fit(neuron: NeuronNo, other: Place | undefined): boolean {
    const spread = this.#spreadOn(neuron);
    if (spread.length === 0) return true;
    const free = this.devicesOf(neuron).map(
      (device) => at(this.#board.free, device) - shareOn(other, device),
    );
    return sharesExist(
      free,
      spread.map((applicant) => demandOf(this.#loadOf(applicant, neuron))),
    );
  }

  /** The copies that come and share this device: by them, and by what is free, it is told apart from others. */
  guestsOf(device: DeviceNo): string {
    const { neuron } = itemAt(this.#board.problem.devices, device);
    return this.#spreadOn(neuron)
      .filter((applicant) => this.#board.places[applicant]?.devices.includes(device))
      .join("+");
  }

  /** Whether every neuron can load what comes to it in some order. Without effort left, a no means nothing. */
  canBeLoaded(): boolean {
    return this.#board.problem.neurons.every((_, neuron) => this.#canLoad(neuron));
  }

  #canLoad(neuron: NeuronNo): boolean {
    if (this.#spreadOn(neuron).length === 0) return true;
    const arrivals = this.#arrivalsOn(neuron).toSorted((left, right) => left - right);
    const devices = this.devicesOf(neuron);
    const free = devices.map((device) => at(this.#board.free, device));
    const places = arrivals.map(
      (applicant) => `${applicant}:${this.#board.places[applicant]?.devices.join("+")}`,
    );
    const key = `${places.join(" ")}/${free.join(" ")}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const loads = arrivals.map((applicant) => this.#loadOf(applicant, neuron));
    for (const applicant of arrivals) this.#takeOff(free, applicant, neuron);
    for (const { renews } of loads)
      for (const [position, mib] of (renews ?? []).entries()) free[position] = (free[position] ?? 0) - mib;
    const can = orderOfLoads(free, loads, this.#effort) !== undefined;
    this.#known.set(key, can);
    return can;
  }

  /** Before anybody came. */
  #takeOff(free: number[], applicant: ApplicantNo, neuron: NeuronNo): void {
    const place = this.#board.places[applicant];
    for (const [position, device] of this.devicesOf(neuron).entries())
      free[position] = (free[position] ?? 0) + shareOn(place, device);
  }

  #loadOf(applicant: ApplicantNo, neuron: NeuronNo): Load {
    const { mib, sizeKnown } = this.#board.modelOf(applicant);
    const place = this.#board.places[applicant];
    const { home } = itemAt(this.#board.problem.applicants, applicant);
    const all = this.devicesOf(neuron);
    const isRenewal = home !== null && place !== undefined && !home.current && isSamePlace(home.place, place);
    return {
      devices: (place?.devices ?? []).map((device) => all.indexOf(device)),
      mib,
      sizeKnown,
      renews: isRenewal ? all.map((device) => shareOn(home.place, device)) : undefined,
    };
  }

  devicesOf(neuron: NeuronNo): readonly DeviceNo[] {
    return this.#devices[neuron] ?? [];
  }

  #arrivalsOn(neuron: NeuronNo): ApplicantNo[] {
    return itemAt(this.#board.hosted, neuron).filter(
      (applicant) => at(this.#board.untouched, applicant) === 0,
    );
  }

  #spreadOn(neuron: NeuronNo): ApplicantNo[] {
    return this.#arrivalsOn(neuron).filter((applicant) => this.#board.modelOf(applicant).width > 1);
  }
}
