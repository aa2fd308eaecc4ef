/**
 * Things that come and go by the thousand in a second, in no order.
 *
 * A Set would do, if it were not for the collector: a Set whose entries come and go makes itself a new table every now
 * and then, and the old one points to the new one. One such table that got old keeps all that follow from dying young,
 * with all that they hold: of every request of a busy gateway 12 KB grew old that way, a fifth of its processor time went
 * into collecting them, and its memory grew to three times what it used.
 */
export class Roster<Item> {
  readonly #seats: Seat<Item>[] = [];

  get size(): number {
    return this.#seats.length;
  }

  /** What is returned takes it out again. */
  add(item: Item): Seat<Item> {
    const seat = { item, at: this.#seats.length };
    this.#seats.push(seat);
    return seat;
  }

  /** Again is no harm. */
  remove(seat: Seat<Item>): void {
    if (this.#seats[seat.at] !== seat) return;
    const last = this.#seats.pop();
    if (last === undefined || last === seat) return;
    this.#seats[seat.at] = last;
    last.at = seat.at;
  }

  /** Whoever leaves meanwhile is left out, or not; whoever comes meanwhile is left out; everybody else has a turn. */
  forEach(visit: (item: Item) => void): void {
    for (let at = this.#seats.length - 1; at >= 0; at -= 1) {
      const seat = this.#seats[at];
      if (seat !== undefined) visit(seat.item);
    }
  }
}

export interface Seat<Item> {
  readonly item: Item;
  at: number;
}
