import type { Highs, Model } from "highs";
import type { Objective, Programme, ProgrammeSolution } from "../prove/integer-programme.ts";

export interface SolveLimits {
  /** Branch and bound nodes for each objective: the real limit, the same on every machine. */
  readonly nodes: number;
  /** Seconds for each objective: a net under the limit of nodes. */
  readonly secs: number;
}

/**
 * Minimises one objective after another, none at the cost of an earlier one, until one is not proved within the
 * limits. Blocks its thread.
 */
export function solveProgramme(highs: Highs, programme: Programme, limits: SolveLimits): ProgrammeSolution {
  return highs.withModel((model) => {
    load(highs, model, programme);
    model.options.set({
      output_flag: false,
      random_seed: 1,
      mip_rel_gap: 0,
      mip_abs_gap: 0.5,
      mip_max_nodes: limits.nodes,
      time_limit: limits.secs,
    });
    const proved: number[] = [];
    let columns = programme.start;
    for (const objective of programme.objectives) {
      // No tier is below 0: what is there already need not be solved for.
      const isDone: boolean = columns !== null && valueOf(objective, columns) === 0;
      const found = isDone ? { columns, isProved: true } : minimise(highs, model, { objective, columns });
      columns = found.columns ?? columns;
      if (!found.isProved || columns === null) return { columns, proved };
      const reached = valueOf(objective, columns);
      proved.push(reached);
      keep(model, objective, reached);
    }
    return { columns, proved };
  });
}

function load(highs: Highs, model: Model, { binaries, upper, rows }: Programme): void {
  const { integer, continuous } = highs.constants.variableType;
  const starts = [0];
  for (const { columns } of rows) starts.push((starts.at(-1) ?? 0) + columns.length);
  model.passModel({
    numCols: upper.length,
    numRows: rows.length,
    colCost: upper.map(() => 0),
    colLower: upper.map(() => 0),
    colUpper: upper,
    rowLower: rows.map((row) => (row.lower === -Infinity ? -highs.infinity : row.lower)),
    rowUpper: rows.map((row) => (row.upper === Infinity ? highs.infinity : row.upper)),
    integrality: upper.map((_, column) => (column < binaries ? integer : continuous)),
    matrix: {
      format: "csr",
      numRows: rows.length,
      numCols: upper.length,
      starts,
      indices: rows.flatMap(({ columns }) => columns),
      values: rows.flatMap(({ values }) => values),
    },
  });
}

interface Minimum {
  readonly columns: readonly number[] | null;
  readonly isProved: boolean;
}

/** From the best values known, which are kept when the solver finds none. */
function minimise(
  highs: Highs,
  model: Model,
  { objective, columns }: { readonly objective: Objective; readonly columns: readonly number[] | null },
): Minimum {
  const costs = new Float64Array(model.getLp().numCols);
  for (const [position, column] of objective.columns.entries())
    costs[column] = objective.values[position] ?? 0;
  model.changeColsCost({ kind: "range", from: 0, to: costs.length - 1 }, costs);
  if (columns !== null) model.setSolution({ colValue: columns });
  model.run();
  const isProved = model.getModelStatus() === highs.constants.modelStatus.optimal;
  const { colValue } = model.getSolution();
  // Without a feasible point the values mean nothing.
  const isFeasible =
    isProved || model.info.get("primal_solution_status") === highs.constants.solutionStatus.feasible;
  return { columns: isFeasible ? Array.from(colValue) : null, isProved };
}

/** Later objectives may not give up what this one reached. */
function keep(model: Model, { columns, values, constant }: Objective, reached: number): void {
  if (columns.length > 0)
    model.addRow(-Infinity, reached - constant, { indices: [...columns], values: [...values] });
}

function valueOf({ columns, values, constant }: Objective, found: readonly number[]): number {
  return columns.reduce(
    (total, column, position) => total + Math.round(found[column] ?? 0) * (values[position] ?? 0),
    constant,
  );
}
