import { shareOn, type Board } from "../board/board.ts";
import { suggestionOf } from "../search/suggestion.ts";
import { moveCost, noCost, TIER, tierOffsets } from "../board/tiers.ts";
import type { SuggestedCopy } from "../board/placement.ts";
import { present } from "../../../core/present.ts";
import {
  at,
  itemAt,
  type ApplicantNo,
  type DeviceNo,
  type GuestNo,
  type NeuronNo,
} from "../board/numbers.ts";
import { combinations, devicesOf, eligibleOn, shareAt, type ProblemModel } from "../board/problem.ts";

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
  readonly applicants: ReadonlySet<ApplicantNo>;
  readonly neurons: ReadonlySet<NeuronNo>;
}

/** A place that a copy could have, and the column that says so. */
interface Option {
  readonly applicant: ApplicantNo;
  readonly column: number;
  readonly neuron: NeuronNo;
  readonly devices: readonly DeviceNo[];
  /** The copy stays exactly as it is loaded. */
  readonly stays: boolean;
  /** Fixed shares; null where the solver divides. */
  readonly mib: readonly number[] | null;
}

/** The column of what a spread copy takes from a device. */
interface ShareColumn {
  readonly device: DeviceNo;
  readonly column: number;
}

interface TierOfClass {
  readonly priority: number;
  readonly tier: number;
}

/** What choosing a place adds to a tier. */
interface TierWorth {
  readonly tier: number;
  readonly value: number;
}

export class PlacementProgramme {
  readonly programme: Programme;
  readonly #board: Board;
  readonly #scope: Scope;
  readonly #options: Option[] = [];
  readonly #rows: ProgrammeRow[] = [];
  readonly #upper: number[] = [];
  readonly #guests = new Map<GuestNo, number>();
  readonly #without = new Map<ProblemModel, number>();
  /** Columns of what a spread copy takes from each device. */
  readonly #shares = new Map<Option, readonly ShareColumn[]>();

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
      for (const { device, column } of this.#shares.get(option) ?? []) start[column] = shareOn(place, device);
    }
    for (const [guest, column] of this.#guests) start[column] = at(evicted, guest);
    for (const [model, column] of this.#without)
      start[column] = model.applicants.every((applicant) => places[applicant] === undefined) ? 1 : 0;
    return start;
  }

  /** Where the solution has the copies of the scope, and all others where they are. */
  suggestion({ columns }: ProgrammeSolution): SuggestedCopy[] {
    const { places } = this.#board;
    const isChosen = ({ column }: Option): boolean =>
      columns !== null && present(columns[column], "the value of column", column) > 0.5;
    const chosen = this.#options.filter(isChosen);
    const rest = [...places.entries()].flatMap(([applicant, place]) =>
      place === undefined || this.#scope.applicants.has(applicant) ? [] : [{ ...place, applicant }],
    );
    return suggestionOf(this.#board, [...rest, ...chosen]);
  }

  #column(upper: number): number {
    this.#upper.push(upper);
    return this.#upper.length - 1;
  }

  #addOptions(applicant: ApplicantNo): void {
    const { home, movable } = itemAt(this.#board.problem.applicants, applicant);
    if (home !== null) this.#option(applicant, { ...home.place, stays: true });
    if (home !== null && !movable && home.current) return;
    const model = this.#board.modelOf(applicant);
    for (const neuron of this.#scope.neurons) {
      if (at(model.open, neuron) === 0 || this.#isTaken(model, neuron)) continue;
      const mib = model.width === 1 ? [Math.max(model.mib, model.sizeKnown ? 0 : 1)] : null;
      for (const devices of combinations(eligibleOn(this.#board.problem, { model, neuron }), model.width))
        this.#option(applicant, { neuron, devices, mib, stays: false });
    }
  }

  #option(applicant: ApplicantNo, option: Omit<Option, "applicant" | "column">): void {
    this.#options.push({ applicant, column: this.#column(1), ...option });
  }

  /** By a copy that is no part of the scope, or that nobody manages. */
  #isTaken(model: ProblemModel, neuron: NeuronNo): boolean {
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
      const { home, movable } = itemAt(this.#board.problem.applicants, applicant);
      const isHeld = home !== null && !movable;
      this.#row(options.map(columnOf), { lower: isHeld ? 1 : 0, upper: 1 });
    }
    const byModel = Map.groupBy(this.#options, ({ applicant }) => this.#board.modelOf(applicant));
    for (const [model, options] of byModel) {
      if (model.applicants.length < 2) continue;
      for (const there of Map.groupBy(options, ({ neuron }) => neuron).values())
        this.#row(there.map(columnOf), { lower: 0, upper: 1 });
    }
    for (const [model, column] of this.#without) {
      const options = byModel.get(model) ?? [];
      this.#row([column, ...options.map(columnOf)], { lower: 1, upper: options.length + 1 });
    }
  }

  /** What is promised on a device is there. */
  #addDeviceRows(): void {
    const held = new Map<DeviceNo, { readonly column: number; readonly mib: number }[]>();
    const hold = (device: DeviceNo, column: number, mib: number): void => {
      const there = held.get(device);
      if (there === undefined) held.set(device, [{ column, mib }]);
      else there.push({ column, mib });
    };
    for (const option of this.#options) {
      for (const [position, device] of option.devices.entries()) {
        if (option.mib !== null) hold(device, option.column, shareAt({ mib: option.mib }, position));
      }
      if (option.mib === null) for (const { device, column } of this.#divide(option)) hold(device, column, 1);
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
  #divide(option: Option): ShareColumn[] {
    const { column, applicant, devices } = option;
    const mib = Math.max(1, this.#board.modelOf(applicant).mib);
    const shares = devices.map((device) => ({ device, column: this.#column(mib) }));
    this.#rows.push({
      columns: [...shares.map(columnOf), column],
      values: [...shares.map(() => 1), -mib],
      lower: 0,
      upper: 0,
    });
    for (const share of shares)
      this.#rows.push({ columns: [share.column, column], values: [1, -1], lower: 0, upper: Infinity });
    this.#shares.set(option, shares);
    return shares;
  }

  /** What is free without the copies of the scope, guests in place; and what each guest gives back. */
  #roomOn(device: DeviceNo): { roomMib: number; returns: { column: number; mib: number }[] } {
    const { free, places, problem, evicted } = this.#board;
    let roomMib = at(free, device);
    for (const applicant of this.#scope.applicants) roomMib += shareOn(places[applicant], device);
    const returns: { column: number; mib: number }[] = [];
    for (const [guest, column] of this.#guests) {
      const mib = shareOn(itemAt(problem.guests, guest).place, device);
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

  #isHeld(applicant: ApplicantNo): boolean {
    const { home, movable } = itemAt(this.#board.problem.applicants, applicant);
    return home !== null && !movable;
  }

  #row(columns: readonly number[], limits: { readonly lower: number; readonly upper: number }): void {
    if (columns.length > 0) this.#rows.push({ columns, values: columns.map(() => 1), ...limits });
  }

  #objectives(): Objective[] {
    const { problem } = this.#board;
    const constants = noCost(problem);
    const terms = constants.map(() => new Map<number, number>());
    const offsetOf = tierOffsets(problem);
    const positionOf = (priority: number, tier: number): number => offsetOf(priority) + tier;
    const count = (priority: number, tier: number): void => {
      const position = positionOf(priority, tier);
      constants[position] = (constants[position] as number) + 1;
    };
    const add = ({ priority, tier }: TierOfClass, column: number, value: number): void => {
      const term = present(terms[positionOf(priority, tier)], "a tier");
      term.set(column, (term.get(column) ?? 0) + value);
    };
    for (const applicant of this.#scope.applicants) {
      const { priority } = this.#board.modelOf(applicant);
      count(priority, TIER.missing);
      if (itemAt(this.#board.problem.applicants, applicant).home !== null) count(priority, TIER.lost);
    }
    for (const option of this.#options) {
      const { priority } = this.#board.modelOf(option.applicant);
      for (const { tier, value } of this.#worthOf(option)) add({ priority, tier }, option.column, value);
    }
    for (const [{ priority }, column] of this.#without) add({ priority, tier: TIER.without }, column, 1);
    for (const [guest, column] of this.#guests) {
      const { priority, place } = itemAt(this.#board.problem.guests, guest);
      add({ priority, tier: TIER.guests }, column, 1);
      add({ priority, tier: TIER.guestMib }, column, sum(place.mib));
    }
    return terms.map((term, position) => ({
      columns: [...term.keys()],
      values: [...term.values()],
      constant: present(constants[position], "the constant of a tier"),
    }));
  }

  /** What choosing a place adds to each tier. */
  #worthOf({ applicant, neuron, devices, stays }: Option): TierWorth[] {
    const { home } = itemAt(this.#board.problem.applicants, applicant);
    const placed: TierWorth[] = [{ tier: TIER.missing, value: -1 }];
    if (home === null) return placed;
    placed.push({ tier: TIER.lost, value: -1 });
    if (stays) placed.push({ tier: TIER.outdated, value: home.current ? 0 : 1 });
    else placed.push({ tier: TIER.moved, value: moveCost(home, { neuron, devices }) });
    return placed;
  }
}

const columnOf = ({ column }: { readonly column: number }): number => column;
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
