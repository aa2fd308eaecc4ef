import { at, shareOn, type Board } from "../board/board.ts";
import { combinations, devicesOf, type Applicant, type Place, type ProblemModel } from "../board/problem.ts";
import { suggestionOf } from "../search/suggestion.ts";
import { classesOf, moveCost, TIER, TIERS_PER_CLASS } from "../board/tiers.ts";
import type { SuggestedCopy } from "../board/placement.ts";

/*
 * Placement as a mixed integer programme, for a solver. One variable says for each copy and each place it could have
 * whether it has it; one for each guest, whether it leaves; one for each model, whether it is without a copy. A copy on
 * several devices may take any share of each, which is more than a neuron allows, so no placement is better than the
 * programme's optimum. The objectives are the tiers, to be minimised one after another, each without giving up what
 * the earlier ones reached.
 *
 * A scope makes it small enough for large fleets: only copies and neurons of the scope take part, the rest stays.
 */

export interface ProgrammeRow {
  readonly columns: readonly number[];
  readonly values: readonly number[];
  readonly lower: number;
  readonly upper: number;
}

export interface Objective {
  readonly columns: readonly number[];
  readonly values: readonly number[];
  /** What is counted whatever is decided. */
  readonly constant: number;
}

/** Plain data, so that it can be sent to another thread. Columns from 0 to `binaries` - 1 are 0 or 1, others MiB. */
export interface Programme {
  readonly binaries: number;
  readonly upper: readonly number[];
  readonly rows: readonly ProgrammeRow[];
  /** In the order of the tiers. */
  readonly objectives: readonly Objective[];
  /** Values of the columns for the placement that is known already; null when the programme cannot say it. */
  readonly start: readonly number[] | null;
}

/** What a solver says of a programme. */
export interface ProgrammeSolution {
  /** Values of the columns; null when nothing was found. */
  readonly columns: readonly number[] | null;
  /** The least that each objective can be, as far as that was proved, in their order. */
  readonly proved: readonly number[];
}

export interface Scope {
  readonly applicants: ReadonlySet<number>;
  readonly neurons: ReadonlySet<number>;
}

/** A place that a copy could have, and the column that says so. */
interface Option {
  readonly applicant: number;
  readonly column: number;
  readonly neuron: number;
  readonly devices: readonly number[];
  /** The copy stays exactly as it is loaded. */
  readonly stays: boolean;
  /** Fixed shares; null where the solver divides. */
  readonly mib: readonly number[] | null;
}

export class PlacementProgramme {
  readonly programme: Programme;
  readonly #board: Board;
  readonly #scope: Scope;
  readonly #options: Option[] = [];
  readonly #rows: ProgrammeRow[] = [];
  readonly #upper: number[] = [];
  readonly #guests = new Map<number, number>();
  readonly #without = new Map<ProblemModel, number>();
  /** Columns of what a spread copy takes from each device. */
  readonly #shares = new Map<Option, readonly (readonly [device: number, column: number])[]>();

  constructor(board: Board, scope: Scope) {
    this.#board = board;
    this.#scope = scope;
    for (const applicant of scope.applicants) this.#addOptions(applicant);
    for (const [guest, { place }] of board.problem.guests.entries())
      if (scope.neurons.has(place.neuron)) this.#guests.set(guest, this.#column(1));
    for (const applicant of scope.applicants) this.#addModel(board.modelOf(applicant));
    const binaries = this.#upper.length;
    this.#addCopyRows();
    this.#addDeviceRows();
    const [upper, rows] = [this.#upper, this.#rows];
    this.programme = { binaries, upper, rows, objectives: this.#objectives(), start: this.#start() };
  }

  /** The placement as it is on the board. */
  #start(): number[] | null {
    const { places, untouched, evicted } = this.#board;
    const start = this.#upper.map(() => 0);
    for (const applicant of this.#scope.applicants) {
      const place = places[applicant];
      if (place === undefined) continue;
      const option = this.#options.find(
        (candidate) =>
          candidate.applicant === applicant &&
          candidate.stays === (at(untouched, applicant) === 1) &&
          candidate.neuron === place.neuron &&
          candidate.devices.join() === place.devices.join(),
      );
      if (option === undefined) return null;
      start[option.column] = 1;
      for (const [device, column] of this.#shares.get(option) ?? []) start[column] = shareOn(place, device);
    }
    for (const [guest, column] of this.#guests) start[column] = at(evicted, guest);
    for (const [model, column] of this.#without)
      start[column] = model.applicants.every((applicant) => places[applicant] === undefined) ? 1 : 0;
    return start;
  }

  /** Where the solution has the copies of the scope, and all others where they are. */
  suggestion({ columns }: ProgrammeSolution): SuggestedCopy[] {
    const { places } = this.#board;
    const chosen = this.#options.filter(({ column }) => (columns?.[column] ?? 0) > 0.5);
    const rest = [...places.entries()].flatMap(([applicant, place]) =>
      place === undefined || this.#scope.applicants.has(applicant) ? [] : [{ ...place, applicant }],
    );
    return suggestionOf(this.#board, [...rest, ...chosen]);
  }

  #column(upper: number): number {
    this.#upper.push(upper);
    return this.#upper.length - 1;
  }

  #addOptions(applicant: number): void {
    const { home, movable } = this.#board.problem.applicants[applicant] as Applicant;
    if (home !== null) this.#option(applicant, { ...home.place, stays: true });
    if (home !== null && !movable && home.current) return;
    const model = this.#board.modelOf(applicant);
    for (const neuron of this.#scope.neurons) {
      if (at(model.open, neuron) === 0 || this.#isTaken(model, neuron)) continue;
      const mib = model.width === 1 ? [Math.max(model.mib, model.sizeKnown ? 0 : 1)] : null;
      for (const devices of combinations(this.#eligible(model, neuron), model.width))
        this.#option(applicant, { neuron, devices, mib, stays: false });
    }
  }

  #eligible(model: ProblemModel, neuron: number): number[] {
    const { problem } = this.#board;
    return devicesOf(problem, neuron).filter(
      (device) => (problem.devices[device]?.totalMib ?? 0) >= model.floorMib,
    );
  }

  #option(applicant: number, option: Omit<Option, "applicant" | "column">): void {
    this.#options.push({ applicant, column: this.#column(1), ...option });
  }

  /** By a copy that is no part of the scope, or that nobody manages. */
  #isTaken(model: ProblemModel, neuron: number): boolean {
    if (model.closed.has(neuron)) return true;
    return model.applicants.some(
      (other) => !this.#scope.applicants.has(other) && this.#board.places[other]?.neuron === neuron,
    );
  }

  #addModel(model: ProblemModel): void {
    const isServed = model.applicants.some(
      (applicant) => !this.#scope.applicants.has(applicant) && this.#board.places[applicant] !== undefined,
    );
    if (isServed || this.#without.has(model)) return;
    this.#without.set(model, this.#column(1));
  }

  /** One place for each copy, one copy of a model on each neuron, and when a model is without any. */
  #addCopyRows(): void {
    for (const [applicant, options] of Map.groupBy(this.#options, (option) => option.applicant)) {
      const { home, movable } = this.#board.problem.applicants[applicant] as Applicant;
      const isHeld = home !== null && !movable;
      this.#row(options.map(columnOf), { lower: isHeld ? 1 : 0, upper: 1 });
    }
    const byModel = Map.groupBy(this.#options, ({ applicant }) => this.#board.modelOf(applicant));
    for (const [model, options] of byModel) {
      const neurons = model.applicants.length > 1 ? Map.groupBy(options, ({ neuron }) => neuron) : new Map();
      for (const there of neurons.values())
        this.#row((there as Option[]).map(columnOf), { lower: 0, upper: 1 });
    }
    for (const [model, column] of this.#without) {
      const options = byModel.get(model) ?? [];
      this.#row([column, ...options.map(columnOf)], { lower: 1, upper: options.length + 1 });
    }
  }

  /** What is promised on a device is there. */
  #addDeviceRows(): void {
    const held = new Map<number, { readonly column: number; readonly mib: number }[]>();
    const hold = (device: number, column: number, mib: number): void => {
      const there = held.get(device);
      if (there === undefined) held.set(device, [{ column, mib }]);
      else there.push({ column, mib });
    };
    for (const option of this.#options) {
      for (const [position, device] of option.devices.entries()) {
        if (option.mib !== null) hold(device, option.column, option.mib[position] ?? 0);
      }
      if (option.mib === null) for (const [device, column] of this.#divide(option)) hold(device, column, 1);
    }
    for (const neuron of this.#scope.neurons) {
      for (const device of devicesOf(this.#board.problem, neuron)) {
        const rows = held.get(device) ?? [];
        const { roomMib, returns } = this.#roomOn(device);
        const columns = [...rows.map(({ column }) => column), ...returns.map(({ column }) => column)];
        const values = [...rows.map(({ mib }) => mib), ...returns.map(({ mib }) => -mib)];
        if (columns.length > 0) this.#rows.push({ columns, values, lower: -Infinity, upper: roomMib });
      }
    }
  }

  /** A share of at least 1 MiB on each device, all of them together as much as the model needs. */
  #divide(option: Option): [device: number, column: number][] {
    const { column, applicant, devices } = option;
    const mib = Math.max(1, this.#board.modelOf(applicant).mib);
    const shares = devices.map((device) => [device, this.#column(mib)] as [number, number]);
    this.#rows.push({
      columns: [...shares.map(([, share]) => share), column],
      values: [...shares.map(() => 1), -mib],
      lower: 0,
      upper: 0,
    });
    for (const [, share] of shares)
      this.#rows.push({ columns: [share, column], values: [1, -1], lower: 0, upper: Infinity });
    this.#shares.set(option, shares);
    return shares;
  }

  /** What is free without the copies of the scope, guests in place; and what each guest gives back. */
  #roomOn(device: number): { roomMib: number; returns: { column: number; mib: number }[] } {
    const { free, places, problem, evicted } = this.#board;
    let roomMib = at(free, device);
    for (const applicant of this.#scope.applicants) roomMib += shareOn(places[applicant], device);
    const returns: { column: number; mib: number }[] = [];
    for (const [guest, column] of this.#guests) {
      const mib = shareOn(problem.guests[guest]?.place, device);
      if (mib === 0) continue;
      if (at(evicted, guest) === 1) roomMib -= mib;
      returns.push({ column, mib });
    }
    // Who is held where he is may hold more than there is.
    const forced = this.#options.filter(({ applicant, stays }) => stays && this.#isHeld(applicant));
    const forcedMib = forced.reduce(
      (total, { devices, mib }) => total + (mib?.[devices.indexOf(device)] ?? 0),
      0,
    );
    return { roomMib: Math.max(roomMib, forcedMib), returns };
  }

  #isHeld(applicant: number): boolean {
    const { home, movable } = this.#board.problem.applicants[applicant] as Applicant;
    return home !== null && !movable;
  }

  #row(columns: readonly number[], limits: { readonly lower: number; readonly upper: number }): void {
    if (columns.length > 0) this.#rows.push({ columns, values: columns.map(() => 1), ...limits });
  }

  #objectives(): Objective[] {
    const classes = classesOf(this.#board.problem);
    const terms = Array.from({ length: classes.length * TIERS_PER_CLASS }, () => new Map<number, number>());
    const constants = terms.map(() => 0);
    const rankOf = new Map(classes.map((priority, rank) => [priority, rank * TIERS_PER_CLASS]));
    const add = (
      where: { readonly priority: number; readonly tier: number },
      column: number,
      value: number,
    ) => {
      const position = (rankOf.get(where.priority) ?? 0) + where.tier;
      if (column === -1) constants[position] = (constants[position] ?? 0) + value;
      else terms[position]?.set(column, (terms[position]?.get(column) ?? 0) + value);
    };
    for (const applicant of this.#scope.applicants) {
      const { priority } = this.#board.modelOf(applicant);
      add({ priority, tier: TIER.missing }, -1, 1);
      if (this.#board.problem.applicants[applicant]?.home !== null) add({ priority, tier: TIER.lost }, -1, 1);
    }
    for (const option of this.#options) {
      const { priority } = this.#board.modelOf(option.applicant);
      for (const [tier, value] of this.#worthOf(option)) add({ priority, tier }, option.column, value);
    }
    for (const [{ priority }, column] of this.#without) add({ priority, tier: TIER.without }, column, 1);
    for (const [guest, column] of this.#guests) {
      const { priority, place } = this.#board.problem.guests[guest] ?? { priority: 0, place: undefined };
      add({ priority, tier: TIER.guests }, column, 1);
      add({ priority, tier: TIER.guestMib }, column, sum(place?.mib ?? []));
    }
    return terms.map((term, position) => ({
      columns: [...term.keys()],
      values: [...term.values()],
      constant: constants[position] ?? 0,
    }));
  }

  /** What choosing a place adds to each tier. */
  #worthOf({ applicant, neuron, devices, mib, stays }: Option): [tier: number, value: number][] {
    const home = this.#board.problem.applicants[applicant]?.home ?? null;
    const placed: [number, number][] = [[TIER.missing, -1]];
    if (home === null) return placed;
    placed.push([TIER.lost, -1]);
    if (stays) placed.push([TIER.outdated, home.current ? 0 : 1]);
    else placed.push([TIER.moved, moveCost(home, { neuron, devices, mib: mib ?? [] } satisfies Place)]);
    return placed;
  }
}

const columnOf = ({ column }: Option): number => column;
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
