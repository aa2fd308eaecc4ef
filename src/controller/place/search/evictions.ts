import { shareOn, windowsOn, type Board } from "../board/board.ts";
import { choiceOn, type Choice } from "../board/choice.ts";
import { compareCosts } from "../board/compare-costs.ts";
import { Journal } from "./journal.ts";
import {
  at,
  itemAt,
  type ApplicantNo,
  type DeviceNo,
  type GuestNo,
  type NeuronNo,
} from "../board/numbers.ts";
import { devicesOf, type Guest, type ProblemModel } from "../board/problem.ts";

/*
 * Room by asking others to leave: guests (models on demand) of its own class or lower, as few and as little as will
 * do; and residents of a strictly lower class, who are applicants again afterwards. Every victim that turns out not to
 * be needed is spared, those that matter most first.
 */
export class Evictions {
  readonly #board: Board;
  readonly #journal: Journal;
  readonly #lowestClass: number;

  constructor(board: Board) {
    this.#board = board;
    this.#journal = new Journal(board);
    this.#lowestClass = Math.min(...new Set(board.problem.models.map(({ priority }) => priority)));
  }

  /** Asks guests to leave; false when that does not help. */
  placeBesideGuests(applicant: ApplicantNo, onlyNeuron?: NeuronNo): boolean {
    let best: GuestOffer | undefined;
    for (const neuron of this.#neuronsFor(this.#board.modelOf(applicant))) {
      if (onlyNeuron !== undefined && neuron !== onlyNeuron) continue;
      best = cheaperOffer(best, this.#withoutGuests(applicant, neuron));
    }
    if (best === undefined) return false;
    for (const guest of best.guests) this.#board.evict(guest, applicant);
    this.#board.put(applicant, best.choice.place);
    return true;
  }

  #withoutGuests(applicant: ApplicantNo, neuron: NeuronNo): GuestOffer | undefined {
    const board = this.#board;
    const model = board.modelOf(applicant);
    // Nobody is asked to leave for a model that may turn out to be small.
    if (!model.sizeKnown) return undefined;
    const guests = this.#evictable(neuron, model.priority);
    if (guests.length === 0) return undefined;
    const left: GuestNo[] = [];
    const fits = (): Choice | undefined => choiceOn(board, { model, neuron }, { style: "spread" });
    for (const guest of guests) {
      if (fits() !== undefined) break;
      board.evict(guest, applicant);
      left.push(guest);
    }
    const needed = fits() === undefined ? undefined : this.#spareGuests(left, { applicant, fits });
    const choice = needed === undefined ? undefined : fits();
    for (const guest of left) if (at(board.evicted, guest) === 1) board.readmit(guest);
    if (needed === undefined || choice === undefined) return undefined;
    const cost = needed.reduce((total, guest) => total + 1 + this.#guestMib(guest), 0);
    return { guests: needed, choice, cost };
  }

  #spareGuests(left: readonly GuestNo[], { applicant, fits }: Attempt): GuestNo[] {
    const needed: GuestNo[] = [];
    for (const guest of left.toReversed()) {
      this.#board.readmit(guest);
      if (fits() !== undefined) continue;
      this.#board.evict(guest, applicant);
      needed.push(guest);
    }
    return needed.toReversed();
  }

  #guestMib(guest: GuestNo): number {
    return itemAt(this.#board.problem.guests, guest).place.mib.reduce((total, mib) => total + mib, 0);
  }

  #evictable(neuron: NeuronNo, priority: number): GuestNo[] {
    const guestOf = (guest: GuestNo): Guest => itemAt(this.#board.problem.guests, guest);
    return itemAt(this.#board.guestsAt, neuron)
      .filter((guest) => at(this.#board.evicted, guest) === 0 && guestOf(guest).priority <= priority)
      .toSorted((left, right) => {
        const [first, second] = [guestOf(left), guestOf(right)];
        return first.priority - second.priority || first.lastUsedMs - second.lastUsedMs || left - right;
      });
  }

  /** Takes the place of residents of a lower class; returns who had to leave, or undefined when that does not help. */
  placeByClass(applicant: ApplicantNo): readonly ApplicantNo[] | undefined {
    const model = this.#board.modelOf(applicant);
    if (!model.sizeKnown || model.priority === this.#lowestClass) return undefined;
    let best: Eviction | undefined;
    for (const neuron of this.#neuronsFor(model)) {
      const scopes =
        model.width === 1
          ? windowsOn(this.#board, { model, neuron })
          : [devicesOf(this.#board.problem, neuron)];
      for (const scope of scopes) {
        const offer = this.#displacing(applicant, { neuron, scope });
        if (offer !== undefined && (best === undefined || compareCosts(offer.cost, best.cost) < 0))
          best = offer;
      }
    }
    if (best === undefined) return undefined;
    this.#carryOut(applicant, best);
    return best.victims;
  }

  #carryOut(applicant: ApplicantNo, { guests, victims, choice }: Eviction): void {
    for (const guest of guests) this.#board.evict(guest, applicant);
    for (const victim of victims) this.#board.liftFor(victim, applicant);
    this.#board.put(applicant, choice.place);
  }

  #displacing(applicant: ApplicantNo, { neuron, scope }: Corner): Eviction | undefined {
    const board = this.#board;
    const model = board.modelOf(applicant);
    const victims = this.#displaceable({ neuron, scope }, model.priority);
    if (victims.length === 0) return undefined;
    const guests = this.#evictable(neuron, model.priority);
    for (const guest of guests) board.evict(guest, applicant);
    const fits = (): Choice | undefined => {
      const choice = choiceOn(board, { model, neuron }, { style: "tight" });
      return choice?.place.devices.every((device) => scope.includes(device)) === true ? choice : undefined;
    };
    // The fewest: large ones first. The least: small ones first.
    const smallestFirst = victims.toSorted(
      (left, right) => board.modelOf(left).mib - board.modelOf(right).mib,
    );
    const offers = [victims, smallestFirst].flatMap((order) => {
      const mark = this.#journal.mark();
      const needed = this.#leastOf(order, { applicant, fits });
      const choice = needed === undefined ? undefined : fits();
      const leaving = needed === undefined ? [] : this.#spareGuests(guests, { applicant, fits });
      for (const guest of leaving) board.readmit(guest);
      for (const guest of guests) if (at(board.evicted, guest) === 0) board.evict(guest, applicant);
      this.#journal.undoTo(mark);
      if (needed === undefined || choice === undefined) return [];
      return [{ victims: needed, guests: leaving, choice, cost: this.#costOf(needed, leaving) }];
    });
    for (const guest of guests) board.readmit(guest);
    return offers.sort((left, right) => compareCosts(left.cost, right.cost))[0];
  }

  /** Lifts one after the other until it fits, and puts back whoever turns out not to be needed. */
  #leastOf(victims: readonly ApplicantNo[], { applicant, fits }: Attempt): ApplicantNo[] | undefined {
    const taken: ApplicantNo[] = [];
    for (const victim of victims) {
      if (fits() !== undefined) break;
      this.#journal.lift(victim, applicant);
      taken.push(victim);
    }
    return fits() === undefined || taken.length === 0 ? undefined : this.#spare(taken, fits);
  }

  #spare(taken: readonly ApplicantNo[], fits: () => Choice | undefined): ApplicantNo[] {
    const needed: ApplicantNo[] = [];
    for (const victim of taken.toReversed()) {
      const mark = this.#journal.mark();
      this.#journal.restore(victim);
      if (fits() !== undefined) continue;
      this.#journal.undoTo(mark);
      needed.push(victim);
    }
    return needed.toReversed();
  }

  #displaceable({ neuron, scope }: Corner, priority: number): ApplicantNo[] {
    const board = this.#board;
    return itemAt(board.hosted, neuron)
      .filter((applicant) => board.modelOf(applicant).priority < priority)
      .filter(
        (applicant) =>
          at(board.untouched, applicant) === 0 || itemAt(board.problem.applicants, applicant).movable,
      )
      .filter((applicant) => scope.some((device) => shareOn(board.places[applicant], device) > 0))
      .toSorted(
        (left, right) =>
          board.modelOf(left).priority - board.modelOf(right).priority ||
          at(board.untouched, left) - at(board.untouched, right) ||
          board.modelOf(right).mib - board.modelOf(left).mib ||
          left - right,
      );
  }

  #costOf(victims: readonly ApplicantNo[], guests: readonly GuestNo[]): number[] {
    const models = victims.map((victim) => this.#board.modelOf(victim));
    const classes = models.map(({ priority }) => priority);
    const present = victims.filter((victim) => at(this.#board.untouched, victim) === 1).length;
    const heldMib = models.reduce((total, { mib }) => total + mib, 0);
    return [Math.max(0, ...classes), victims.length, present, guests.length, heldMib];
  }

  *#neuronsFor(model: ProblemModel): Generator<NeuronNo> {
    for (const neuron of model.open.keys())
      if (at(model.open, neuron) === 1 && !this.#board.hosts(model, neuron)) yield neuron;
  }
}

/** For whom room is made, and the place that there is for it once there is enough. */
interface Attempt {
  readonly applicant: ApplicantNo;
  readonly fits: () => Choice | undefined;
}

/** Devices of a neuron on which somebody may have to leave. */
interface Corner {
  readonly neuron: NeuronNo;
  readonly scope: readonly DeviceNo[];
}

interface GuestOffer {
  readonly guests: readonly GuestNo[];
  readonly choice: Choice;
  readonly cost: number;
}

/** The one that asks less of guests, then the one that leaves more free, then the earlier one. */
function cheaperOffer(best: GuestOffer | undefined, offer: GuestOffer | undefined): GuestOffer | undefined {
  if (best === undefined || offer === undefined) return best ?? offer;
  const order = offer.cost - best.cost || best.choice.freeAfterMib - offer.choice.freeAfterMib;
  return order < 0 ? offer : best;
}

interface Eviction {
  readonly victims: readonly ApplicantNo[];
  readonly guests: readonly GuestNo[];
  readonly choice: Choice;
  readonly cost: readonly number[];
}
