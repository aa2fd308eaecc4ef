import { CortexError } from "../../../core/errors.ts";

/*
 * A small revised simplex method for linear programmes of the form
 *
 *     maximise c x   subject to   A x <= b,   0 <= x <= u,   with b >= 0,
 *
 * to which columns can be added between solves, which is what column generation needs. The inverse of the basis is
 * kept in full (some hundred rows at most), bounds on variables are handled in the ratio test instead of as rows, and
 * after a run of steps that gain nothing the first eligible column enters instead of the best (Bland), so that no
 * basis comes back for ever. The number of pivots is bounded; duals are usable whenever it stops.
 */

interface Column {
  readonly rows: readonly number[];
  readonly values: readonly number[];
  readonly cost: number;
  readonly upper: number;
}

const EPSILON = 1e-9;
const STALLS_BEFORE_BLAND = 50;

export class BoundedSimplex {
  readonly #rowCount: number;
  readonly #columns: Column[] = [];
  /** By column: whether it is out of the basis at its upper bound. */
  readonly #atUpper: boolean[] = [];
  readonly #inBasis: boolean[] = [];
  readonly #basis: number[] = [];
  readonly #values: Float64Array;
  /** Inverse of the basis, row by row. */
  readonly #inverse: Float64Array;

  constructor(limits: readonly number[]) {
    this.#rowCount = limits.length;
    this.#values = Float64Array.from(limits);
    this.#inverse = new Float64Array(limits.length ** 2);
    for (const row of limits.keys()) {
      this.#inverse[row * limits.length + row] = 1;
      this.#basis.push(this.addColumn({ rows: [row], values: [1], cost: 0, upper: Infinity }));
      this.#inBasis[row] = true;
    }
  }

  /** Returns the column's number. */
  addColumn(column: Column): number {
    this.#columns.push(column);
    this.#atUpper.push(false);
    this.#inBasis.push(false);
    return this.#columns.length - 1;
  }

  /** Pivots until nothing is to be gained; false when the number of pivots ran out. */
  solve(pivotsAtMost: number): boolean {
    let stalls = 0;
    for (let pivots = 0; pivots < pivotsAtMost; pivots += 1) {
      const entering = this.#entering(this.duals(), stalls > STALLS_BEFORE_BLAND);
      if (entering === -1) return true;
      const step = this.#enter(entering);
      if (step === Infinity) return false;
      stalls = step > EPSILON ? 0 : stalls + 1;
    }
    return false;
  }

  /** What one more unit of each row's limit would be worth. */
  duals(): Float64Array {
    const duals = new Float64Array(this.#rowCount);
    for (const [position, column] of this.#basis.entries()) {
      const { cost } = this.#columns[column] as Column;
      if (cost === 0) continue;
      const offset = position * this.#rowCount;
      for (let row = 0; row < this.#rowCount; row += 1)
        duals[row] = valueAt(duals, row) + cost * valueAt(this.#inverse, offset + row);
    }
    return duals;
  }

  #entering(duals: Float64Array, isFirstEnough: boolean): number {
    let best = -1;
    let bestGain = EPSILON;
    for (const [number, column] of this.#columns.entries()) {
      if (this.#inBasis[number] === true || column.upper <= 0) continue;
      const reduced = column.cost - dot(column, duals);
      const gain = this.#atUpper[number] === true ? -reduced : reduced;
      if (gain <= bestGain) continue;
      best = number;
      bestGain = gain;
      if (isFirstEnough) return best;
    }
    return best;
  }

  /** Lets a column enter as far as it can, and returns how far that is. */
  #enter(entering: number): number {
    const column = this.#columns[entering] as Column;
    const direction = this.#solved(column);
    const sign = this.#atUpper[entering] === true ? -1 : 1;
    const { step, leaving, leavesAtUpper } = this.#firstToBind(direction, { sign, upper: column.upper });
    if (step === Infinity) return Infinity;
    for (let position = 0; position < this.#rowCount; position += 1)
      this.#values[position] = valueAt(this.#values, position) - sign * step * valueAt(direction, position);
    if (leaving === -1) this.#atUpper[entering] = sign === 1;
    else
      this.#exchange({
        entering,
        leaving,
        leavesAtUpper,
        direction,
        step: sign === 1 ? step : column.upper - step,
      });
    return step;
  }

  /** The ratio test: how far the column can enter, and which basic column is at a bound then; -1 for none. */
  #firstToBind(
    direction: Float64Array,
    { sign, upper }: { readonly sign: 1 | -1; readonly upper: number },
  ): { readonly step: number; readonly leaving: number; readonly leavesAtUpper: boolean } {
    let first = { step: upper, leaving: -1, leavesAtUpper: false };
    for (let position = 0; position < this.#rowCount; position += 1) {
      const change = (direction[position] as number) * sign;
      if (Math.abs(change) < EPSILON) continue;
      const room = this.#roomOf(position, change);
      if (room < first.step) first = { step: room, leaving: position, leavesAtUpper: change < 0 };
    }
    return first;
  }

  /** Steps until the basic column at this position reaches a bound. */
  #roomOf(position: number, change: number): number {
    const value = this.#values[position] as number;
    if (change > 0) return Math.max(0, value) / change;
    const column = this.#columns[this.#basis[position] as number] as Column;
    return (column.upper - value) / -change;
  }

  #exchange(move: {
    readonly entering: number;
    readonly leaving: number;
    readonly leavesAtUpper: boolean;
    readonly direction: Float64Array;
    readonly step: number;
  }): void {
    const { entering, leaving, direction } = move;
    const left = valueAt(this.#basis, leaving);
    this.#inBasis[left] = false;
    this.#atUpper[left] = move.leavesAtUpper;
    this.#inBasis[entering] = true;
    this.#atUpper[entering] = false;
    this.#basis[leaving] = entering;
    this.#values[leaving] = move.step;
    const size = this.#rowCount;
    const pivot = valueAt(direction, leaving);
    const pivotOffset = leaving * size;
    for (let row = 0; row < size; row += 1)
      this.#inverse[pivotOffset + row] = valueAt(this.#inverse, pivotOffset + row) / pivot;
    for (let position = 0; position < size; position += 1) {
      const factor = valueAt(direction, position);
      if (position === leaving || factor === 0) continue;
      const offset = position * size;
      for (let row = 0; row < size; row += 1)
        this.#inverse[offset + row] =
          valueAt(this.#inverse, offset + row) - factor * valueAt(this.#inverse, pivotOffset + row);
    }
  }

  /** The inverse of the basis times a column. */
  #solved(column: Column): Float64Array {
    const result = new Float64Array(this.#rowCount);
    for (let position = 0; position < this.#rowCount; position += 1) {
      const offset = position * this.#rowCount;
      let total = 0;
      for (const [entry, row] of column.rows.entries())
        total += valueAt(this.#inverse, offset + row) * valueAt(column.values, entry);
      result[position] = total;
    }
    return result;
  }
}

function dot(column: Column, duals: Float64Array): number {
  let total = 0;
  for (const [entry, row] of column.rows.entries())
    total += valueAt(column.values, entry) * valueAt(duals, row);
  return total;
}

/** Rows and columns are counted here, so a value that is not there is a defect: a bound worked out without it is wrong. */
function valueAt(values: Float64Array | readonly number[], index: number): number {
  const value = values[index];
  if (value === undefined) throw new CortexError("internal_error", `the programme has no value ${index}`);
  return value;
}
