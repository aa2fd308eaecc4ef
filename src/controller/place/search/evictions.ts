import { at, shareOn, windowsOn, type Board } from "../board/board.ts";
import { choiceOn, type Choice } from "../board/choice.ts";
import { compareCosts } from "../board/compare-costs.ts";
import { Journal } from "./journal.ts";
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
  placeBesideGuests(applicant: number, onlyNeuron?: number): boolean {
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

  #withoutGuests(applicant: number, neuron: number): GuestOffer | undefined {
    const board = this.#board;
    const model = board.modelOf(applicant);
    // Nobody is asked to leave for a model that may turn out to be small.
    if (!model.sizeKnown) return undefined;
    const guests = this.#evictable(neuron, model.priority);
    if (guests.length === 0) return undefined;
    const left: number[] = [];
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

  #spareGuests(
    left: readonly number[],
    { applicant, fits }: { readonly applicant: number; readonly fits: () => Choice | undefined },
  ): number[] {
    const needed: number[] = [];
    for (const guest of left.toReversed()) {
      this.#board.readmit(guest);
      if (fits() !== undefined) continue;
      this.#board.evict(guest, applicant);
      needed.push(guest);
    }
    return needed.toReversed();
  }

  #guestMib(guest: number): number {
    return (this.#board.problem.guests[guest]?.place.mib ?? []).reduce((total, mib) => total + mib, 0);
  }

  #evictable(neuron: number, priority: number): number[] {
    const guestOf = (number: number): Guest => this.#board.problem.guests[number] as Guest;
    return (this.#board.guestsAt[neuron] ?? [])
      .filter((number) => at(this.#board.evicted, number) === 0 && guestOf(number).priority <= priority)
      .toSorted((left, right) => {
        const [first, second] = [guestOf(left), guestOf(right)];
        return first.priority - second.priority || first.lastUsedMs - second.lastUsedMs || left - right;
      });
  }

  /** Takes the place of residents of a lower class; returns who had to leave, or undefined when that does not help. */
  placeByClass(applicant: number): readonly number[] | undefined {
    const model = this.#board.modelOf(applicant);
    if (!model.sizeKnown || model.priority === this.#lowestClass) return undefined;
    let best: Eviction | undefined;
    for (const neuron of this.#neuronsFor(model)) {
      const scopes =
        model.width === 1 ? windowsOn(this.#board, model, neuron) : [devicesOf(this.#board.problem, neuron)];
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

  #carryOut(applicant: number, { guests, victims, choice }: Eviction): void {
    for (const guest of guests) this.#board.evict(guest, applicant);
    for (const victim of victims) {
      if (at(this.#board.untouched, victim) === 1) this.#board.copyLeftFor[victim] = applicant;
      this.#board.lift(victim);
    }
    this.#board.put(applicant, choice.place);
  }

  #displacing(
    applicant: number,
    { neuron, scope }: { readonly neuron: number; readonly scope: readonly number[] },
  ): Eviction | undefined {
    const board = this.#board;
    const model = board.modelOf(applicant);
    const victims = this.#displaceable(neuron, { scope, priority: model.priority });
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
  #leastOf(
    victims: readonly number[],
    { applicant, fits }: { readonly applicant: number; readonly fits: () => Choice | undefined },
  ): number[] | undefined {
    const taken: number[] = [];
    for (const victim of victims) {
      if (fits() !== undefined) break;
      this.#journal.lift(victim, applicant);
      taken.push(victim);
    }
    return fits() === undefined || taken.length === 0 ? undefined : this.#spare(taken, fits);
  }

  #spare(taken: readonly number[], fits: () => Choice | undefined): number[] {
    const needed: number[] = [];
    for (const victim of taken.toReversed()) {
      const mark = this.#journal.mark();
      this.#journal.restore(victim);
      if (fits() !== undefined) continue;
      this.#journal.undoTo(mark);
      needed.push(victim);
    }
    return needed.toReversed();
  }

  #displaceable(
    neuron: number,
    { scope, priority }: { readonly scope: readonly number[]; readonly priority: number },
  ): number[] {
    const board = this.#board;
    return (board.hosted[neuron] ?? [])
      .filter((applicant) => board.modelOf(applicant).priority < priority)
      .filter(
        (applicant) =>
          at(board.untouched, applicant) === 0 || board.problem.applicants[applicant]?.movable === true,
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

  #costOf(victims: readonly number[], guests: readonly number[]): number[] {
    const models = victims.map((victim) => this.#board.modelOf(victim));
    const classes = models.map(({ priority }) => priority);
    const present = victims.filter((victim) => at(this.#board.untouched, victim) === 1).length;
    const heldMib = models.reduce((total, { mib }) => total + mib, 0);
    return [Math.max(0, ...classes), victims.length, present, guests.length, heldMib];
  }

  *#neuronsFor(model: ProblemModel): Generator<number> {
    for (let neuron = 0; neuron < model.open.length; neuron += 1)
      if (at(model.open, neuron) === 1 && !this.#board.hosts(model, neuron)) yield neuron;
  }
}

interface GuestOffer {
  readonly guests: readonly number[];
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
  readonly victims: readonly number[];
  readonly guests: readonly number[];
  readonly choice: Choice;
  readonly cost: readonly number[];
}
